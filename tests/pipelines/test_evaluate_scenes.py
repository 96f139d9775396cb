import csv
import hashlib
import io
import json
import logging
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import redirect_stdout
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from pipelines.evaluate.command import main
from tests.pipelines.conftest import MakeBundle, WriteNoise, tiny_tagger
from tests.uss.evaluation.scene_examples import make_event, make_scene
from uss.checkpoints.bundle import load_bundle, save_bundle
from uss.checkpoints.loading import load_tagger, save_tagger
from uss.detection.defaults import DEFAULT_THRESHOLD
from uss.evaluation.calibration import Calibration
from uss.evaluation.scenes.records import SceneRecord
from uss.evaluation.scenes.rendering import render
from uss.evaluation.scenes.running import evaluate_scene
from uss.evaluation.scenes.scene import Background, Scene, SceneEvent
from uss.evaluation.scenes.scene_list import read_scenes, write_scenes
from uss.separation.separator import Separator
from uss.taggers import NUM_CLASSES

Evaluate = Callable[..., int]

# So faint that the tagger is not sure of it, but surer than DEFAULT_THRESHOLD.
FAINT_DB = -50.0
# Hardly anything; the tagger does not hear it.
HISS = Background(level_dbfs=-90.0, exponent=1.0, seed=4)
NAMES = ("Dog", "Speech", "Music", "Rain")


class Run(NamedTuple):
    """What a run of all scenes has left.

    Attributes:
        scenes: the list.
        folder: with the results.
        shown: on stdout.
    """

    scenes: Path
    folder: Path
    shown: str


def write_audio(folder: Path, write_noise: WriteNoise) -> Path:
    """Half a second of noise for each class."""
    for name in NAMES:
        write_noise(folder / f"{name}.wav", 0.5, seed=1)
    return folder


def of(name: str, onset_seconds: float = 0.25, gain_db: float = 0.0) -> SceneEvent:
    return make_event(name, path=f"{name}.wav", onset_seconds=onset_seconds, gain_db=gain_db)


def saved(folder: Path, *made: Scene) -> Path:
    write_scenes(folder / "scenes.csv", made)
    return folder / "scenes.csv"


def save_four(folder: Path) -> Path:
    """Scenes of a second; what the bundle hears is Dog, Speech and Music, all of them always.

    At levels 2 and 3 there is no node for music. The noise of the first is neither right nor wrong.
    """
    return saved(
        folder,
        make_scene(of("Dog"), background=HISS, name="dog"),
        make_scene(of("Speech", 0.0), of("Music", 0.4), name="talk"),
        make_scene(of("Dog", 0.0), of("Speech", 0.5), name="walk"),
        make_scene(of("Rain", gain_db=FAINT_DB), name="rain"),
    )


def run_evaluate(bundle: Path, scenes: Path, output: Path, *options: str | Path) -> int:
    words = (scenes, "--model", bundle, "--device", "cpu", "--precision", "fp32", "-o", output)
    return main([str(word) for word in (*words, *options)])


@pytest.fixture
def audio(tmp_path: Path, write_noise: WriteNoise) -> Path:
    return write_audio(tmp_path / "audio", write_noise)


@pytest.fixture
def scenes(audio: Path) -> Path:
    return save_four(audio)


@pytest.fixture(scope="module")
def measured(
    tmp_path_factory: pytest.TempPathFactory, write_noise: WriteNoise, bundle_file: Path
) -> Run:
    """The same scenes, evaluated."""
    folder = tmp_path_factory.mktemp("measured")
    path = save_four(write_audio(folder / "audio", write_noise))
    with redirect_stdout(io.StringIO()) as shown:
        assert run_evaluate(bundle_file, path, folder / "out") == 0
    return Run(path, folder / "out", shown.getvalue())


@pytest.fixture
def evaluate(tmp_path: Path, bundle_file: Path) -> Evaluate:
    """Runs uss-evaluate with the tiny bundle into the folder ``out``; later options win."""

    def run(scenes: Path, *options: str | Path) -> int:
        return run_evaluate(bundle_file, scenes, tmp_path / "out", *options)

    return run


@pytest.fixture(autouse=True)
def unchanged_logging() -> Iterator[None]:
    """What is heard without a query is not logged while scenes are evaluated."""
    logger = logging.getLogger("uss.separation.separator")
    level = logger.level
    yield
    logger.setLevel(level)


