"""Twelve sounds in folders of their own become a model that separates a class nobody else knows."""

import json
import logging
from pathlib import Path

import numpy as np
import pytest
import soundfile

from ontology import OwnClass, load_ontology
from pipelines.evaluate.command import main as evaluate
from pipelines.mine_anchors import main as mine
from pipelines.prepare import main as prepare
from pipelines.separate.command import main as separate
from tests.pipelines.conftest import SAMPLE_RATE, SEGMENT_SECONDS, TrainingFiles
from tests.pipelines.manifests import refused, rows
from uss.checkpoints.bundle import load_bundle
from uss.shards import ShardReader

MACHINE = "/own/my_machine"
ENGINE = load_ontology().find("Engine").mid


def machine(rng: np.random.Generator, times: np.ndarray) -> np.ndarray:
    """Seven clanks a second."""
    hum = np.sign(np.sin(2 * np.pi * rng.uniform(80.0, 100.0) * times))
    return np.asarray(hum * (np.sin(2 * np.pi * 7.0 * times) > 0.0))


def whistle(rng: np.random.Generator, times: np.ndarray) -> np.ndarray:
    return np.asarray(np.sin(2 * np.pi * rng.uniform(2_000.0, 2_500.0) * times))


def hiss(rng: np.random.Generator, times: np.ndarray) -> np.ndarray:
    return rng.uniform(-1.0, 1.0, len(times))


@pytest.fixture(scope="module")
def sounds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four sounds of a second for each class; the machine runs in the last half second alone."""
    folder = tmp_path_factory.mktemp("sounds")
    rng = np.random.default_rng(0)
    times = np.arange(SAMPLE_RATE) / SAMPLE_RATE
    for name, sound in (("My_machine", machine), ("whistles", whistle), ("White noise", hiss)):
        (folder / name).mkdir()
        for take in range(4):
            waveform = 0.2 * sound(rng, times)
            if sound is machine:
                waveform[: SAMPLE_RATE // 2] *= 0.01
            soundfile.write(folder / name / f"{take}.wav", waveform.astype(np.float32), SAMPLE_RATE)
    return folder


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory, sounds: Path) -> Path:
    path = tmp_path_factory.mktemp("manifest") / "sounds.csv"
    assert prepare(["folder", str(sounds), "-o", str(path)]) == 0
    return path


@pytest.fixture(scope="module")
def shards(
    tmp_path_factory: pytest.TempPathFactory, manifest: Path, sounds: Path, tagger_file: Path
) -> Path:
    folder = tmp_path_factory.mktemp("shards")
    for split in ("train", "validation"):
        options = ["--split", split, "--tagger", str(tagger_file), "--segment-seconds"]
        given = [str(manifest), "--audio-root", str(sounds), "-o", str(folder / split), *options]
        assert mine([*given, str(SEGMENT_SECONDS)]) == 0
    return folder


@pytest.fixture(scope="module")
def bundle(
    tmp_path_factory: pytest.TempPathFactory, training_files: TrainingFiles, shards: Path
) -> Path:
    from pipelines.train import main as train

    root = tmp_path_factory.mktemp("run")
    options = ["--data.shards", str(shards / "train")]
    options += ["--data.validation_shards", str(shards / "validation")]
    # What a random tagger hears says nothing.
    options += ["--data.batch_size", "2", "--data.tag_threshold", "1.0"]
    options += ["--trainer.default_root_dir", str(root)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.argv", ["uss-train"])
        assert train(["--config", str(training_files.recipe), *options]) == 0
    return root / "bundle.safetensors"


@pytest.fixture(scope="module")
def mixture(tmp_path_factory: pytest.TempPathFactory, sounds: Path) -> Path:
    path = tmp_path_factory.mktemp("mixture") / "hall.wav"
    parts = [soundfile.read(sounds / name / "0.wav")[0] for name in ("My_machine", "whistles")]
    soundfile.write(path, sum(parts), SAMPLE_RATE, subtype="FLOAT")
    return path


def test_folders_become_a_manifest_with_a_class_of_its_own(manifest: Path) -> None:
    mids = [row["mids"] for row in rows(manifest)]
    white_noise, whistling = (load_ontology().find(n).mid for n in ("White noise", "Whistle"))
    assert sorted(mids) == sorted([MACHINE, white_noise, whistling] * 4)
    assert [row["split"] for row in rows(manifest)].count("validation") == 3
    assert rows(manifest.with_name("sounds.classes.csv")) == [
        {"id": MACHINE, "name": "My machine", "parent": ""}
    ]


def test_prepared_again_it_keeps_what_people_wrote_of_their_classes(
    tmp_path: Path, sounds: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "sounds.csv"
    classes = tmp_path / "sounds.classes.csv"
    classes.write_text("name,parent\nMy machine,Engine\n")
    assert prepare(["folder", str(sounds), "-o", str(output), "--validation", "0"]) == 0
    assert rows(classes) == [{"id": MACHINE, "name": "My machine", "parent": ENGINE}]
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"12 of 12 clips in {output}"
    assert "       4  My machine, a class of your own, /own/my_machine" in lines
    assert any("Whistle (here: whistles), AudioSet's, /m/" in line for line in lines)
    assert f"your own classes are in {classes}" in "\n".join(lines)


def test_the_machine_is_mined_where_it_is_loudest(shards: Path) -> None:
    with ShardReader(shards / "train") as reader:
        assert reader.settings.num_classes == 528
        assert reader.settings.own_classes == (OwnClass(MACHINE, "My machine"),)
        own = np.flatnonzero(reader.class_index == 527)
        assert len(own) == 3
        np.testing.assert_allclose(reader.start_seconds[own], 0.5, atol=0.08)
        assert (reader.score[own] > 0.99).all()
        assert reader.labels[own, 527].all()
        assert not reader.tag_probabilities[:, 527].any()
        assert reader.conditions("audioset-527").shape == (9, 527)


def test_mined_again_nothing_is_done(
    manifest: Path, sounds: Path, shards: Path, tagger_file: Path
) -> None:
    (path,) = (shards / "train").glob("anchors-*.h5")
    before = path.stat().st_mtime_ns
    options = ["--split", "train", "--tagger", str(tagger_file), "--segment-seconds", "0.5"]
    given = [str(manifest), "--audio-root", str(sounds), "-o", str(shards / "train")]
    assert mine([*given, *options]) == 0
    assert path.stat().st_mtime_ns == before


def test_the_bundle_holds_its_query(bundle: Path, shards: Path) -> None:
    queries = load_bundle(bundle).class_queries
    assert queries is not None
    assert queries.own == (OwnClass(MACHINE, "My machine"),)
    with ShardReader(shards / "train") as reader:
        own = reader.conditions(queries.space)[reader.class_index == 527]
    np.testing.assert_allclose(queries.own_vectors()[MACHINE], own.mean(axis=0), rtol=1e-5)


def test_it_gets_a_stem_by_its_name(
    tmp_path: Path,
    bundle: Path,
    mixture: Path,
    quick_pictures: None,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    options = ["--model", str(bundle), "--device", "cpu", "-o", str(tmp_path)]
    asked = ["--class", "my Machine", "Whistle@0-1", "--level", "2"]
    assert separate([str(mixture), *options, *asked]) == 0
    folder = tmp_path / "hall" / "queries"
    assert {path.name for path in folder.iterdir()} == {
        "My machine.wav",
        "Whistle.wav",
        "residual.wav",
    }
    stem, _ = soundfile.read(folder / "My machine.wav")
    assert np.square(stem).sum() > 0.0
    whole, _ = soundfile.read(mixture)
    parts = sum(soundfile.read(path)[0] for path in folder.iterdir())
    np.testing.assert_allclose(parts, whole, atol=1e-6)
    record = json.loads((tmp_path / "hall" / "detections.json").read_text())
    (found,) = (each for each in record["stems"] if each["name"] == "My machine")
    assert (found["mid"], found["level"], found["probability"]) == (MACHINE, None, 1.0)
    assert "My machine" in (tmp_path / "hall" / "report.html").read_text()
    (told,) = [each for each in caplog.messages if "not detected by themselves" in each]
    assert told.endswith("ask for them by name: My machine")


def test_it_can_be_kept_out_of_all_stems(
    tmp_path: Path, bundle: Path, mixture: Path, quick_pictures: None
) -> None:
    options = ["--model", str(bundle), "--device", "cpu", "-o", str(tmp_path)]
    assert separate([str(mixture), *options, "--class", "Whistle@0-1"]) == 0
    path = tmp_path / "hall" / "queries" / "Whistle.wav"
    before, _ = soundfile.read(path)
    asked = ["--class", "Whistle@0-1", "--not", "My machine"]
    assert separate([str(mixture), *options, *asked]) == 0
    after, _ = soundfile.read(path)
    assert np.square(after).sum() < np.square(before).sum()


def test_what_mining_wrote_asks_a_model_that_was_not_trained_with_it(
    tmp_path: Path, shards: Path, bundle_file: Path, mixture: Path, quick_pictures: None
) -> None:
    (queries,) = (shards / "train").glob("queries-tiny*.safetensors")
    options = ["--model", str(bundle_file), "--device", "cpu", "-o", str(tmp_path)]
    asked = ["--class-queries", str(queries), "--class", "My machine"]
    assert separate([str(mixture), *options, *asked]) == 0
    assert (tmp_path / "hall" / "queries" / "My machine.wav").exists()


def test_a_model_without_it_says_so(
    tmp_path: Path, bundle_file: Path, mixture: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--model", str(bundle_file), "--device", "cpu", "-o", str(tmp_path)]
    line = refused(capsys, separate([str(mixture), *options, "--class", "My machine"]))
    assert 'unknown class "My machine"' in line
    assert not (tmp_path / "hall").exists()


def test_a_preset_cannot_hold_it(
    tmp_path: Path, bundle: Path, mixture: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    preset = tmp_path / "hall.yaml"
    preset.write_text('stems:\n  machines: ["My machine", Engine]\n')
    options = ["--model", str(bundle), "--device", "cpu", "-o", str(tmp_path)]
    line = refused(capsys, separate([str(mixture), *options, "--preset", str(preset)]))
    assert "'My machine' is a class of your own, which is not detected" in line


def test_it_can_be_measured(
    tmp_path: Path, sounds: Path, manifest: Path, deaf_tagger: Path, bundle: Path
) -> None:
    output = tmp_path / "list.csv"
    given = ["--manifest", str(manifest), "--split", "validation", "--tagger", str(deaf_tagger)]
    assert prepare(["clips", str(sounds), "-o", str(output), *given, "--per-class", "2"]) == 0
    assert {row["class"] for row in rows(output)} == {"My machine", "Whistle", "White noise"}
    options = ["--audio-root", str(sounds), "--model", str(bundle), "--device", "cpu"]
    asked = ["--condition", "class-average", "-o", str(tmp_path / "scores")]
    assert evaluate([str(output), *options, *asked]) == 0
    results = (tmp_path / "scores" / "results.csv").read_text()
    assert "My machine" in results


def test_labels_that_no_file_explains_are_refused_before_mining(
    tmp_path: Path,
    sounds: Path,
    manifest: Path,
    tagger_file: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    alone = tmp_path / "alone.csv"
    alone.write_text(manifest.read_text())
    given = [str(alone), "--audio-root", str(sounds), "--tagger", str(tagger_file)]
    given += ["-o", str(tmp_path / "shards")]
    line = refused(capsys, mine(given))
    assert f"clips of the class {MACHINE}, which is none of AudioSet's; write it into" in line
    assert str(tmp_path / "alone.classes.csv") in line
    assert not (tmp_path / "shards").exists()
    line = refused(capsys, mine([*given, "--own-classes", str(tmp_path / "gone.csv")]))
    assert "gone.csv: no such file of classes" in line
    options = ["--own-classes", str(manifest.with_name("sounds.classes.csv"))]
    assert mine([*given, *options]) == 0


def test_validation_shards_of_other_classes_are_refused(
    tmp_path: Path,
    sounds: Path,
    manifest: Path,
    shards: Path,
    tagger_file: Path,
    training_files: TrainingFiles,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    from pipelines.train import main as train

    other = tmp_path / "classes.csv"
    other.write_text("name\nAnother machine\nMy machine\n")
    given = [str(manifest), "--audio-root", str(sounds), "--tagger", str(tagger_file)]
    given += ["--segment-seconds", "0.5", "-o", str(tmp_path / "other"), "--split", "validation"]
    assert mine([*given, "--own-classes", str(other)]) == 0
    capsys.readouterr()
    monkeypatch.setattr("sys.argv", ["uss-train"])
    options = ["--data.shards", str(shards / "train"), "--data.batch_size", "2"]
    options += ["--data.validation_shards", str(tmp_path / "other")]
    options += ["--trainer.default_root_dir", str(tmp_path / "run")]
    assert train(["--config", str(training_files.recipe), *options]) == 2
    assert "with other classes of your own than" in capsys.readouterr().err.splitlines()[-1]