@pytest.fixture(scope="module")
def rain_tagger(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Hears rain alone, in all noise; its name is that of the bundle's own."""
    path = tmp_path_factory.mktemp("rain") / "rain.safetensors"
    save_tagger(path, tiny_tagger(heard=["Rain"]), licence="CC0-1.0", provenance={})
    return path


def refuse_constant(name: str) -> NoReturn:
    raise AssertionError(f"{name} is no JSON")


def results(folder: Path) -> Any:
    text = (folder / "results.json").read_text(encoding="utf-8")
    return json.loads(text, parse_constant=refuse_constant)


def table(folder: Path) -> list[dict[str, str]]:
    with (folder / "results.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def records(folder: Path) -> list[dict[str, Any]]:
    """Of the journal, without its settings."""
    _, *lines = (folder / "results.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line)["record"] for line in lines]


def error_line(capsys: pytest.CaptureFixture[str]) -> str:
    error = capsys.readouterr().err
    assert error.startswith("uss-evaluate: ") and error.count("\n") == 1
    return error


def refuse_to_run(*_: Any, **__: Any) -> NoReturn:
    raise AssertionError("nothing of the kind should be done")


def test_detections_are_counted_at_all_levels(measured: Run) -> None:
    """Counted by hand: what is heard is right 5 times at level 1, and 4 times further down."""
    found = results(measured.folder)
    assert found["num_scenes"] == 4 and found["scenes"] == str(measured.scenes)
    assert found["command"].startswith(f"uss-evaluate {measured.scenes} --model ")
    assert len(found["model"]["separator_hash"]) == 16
    assert list(found["detectors"]) == ["tiny"]
    levels = found["detectors"]["tiny"]["levels"]
    assert list(levels) == ["1", "2", "3"]
    expected = {
        "1": {"f1": 10 / 18, "precision": 5 / 12, "recall": 5 / 6, "mean_count_error": 6 / 4},
        "2": {"f1": 8 / 13, "precision": 4 / 8, "recall": 4 / 5, "mean_count_error": 3 / 4},
    }
    for level, values in {**expected, "3": expected["2"]}.items():
        shown = {name: levels[level][name] for name in values}
        assert shown == pytest.approx(values)
        assert levels[level]["num_scenes"] == 4 and levels[level]["num_empty"] == 0
    assert [levels[level]["num_matched"] for level in "123"] == [5, 4, 4]
    assert [levels[level]["num_true_nodes"] for level in "123"] == [4, 3, 3]
    for level in levels.values():
        precisions = level["average_precision"]
        assert len(precisions) == level["num_true_nodes"]
        mean = np.mean(list(precisions.values()))
        assert level["mean_average_precision"] == pytest.approx(mean)
    assert "Human sounds" in levels["1"]["average_precision"]
    of_classes = found["detectors"]["tiny"]["class_average_precision"]
    assert set(of_classes) == {"Dog", "Speech", "Music", "Rain"}
    mean = np.mean(list(of_classes.values()))
    assert found["detectors"]["tiny"]["mean_class_average_precision"] == pytest.approx(mean)


def test_the_best_threshold_leaves_the_faint_rain_out(
    evaluate: Evaluate, measured: Run, tmp_path: Path
) -> None:
    """It lies half way between the scores it parts; without what is heard there, less is wrong."""
    highest = {each["scene"]: max(each["class_scores"]) for each in records(measured.folder)}
    rain = highest.pop("rain")
    assert DEFAULT_THRESHOLD < rain < 0.99 < min(highest.values())
    found = results(measured.folder)["detectors"]["tiny"]
    threshold = found["best_global_threshold"]
    assert threshold == pytest.approx((rain + min(highest.values())) / 2)
    at_best = [each["f1_at_best_threshold"] for each in found["levels"].values()]
    assert at_best == pytest.approx([10 / 15, 8 / 11, 8 / 11])
    # It does so as well where it is asked for.
    assert evaluate(measured.scenes, "--threshold", str(threshold)) == 0
    found = results(tmp_path / "out")
    levels = found["detectors"]["tiny"]["levels"]
    assert [each["f1"] for each in levels.values()] == pytest.approx(at_best)
    assert found["settings"]["threshold"] == threshold


def test_the_best_threshold_keeps_its_promise_where_all_is_right(
    evaluate: Evaluate, audio: Path, tmp_path: Path
) -> None:
    """What is next to nothing counts as 0 in the scores; a threshold of 0 would let it in."""
    scenes = saved(audio, make_scene(of("Dog"), of("Speech", 0.5), of("Music"), name="all"))
    assert evaluate(scenes) == 0
    found = results(tmp_path / "out")["detectors"]["tiny"]
    assert [level["f1"] for level in found["levels"].values()] == [1.0, 1.0, 1.0]
    (record,) = records(tmp_path / "out")
    lowest, *_, highest = sorted({*record["class_scores"]})
    threshold = found["best_global_threshold"]
    assert lowest == 0.0 < threshold < highest
    assert evaluate(scenes, "--threshold", str(threshold), "-o", tmp_path / "at") == 0
    levels = results(tmp_path / "at")["detectors"]["tiny"]["levels"]
    assert [level["f1"] for level in levels.values()] == [1.0, 1.0, 1.0]


def test_stems_are_those_the_separator_gives(measured: Run, bundle_file: Path) -> None:
    separator = Separator.from_pretrained(bundle_file, device="cpu", precision="fp32")
    dog, talk, walk, _ = read_scenes(measured.scenes)
    animals, voice = "Domestic animals, pets", "Human voice"
    wanted = [(dog, animals, [0]), (talk, voice, [0]), (walk, animals, [0]), (walk, voice, [1])]
    improvements = []
    for scene, name, events in wanted:
        rendered = render(scene, measured.scenes.parent)
        source = rendered.sources[events].sum(axis=0)
        stems = separator.separate(rendered.mixture, rendered.sample_rate, level=2)
        errors = [np.sum(np.square(source - each)) for each in (rendered.mixture, stems[name])]
        improvements.append(10.0 * np.log10(errors[0] / errors[1]))
    # The first is all that is heard in its mixture: there is nothing to improve on.
    assert improvements[0] < -60.0
    found = results(measured.folder)
    assert found["mean"]["SDRi"] == pytest.approx(np.mean(improvements[1:]), abs=1e-3)
    assert found["median"]["SDRi"] == pytest.approx(np.median(improvements[1:]), abs=1e-3)
    level = found["detectors"]["tiny"]["levels"]["2"]
    for name in ("SDRi", "SI-SDRi"):
        column = name.lower().replace("-", "_")
        assert level[f"mean_{column}_db"] == pytest.approx(found["mean"][name])
        assert level[f"median_{column}_db"] == pytest.approx(found["median"][name])
    # What is heard in vain counts 0: a dog in the talk, speech beside the dog, both in the rain.
    class_aware = [0.0, improvements[1] / 2, (improvements[2] + improvements[3]) / 2, 0.0]
    assert found["mean"]["CA-SDRi"] == pytest.approx(np.mean(class_aware), abs=1e-3)


def test_each_scene_and_level_is_a_row(measured: Run) -> None:
    rows = table(measured.folder)
    assert [(row["scene"], row["level"]) for row in rows] == [
        (name, level) for name in ("dog", "talk", "walk", "rain") for level in "123"
    ]
    assert {row["detector"] for row in rows} == {"tiny"}
    by_key = {(row["scene"], row["level"]): row for row in rows}
    talk = by_key["talk", "1"]
    assert set(talk["true"].split(";")) == {"Human sounds", "Music"}
    assert set(talk["detected"].split(";")) == {"Animal", "Human sounds", "Music"}
    assert talk["disregarded"] == ""
    rain = by_key["rain", "3"]
    assert (rain["true"], set(rain["detected"].split(";"))) == ("Rain", {"Dog", "Speech"})
    assert (rain["SDRi"], rain["SI-SDRi"]) == ("", "")
    # Only the scene with a background disregards anything, which is not among what is there.
    assert "Noise" in by_key["dog", "2"]["disregarded"].split(";")
    assert by_key["dog", "2"]["true"] == "Domestic animals, pets"
    for record in records(measured.folder):
        for level, expected in record["levels"].items():
            row = by_key[record["scene"], level]
            share = expected["false_energy"] / record["mixture_energy"]
            assert float(row["false_energy_fraction"]) == pytest.approx(share, abs=1e-5)
            improvements = [stem["sdri_db"] for stem in expected["stems"].values()]
            if None not in improvements and improvements:
                assert float(row["SDRi"]) == pytest.approx(np.mean(improvements), abs=1e-4)


def test_the_table_shows_what_the_results_hold(measured: Run) -> None:
    first, blank, header, *rows = measured.shown.splitlines()
    assert first == f"4 scenes -> {measured.folder}" and blank == ""
    assert header.split()[:5] == ["detector", "level", "F1", "precision", "recall"]
    levels = results(measured.folder)["detectors"]["tiny"]["levels"]
    expected = {"1": ("0.56", "0.42", "0.83")} | dict.fromkeys("23", ("0.62", "0.50", "0.80"))
    for row, (level, (f1, precision, recall)) in zip(rows, expected.items(), strict=True):
        low, high = levels[level]["intervals"]["f1"]
        assert low < levels[level]["f1"] < high
        shown = ["tiny", level, f1, f"[{low:.2f},", f"{high:.2f}]", precision, recall]
        assert row.split()[:7] == shown
    assert rows[1].endswith(f"  {levels['2']['false_energy_db']:.2f} dB")


def test_where_nothing_is_detected_scores_are_undefined(
    evaluate: Evaluate, scenes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert evaluate(scenes, "--threshold", "1") == 0
    found = results(tmp_path / "out")
    level = found["detectors"]["tiny"]["levels"]["2"]
    assert (level["f1"], level["precision"], level["recall"]) == (0.0, None, 0.0)
    assert found["mean"]["SDRi"] is None and found["median"]["SI-SDRi"] is None
    # Of the rain nothing could be better: it is alone. So is the dog.
    assert (found["mean"]["CA-SDRi"], level["num_without_ca"]) == (0.0, 2)
    assert level["false_energy_db"] is None
    assert {row["detected"] for row in table(tmp_path / "out")} == {""}
    shown = capsys.readouterr().out.splitlines()[4].split()
    assert shown[:7] == ["tiny", "2", "0.00", "[0.00,", "0.00]", "-", "0.00"]


def test_only_the_first_scenes_may_be_evaluated(
    evaluate: Evaluate, scenes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (scenes.parent / "Rain.wav").unlink()
    assert evaluate(scenes, "--limit", "2") == 0
    assert results(tmp_path / "out")["num_scenes"] == 2
    assert [row["scene"] for row in table(tmp_path / "out")[::3]] == ["dog", "talk"]
    assert capsys.readouterr().out.startswith("2 scenes -> ")


def test_scenes_without_events_can_be_evaluated(
    evaluate: Evaluate, audio: Path, tmp_path: Path
) -> None:
    """As with --limit, where the first of the scenes that uss-prepare draws is one."""
    noise = make_scene(background=replace(HISS, level_dbfs=-20.0), name="noise")
    assert evaluate(saved(audio, noise)) == 0
    found = results(tmp_path / "out")["detectors"]["tiny"]
    assert found["best_global_threshold"] is None
    level = found["levels"]["2"]
    assert (level["num_empty"], level["num_empty_detected"]) == (1, 1)
    assert (level["f1"], level["recall"], level["f1_at_best_threshold"]) == (0.0, None, None)


def test_another_tagger_is_scored_with_the_same_separator(
    evaluate: Evaluate, measured: Run, rain_tagger: Path, bundle_file: Path, tmp_path: Path
) -> None:
    """It is right about the rain alone, and hears it everywhere."""
    assert evaluate(measured.scenes, "--compare-tagger", rain_tagger) == 0
    found, alone = results(tmp_path / "out"), results(measured.folder)
    assert list(found["detectors"]) == ["tiny", str(rain_tagger)]
    assert found["detectors"]["tiny"] == alone["detectors"]["tiny"]
    assert (found["mean"], found["median"]) == (alone["mean"], alone["median"])
    level = found["detectors"][str(rain_tagger)]["levels"]["2"]
    assert (level["precision"], level["recall"]) == pytest.approx((1 / 4, 1 / 5))
    # The rain is all there is in its scene.
    assert (level["num_matched"], level["num_alone"]) == (1, 1)
    rows = table(tmp_path / "out")
    assert [row["detector"] for row in rows] == ["tiny"] * 12 + [str(rain_tagger)] * 12
    assert {row["detected"] for row in rows[14::3]} == {"Rain"}
    assert rows[-1]["scene"] == "rain" and rows[-1]["CA-SDRi"] == ""
    separator = Separator(load_bundle(bundle_file), load_tagger(rain_tagger))
    rain = read_scenes(measured.scenes)[-1]
    mixture = render(rain, measured.scenes.parent).mixture
    stem = separator.separate(mixture, rain.sample_rate, level=2)["Water"]
    expected = 10.0 * np.log10(np.sum(mixture**2) / np.sum((mixture - stem) ** 2))
    assert level["mean_sdr_alone_db"] == pytest.approx(expected, abs=1e-2)


def test_a_tagger_is_called_by_its_own_name_where_that_is_free(
    evaluate: Evaluate, scenes: Path, rain_tagger: Path, tmp_path: Path
) -> None:
    tagger = load_tagger(rain_tagger)
    tagger.name = tagger.hyperparameters["name"] = "umbrella"
    path = tmp_path / "renamed.safetensors"
    save_tagger(path, tagger, licence="CC0-1.0", provenance={})
    assert evaluate(scenes, "--limit", "1", "--compare-tagger", path) == 0
    assert list(results(tmp_path / "out")["detectors"]) == ["tiny", "umbrella"]


def test_taggers_of_one_name_are_told_apart(
    evaluate: Evaluate,
    scenes: Path,
    rain_tagger: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The one that is compared lies in a file of the name that the bundle's own has."""
    shutil.copy(rain_tagger, tmp_path / "tiny")
    monkeypatch.chdir(tmp_path)
    assert evaluate(scenes, "--limit", "1", "--compare-tagger", "tiny") == 0
    found = results(tmp_path / "out")["detectors"]
    assert len(found) == 2
    assert [each["levels"]["2"]["precision"] for each in found.values()] == [1 / 2, 0.0]


def test_a_stopped_evaluation_goes_on(
    evaluate: Evaluate,
    scenes: Path,
    measured: Run,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A clip of the second scene cannot be read at first."""
    music = scenes.parent / "Music.wav"
    content = music.read_bytes()
    music.write_bytes(b"no audio")
    assert evaluate(scenes) == 2
    error = error_line(capsys)
    assert error.startswith("uss-evaluate: scene talk: ") and str(music) in error
    out = tmp_path / "out"
    kept = (out / "results.jsonl.part").read_bytes()
    assert kept.count(b'"scene": "dog"') == kept.count(b'"record"') == 1
    assert not (out / "results.json").exists() and not (out / "results.csv").exists()
    music.write_bytes(content)
    rendered = []

    def note(separator: Separator, scene: Scene, root: Path, **options: Any) -> SceneRecord:
        rendered.append(scene.name)
        return evaluate_scene(separator, scene, root, **options)

    monkeypatch.setattr("uss.evaluation.scenes.scene_job.evaluate_scene", note)
    assert evaluate(scenes) == 0
    assert rendered == ["talk", "walk", "rain"]
    assert (out / "results.jsonl").read_bytes().startswith(kept)
    assert not (out / "results.jsonl.part").exists()
    for name in ("detectors", "mean", "median"):
        assert results(out)[name] == results(measured.folder)[name]
    assert table(out) == table(measured.folder)


def test_a_finished_evaluation_is_not_made_again(
    evaluate: Evaluate, measured: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    shutil.copytree(measured.folder, out)
    (out / "results.json").unlink()
    (out / "results.csv").unlink()
    monkeypatch.setattr("uss.evaluation.scenes.scene_job.evaluate_scene", refuse_to_run)
    assert evaluate(measured.scenes) == 0
    assert results(out)["detectors"] == results(measured.folder)["detectors"]
    assert table(out) == table(measured.folder)
    # Fewer of the same.
    assert evaluate(measured.scenes, "--limit", "2") == 0
    assert table(out) == table(measured.folder)[:6]
    assert results(out)["detectors"]["tiny"]["levels"]["2"]["recall"] == 1.0


def test_the_journal_of_an_older_version_is_refused(
    evaluate: Evaluate, measured: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its records lack what half the mixture would have."""
    out = tmp_path / "out"
    shutil.copytree(measured.folder, out)
    settings, *lines = (out / "results.jsonl").read_text(encoding="utf-8").splitlines()
    older = [json.loads(line) for line in lines]
    for each in older:
        for level in each["record"]["levels"].values():
            del level["half_ca_sdri_db"]
    lines = [settings, *map(json.dumps, older)]
    (out / "results.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    assert evaluate(measured.scenes) == 2
    assert "this is no record of a scene (KeyError: 'half_ca_sdri_db')" in error_line(capsys)


def test_times_are_scored(measured: Run) -> None:
    for level in results(measured.folder)["detectors"]["tiny"]["levels"].values():
        for name in ("event_f1", "segment_f1", "span_event_f1", "span_segment_f1"):
            assert 0.0 <= level[name] <= 1.0
        assert level["segment_f1"] > 0.0
        assert level["psds"] is None


def test_psds_is_scored_if_it_is_asked_for(
    evaluate: Evaluate, scenes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("psds_eval", reason="needs psds_eval")
    assert evaluate(scenes, "--psds") == 0
    assert "PSDS" in capsys.readouterr().out
    for level in results(tmp_path / "out")["detectors"]["tiny"]["levels"].values():
        assert 0.0 <= level["psds"] <= 1.0 and 0.0 <= level["span_psds"] <= 1.0


def test_psds_without_its_library_is_refused_before_anything_else(
    evaluate: Evaluate,
    scenes: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setitem(sys.modules, "psds_eval", None)
    assert evaluate(scenes, "--psds") == 2
    assert "pip install 'uss-pipeline[psds]'" in error_line(capsys)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("options", "settings"),
    [
        (["--threshold", "0.5"], "threshold, thresholds_hash"),
        (["--overlap", "0"], "overlap"),
        (["--psds"], "psds"),
        (["--compare-tagger", "RAIN"], "compared_hashes"),
        (["--tagger", "RAIN"], "tagger_hash"),
        (["REVERSED"], "scenes_sha256"),
    ],
)
def test_the_results_of_another_evaluation_are_not_mixed_in(
    evaluate: Evaluate,
    measured: Run,
    scenes: Path,
    rain_tagger: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    options: list[str],
    settings: str,
) -> None:
    out = tmp_path / "out"
    shutil.copytree(measured.folder, out)
    if "REVERSED" in options:
        saved(scenes.parent, *read_scenes(scenes)[::-1])
    words = [str(rain_tagger) if word == "RAIN" else word for word in options]
    assert evaluate(scenes, *(word for word in words if word != "REVERSED")) == 2
    # The audio of this test lies elsewhere.
    message = f"other settings (audio_root_hash, {settings}); choose another output folder"
    assert message in error_line(capsys)
    for file in out.iterdir():
        assert file.read_bytes() == (measured.folder / file.name).read_bytes()


def test_a_missing_clip_is_named_before_anything_is_rendered(
    evaluate: Evaluate,
    scenes: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """It is that of the last scene."""
    monkeypatch.setattr("uss.evaluation.scenes.scene_job.evaluate_scene", refuse_to_run)
    gone = scenes.parent / "Rain.wav"
    gone.unlink()
    assert evaluate(scenes) == 2
    expected = f"{scenes}, scene rain: {gone}: no such file; correct the list, or name"
    assert expected in error_line(capsys)
    assert not (tmp_path / "out").exists()


def test_the_audio_may_lie_elsewhere(
    evaluate: Evaluate, scenes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    moved = scenes.rename(tmp_path / "moved.csv")
    assert evaluate(moved, "--limit", "1") == 2
    assert f"{tmp_path / 'Dog.wav'}: no such file" in error_line(capsys)
    assert evaluate(moved, "--limit", "1", "--audio-root", scenes.parent) == 0


def test_a_clip_may_be_a_track_of_a_film(evaluate: Evaluate, audio: Path, tmp_path: Path) -> None:
    """As in lists of mixtures, where ``film.mp4#2`` is its second track."""
    scene = make_scene(make_event("Dog", path="Dog.wav#1"), background=HISS, name="dog")
    assert render(scene, audio).sources.any()
    assert evaluate(saved(audio, scene)) == 0
    assert results(tmp_path / "out")["detectors"]["tiny"]["levels"]["2"]["recall"] == 1.0


@pytest.mark.parametrize("calibrate", [False, True], ids=["measure", "calibrate"])
@pytest.mark.parametrize(
    "option", [["--condition", "oracle"], ["--metrics", "sdr"], ["--keep-going"]], ids=" ".join
)
def test_options_of_lists_are_refused(
    evaluate: Evaluate,
    scenes: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    option: list[str],
    calibrate: bool,
) -> None:
    monkeypatch.setattr("uss.evaluation.scenes.scene_job.evaluate_scene", refuse_to_run)
    monkeypatch.setattr("uss.evaluation.calibration_job.detect_scene", refuse_to_run)
    target = ["--calibrate", tmp_path / "c.safetensors"] if calibrate else []
    assert evaluate(scenes, *option, *target) == 2
    assert "are for lists of mixtures; leave them out" in error_line(capsys)
    assert not (tmp_path / "out").exists()


def test_lists_cannot_calibrate(
    evaluate: Evaluate, audio: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = audio / "list.csv"
    path.write_text("target,interferer\nDog.wav,Rain.wav\n")
    target = tmp_path / "calibrated.safetensors"
    assert evaluate(path, "--calibrate", target) == 2
    assert "are for scenes; leave them out" in error_line(capsys)
    assert not target.exists()


@pytest.fixture
def yard(audio: Path) -> Path:
    """Dogs that are heard well, and faint rain that is taken for a dog, alike each time."""
    dogs = [make_scene(of("Dog", 0.1 * n), name=f"dog {n}") for n in range(5)]
    rains = [make_scene(of("Rain", gain_db=FAINT_DB), name=f"rain {n}") for n in range(3)]
    return saved(audio, *dogs, *rains)


@pytest.fixture(scope="session")
def dog_bundle(tmp_path_factory: pytest.TempPathFactory, make_bundle: MakeBundle) -> Path:
    """Hears dogs in all noise; knows where it comes from."""
    path = tmp_path_factory.mktemp("dog") / "dog.safetensors"
    bundle = load_bundle(make_bundle(path, ["Dog"]))
    save_bundle(path, replace(bundle, provenance={"data": "noise", "steps": 0}))
    return path


def with_thresholds(path: Path, bundle_file: Path, *, half: bool = False) -> Path:
    """A copy that detects next to nothing."""
    thresholds = np.full(NUM_CLASSES, 0.99999, np.float32)
    save_bundle(path, replace(load_bundle(bundle_file), thresholds=thresholds), half=half)
    return path


def test_calibration_finds_the_threshold_that_parts_right_from_wrong(
    evaluate: Evaluate,
    yard: Path,
    dog_bundle: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    target = tmp_path / "calibrated.safetensors"
    before, after = tmp_path / "before", tmp_path / "after"
    assert evaluate(yard, "--model", dog_bundle, "-o", before) == 0
    dogs: list[float] = []
    rains: list[float] = []
    for record in records(before):
        (dogs if record["scene"].startswith("dog") else rains).append(max(record["class_scores"]))
    assert DEFAULT_THRESHOLD < min(rains) == max(rains) < 0.99 < min(dogs)
    capsys.readouterr()
    # Its older thresholds have no part in it.
    older = with_thresholds(tmp_path / "older.safetensors", dog_bundle)
    assert evaluate(yard, "--model", older, "--calibrate", target) == 0
    shown = capsys.readouterr().out.splitlines()

    # The rain is never heard as such: 5 of 5 detections are right, 5 of 8 events found.
    expected = (max(rains) + min(dogs)) / 2
    calibrated = Separator.from_pretrained(target, device="cpu", precision="fp32")
    thresholds = calibrated.detector.thresholds(None)
    assert thresholds.shape == (NUM_CLASSES,) and thresholds.dtype == np.float32
    np.testing.assert_allclose(thresholds, expected, rtol=1e-6)
    assert calibrated.bundle.provenance == {
        "data": "noise",
        "steps": 0,
        "thresholds": {
            "scenes": "scenes.csv",
            "scenes_sha256": hashlib.sha256(yard.read_bytes()).hexdigest(),
            "num_scenes": 8,
            "global_threshold": pytest.approx(expected),
            "strength": None,
            "held_out_f1": pytest.approx(10 / 13),
            "sensitivity": "medium",
        },
    }
    assert list(calibrated.bundle.sensitivities) == ["high", "low", "medium"]
    np.testing.assert_array_equal(calibrated.detector.thresholds("medium"), thresholds)
    assert shown[1].startswith("one for all classes (chosen)") and shown[1].endswith(" 0.769")
    assert shown[-2:] == [f"{expected:.3f} for all classes", f"-> {target}"]
    assert not (tmp_path / "out").exists()

    # It is used where the model is.
    assert evaluate(yard, "--model", target, "-o", after) == 0
    f1 = [results(each)["detectors"]["tiny"]["levels"]["2"]["f1"] for each in (before, after)]
    assert f1 == pytest.approx([10 / 16, 10 / 13])
    # What was found with other thresholds is no part of it.
    assert evaluate(yard, "--model", target, "-o", before) == 2
    assert "other settings (thresholds_hash)" in capsys.readouterr().err


def test_thresholds_can_be_shifted_together(
    evaluate: Evaluate,
    yard: Path,
    dog_bundle: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """From where next to nothing is detected; the rain's class stays twice as sure as the dog's."""
    own = np.full(NUM_CLASSES, 0.9999, np.float32)
    own[1] = 0.99995
    model, target = tmp_path / "model.safetensors", tmp_path / "shifted.safetensors"
    save_bundle(model, replace(load_bundle(dog_bundle), thresholds=own))
    assert evaluate(yard, "--model", model, "--calibrate", target, "--shift-only") == 0
    shown = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in shown[1:]] == ["low", "medium", "high", "->"]

    bundle = load_bundle(target)
    assert bundle.thresholds is not None and bundle.provenance["thresholds"]["num_scenes"] == 8
    np.testing.assert_array_equal(bundle.sensitivities["medium"], bundle.thresholds)
    odds = bundle.thresholds / (1.0 - bundle.thresholds)
    assert odds[1] / odds[0] == pytest.approx(2.0, rel=0.01)
    assert odds[0] < 9999 / 20

    output = tmp_path / "after"
    assert evaluate(yard, "--model", target, "-o", output) == 0
    # Five of five are right, and five of eight found: as good as any threshold does.
    f1 = results(output)["detectors"]["tiny"]["levels"]["2"]["f1"]
    assert f1 == pytest.approx(10 / 13)


@pytest.mark.parametrize(
    ("options", "remedy"),
    [
        (["--shift-only"], "give that as well"),
        (["--shift-only", "--calibrate", "OUT"], "no thresholds of its own"),
    ],
    ids=["without a target", "without thresholds"],
)
def test_what_cannot_be_shifted_is_said(
    evaluate: Evaluate,
    yard: Path,
    dog_bundle: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    options: list[str],
    remedy: str,
) -> None:
    target = tmp_path / "shifted.safetensors"
    words = [target if word == "OUT" else word for word in options]
    assert evaluate(yard, "--model", dog_bundle, *words) == 2
    assert remedy in error_line(capsys)
    assert not target.exists()


@pytest.mark.parametrize(
    ("half", "precision"), [(False, "bf16"), (True, "fp32")], ids=["float32", "float16"]
)
def test_calibration_leaves_all_else_as_it_was(
    evaluate: Evaluate,
    yard: Path,
    dog_bundle: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    half: bool,
    precision: str,
) -> None:
    """Also how numbers are stored: what float16 holds exactly stays in it, and nothing else."""
    model = with_thresholds(tmp_path / "model.safetensors", dog_bundle, half=half)
    target = tmp_path / "calibrated.safetensors"
    found = Calibration(np.linspace(0.1, 0.9, NUM_CLASSES, dtype=np.float32), 0.3, 2.0, {2.0: 0.5})
    monkeypatch.setattr("uss.evaluation.calibration_job.calibrate", lambda records, *, rng: found)
    options = ["--limit", "1", "--precision", precision]
    assert evaluate(yard, "--model", model, "--calibrate", target, *options) == 0
    before, after = load_file(model), load_file(target)
    np.testing.assert_array_equal(after.pop("thresholds").numpy(), found.thresholds)
    np.testing.assert_array_equal(after.pop("thresholds.medium").numpy(), found.thresholds)
    # In this one scene nothing is wrong or missed, so there is nothing to shift.
    for name in ("low", "high"):
        np.testing.assert_array_equal(after.pop(f"thresholds.{name}").numpy(), found.thresholds)
    del before["thresholds"]
    assert after.keys() == before.keys()
    for name, tensor in before.items():
        assert after[name].dtype == tensor.dtype, name
        assert torch.equal(after[name], tensor), name
    assert (torch.float16 in {tensor.dtype for tensor in after.values()}) == half
    old, new = load_bundle(model), load_bundle(target)
    assert new.licence == old.licence == "CC0-1.0"
    assert old.class_queries is not None and new.class_queries is not None
    assert new.class_queries.space == old.class_queries.space
    assert new.class_queries.class_indexes == old.class_queries.class_indexes


@pytest.mark.parametrize("option", ["--tagger", "--separator", "--compare-tagger"])
def test_calibration_is_for_one_file(
    evaluate: Evaluate,
    yard: Path,
    tagger_file: Path,
    bundle_file: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    option: str,
) -> None:
    target = tmp_path / "calibrated.safetensors"
    file = bundle_file if option == "--separator" else tagger_file
    assert evaluate(yard, "--calibrate", target, option, file) == 2
    assert f"leave out {option}" in error_line(capsys)
    assert not target.exists()


def test_the_folder_of_the_calibrated_model_is_asked_for_first(
    evaluate: Evaluate,
    yard: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("uss.evaluation.calibration_job.detect_scene", refuse_to_run)
    target = tmp_path / "gone" / "calibrated.safetensors"
    assert evaluate(yard, "--calibrate", target) == 2
    assert f"{tmp_path / 'gone'}: no such folder; make it" in error_line(capsys)
    assert not target.parent.exists()


@pytest.mark.parametrize("content", [b"no audio", None], ids=["broken", "missing"])
def test_calibration_writes_nothing_where_a_clip_is_bad(
    evaluate: Evaluate,
    yard: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    content: bytes | None,
) -> None:
    target = tmp_path / "calibrated.safetensors"
    target.write_bytes(b"older")
    clip = yard.parent / "Rain.wav"
    clip.unlink()
    if content is not None:
        clip.write_bytes(content)
    assert evaluate(yard, "--calibrate", target) == 2
    assert str(clip) in error_line(capsys)
    assert target.read_bytes() == b"older"
    assert not list(tmp_path.glob("*.part"))


def test_too_few_scenes_to_calibrate_on(
    evaluate: Evaluate, yard: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "calibrated.safetensors"
    assert evaluate(yard, "--calibrate", target, "--limit", "4") == 2
    assert "4 scenes are too few to calibrate on; give 5" in error_line(capsys)
    assert not target.exists()


def test_a_fault_is_not_blamed_on_the_scene(
    evaluate: Evaluate,
    yard: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def misfit(*_: Any, **__: Any) -> Any:
        return np.zeros(2) + np.zeros(3)

    monkeypatch.setattr("uss.evaluation.scenes.scene_job.evaluate_scene", misfit)
    assert evaluate(yard, "--limit", "1") == 1
    assert "a fault of this program, ValueError: operands" in error_line(capsys)
