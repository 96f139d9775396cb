import csv
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import h5py
import numpy as np
import pytest
import soundfile
import torch
from numpy.typing import NDArray

from ontology import load_ontology
from pipelines.mine_anchors import main
from uss.checkpoints.loading import (
    load_class_queries,
    load_model,
    load_tagger,
    save_tagger,
    weight_hash,
)
from uss.conditions.class_queries import ClassQueries
from uss.core.runtime import Runtime
from uss.data.class_averages import class_queries
from uss.separation.separator import Separator
from uss.shards import ShardReader, list_shards, read_settings, read_skipped
from uss.taggers import EfficientAT

SAMPLE_RATE = 32_000
SPEECH, DOG, MUSIC, ANIMAL = "/m/09x0r", "/m/0bt9lr", "/m/04rlf", "/m/0jbk"
ONTOLOGY = load_ontology()

WriteNoise = Callable[..., Path]
Row = Mapping[str, str]


def index_of(mid: str) -> int:
    index = ONTOLOGY.nodes[mid].class_index
    assert index is not None
    return index


def write_manifest(path: Path, rows: Sequence[Row]) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def row(clip_id: str, mids: str, path: str | None = None, **more: str) -> dict[str, str]:
    return {"clip_id": clip_id, "path": path or f"{clip_id}.wav", "mids": mids, **more}


def read_csv(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


class Table(NamedTuple):
    """Everything the shards of a folder say about anchors, in order."""

    clip_id: list[str]
    class_index: list[int]
    start_seconds: list[float]
    score: list[float]
    waveform: NDArray[np.float32]
    labels: NDArray[np.bool_]
    tag_probabilities: NDArray[np.float32]
    conditions: NDArray[np.float32]


def read_table(folder: Path) -> Table:
    with ShardReader(folder) as reader:
        (space,) = reader.settings.spaces
        return Table(
            list(reader.clip_id),
            reader.class_index.tolist(),
            reader.start_seconds.tolist(),
            reader.score.tolist(),
            np.stack([reader.waveform(i) for i in range(len(reader))]),
            reader.labels,
            reader.tag_probabilities,
            reader.conditions(space),
        )


def assert_equal_tables(first: Table, second: Table) -> None:
    for name, ours, theirs in zip(Table._fields, first, second, strict=True):
        assert np.array_equal(ours, theirs), name


def assert_equal_up_to_rounding(first: Table, second: Table) -> None:
    """What shares a batch may change the last bit of what networks say, and nothing else."""
    heard = ("score", "tag_probabilities", "conditions")
    for name, ours, theirs in zip(Table._fields, first, second, strict=True):
        if name in heard:
            np.testing.assert_allclose(ours, theirs, rtol=2e-3, atol=1e-4, err_msg=name)
        else:
            assert np.array_equal(ours, theirs), name


def fingerprints(folder: Path) -> dict[str, tuple[int, bytes]]:
    return {path.name: (path.stat().st_mtime_ns, path.read_bytes()) for path in list_shards(folder)}


@pytest.fixture
def audio(tmp_path: Path, write_noise: WriteNoise) -> Path:
    """Three good clips: long with two labels, stereo at 44.1 kHz, shorter than a segment."""
    folder = tmp_path / "audio"
    write_noise(folder / "dog.wav", 4.0, seed=1)
    write_noise(folder / "speech.wav", 3.0, sample_rate=44_100, num_channels=2, seed=2)
    write_noise(folder / "music.wav", 1.25, seed=3)
    return folder


GOOD_ROWS = (
    row("dog", f"{DOG};{ANIMAL}", caption="a dog barks, twice"),
    row("speech", SPEECH, caption=""),
    row("music", MUSIC, caption="Füße tanzen"),
)


@pytest.fixture
def mine(tmp_path: Path, audio: Path, tagger_file: Path) -> Callable[..., int]:
    """Mines rows into a folder; relative to the folder of the test."""

    def run(rows: Sequence[Row], output: str = "shards", *options: str | Path) -> int:
        manifest = write_manifest(tmp_path / "manifest.csv", rows)
        return main(
            [
                str(manifest),
                *("--audio-root", str(audio)),
                *("-o", str(tmp_path / output)),
                *("--tagger", str(tagger_file)),
                *map(str, options),
            ]
        )

    return run


def test_shards_keep_the_contract(
    tmp_path: Path, audio: Path, tagger_file: Path, mine: Callable[..., int]
) -> None:
    assert mine(GOOD_ROWS, "shards", "--shard-size", "2") == 0
    paths = list_shards(tmp_path / "shards")
    names = ["anchors-000000000-000000002.h5", "anchors-000000002-000000003.h5"]
    assert [path.name for path in paths] == names
    tagger = load_tagger(tagger_file)
    settings = read_settings(paths[0])
    assert (settings.sample_rate, settings.segment_samples) == (SAMPLE_RATE, 2 * SAMPLE_RATE)
    assert (settings.tagger, settings.tagger_hash) == ("tiny", weight_hash(tagger))
    space = f"tiny-{tagger.embedding_size}"
    assert settings.spaces == {space: tagger.embedding_size}
    with h5py.File(paths[0]) as file:
        shapes = {name: (file[name].shape, file[name].dtype) for name in _numeric(space)}
        assert file["waveform"].chunks == (1, 2 * SAMPLE_RATE)
        assert list(file["clip_id"].asstr()) == ["dog", "dog", "speech"]
        assert list(file["caption"].asstr()) == ["a dog barks, twice", "a dog barks, twice", ""]
        assert file.attrs["schema_version"] == 1
    assert shapes == {
        "waveform": ((3, 2 * SAMPLE_RATE), np.int16),
        "valid_samples": ((3,), np.int32),
        "class_index": ((3,), np.int16),
        "start_seconds": ((3,), np.float64),
        "score": ((3,), np.float32),
        "labels": ((3, 527), np.bool_),
        "tag_probabilities": ((3, 527), np.float16),
        f"conditions/{space}": ((3, tagger.embedding_size), np.float16),
    }
    with h5py.File(paths[1]) as file:
        assert list(file["caption"].asstr()) == ["Füße tanzen"]


def _numeric(space: str) -> list[str]:
    columns = "waveform valid_samples class_index start_seconds score labels tag_probabilities"
    return [*columns.split(), f"conditions/{space}"]


def test_anchors_are_the_clips_own_samples_tags_and_embeddings(
    tmp_path: Path, audio: Path, tagger_file: Path, mine: Callable[..., int]
) -> None:
    assert mine(GOOD_ROWS) == 0
    tagger = load_tagger(tagger_file)
    table = read_table(tmp_path / "shards")
    assert table.clip_id == ["dog", "dog", "speech", "music"]
    assert table.class_index == [index_of(mid) for mid in (DOG, ANIMAL, SPEECH, MUSIC)]
    clip, _ = soundfile.read(audio / "dog.wav", dtype="float32")
    start = round(table.start_seconds[0] * SAMPLE_RATE)
    assert 0 <= start <= len(clip) - 2 * SAMPLE_RATE
    segment = clip[start : start + 2 * SAMPLE_RATE]
    assert np.abs(table.waveform[0] - segment).max() <= 0.51 / 32767
    with torch.inference_mode():
        tagged = tagger(torch.from_numpy(segment)[None])
        framewise = tagger(torch.from_numpy(clip)[None]).framewise[0, :, index_of(DOG)]
    assert table.tag_probabilities[0] == pytest.approx(tagged.clipwise[0].numpy(), abs=1e-3)
    assert table.conditions[0] == pytest.approx(tagged.embedding[0].numpy(), rel=1e-2, abs=1e-3)
    assert float(framewise.min()) <= table.score[0] <= float(framewise.max())
    assert np.flatnonzero(table.labels[0]).tolist() == sorted([index_of(DOG), index_of(ANIMAL)])
    assert np.flatnonzero(table.labels[2]).tolist() == [index_of(SPEECH)]


def test_a_clip_shorter_than_a_segment_is_padded_with_zeros(
    tmp_path: Path, mine: Callable[..., int]
) -> None:
    assert mine(GOOD_ROWS[2:]) == 0
    with ShardReader(tmp_path / "shards") as reader:
        assert reader.valid_samples.tolist() == [1.25 * SAMPLE_RATE]
        assert reader.start_seconds.tolist() == [0.0]
        waveform = reader.waveform(0)
    assert np.all(waveform[40_000:] == 0.0)
    assert np.any(waveform[39_900:40_000] != 0.0)


def test_several_anchors_per_clip_do_not_overlap(tmp_path: Path, mine: Callable[..., int]) -> None:
    assert mine(GOOD_ROWS[:1], "shards", "--anchors-per-clip", "2", "--segment-seconds", "1") == 0
    table = read_table(tmp_path / "shards")
    for mid in (DOG, ANIMAL):
        starts = [
            start
            for start, index in zip(table.start_seconds, table.class_index, strict=True)
            if index == index_of(mid)
        ]
        assert len(starts) == 2
        assert abs(starts[0] - starts[1]) >= 1.0


def test_specific_labels_leave_out_their_ancestors(
    tmp_path: Path, mine: Callable[..., int]
) -> None:
    assert mine(GOOD_ROWS[:1], "shards", "--labels", "specific") == 0
    table = read_table(tmp_path / "shards")
    assert table.class_index == [index_of(DOG)]
    assert table.labels[0, index_of(ANIMAL)]


def test_split_and_a_second_encoder(tmp_path: Path, mine: Callable[..., int]) -> None:
    other = EfficientAT(width=0.05, name="other").eval()
    save_tagger(tmp_path / "other.safetensors", other, licence="CC0-1.0", provenance={})
    rows = [{**entry, "split": split} for entry, split in zip(GOOD_ROWS, "aba", strict=True)]
    encoders = [tmp_path / "other.safetensors", tmp_path / "copy.safetensors"]
    save_tagger(encoders[1], EfficientAT(0.05, "copy").eval(), licence="CC0-1.0", provenance={})
    assert mine(rows, "shards", "--split", "a", "--encoder", *encoders) == 0
    with ShardReader(tmp_path / "shards") as reader:
        assert sorted(set(reader.clip_id)) == ["dog", "music"]
        assert set(reader.settings.spaces) == {"other-48", "copy-48"}
        assert reader.conditions("other-48").shape == (3, 48)


# Several networks


class Calls(NamedTuple):
    """How often taggers were loaded, and which heard how many waveforms at a time."""

    loaded: list[str]
    heard: list[tuple[str, int]]


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Calls:
    calls = Calls([], [])
    forward = EfficientAT.forward

    def load(name: str, **options: Any) -> Any:
        calls.loaded.append(Path(name).name)
        return load_tagger(name, **options)

    def hear(tagger: EfficientAT, waveform: torch.Tensor) -> Any:
        calls.heard.append((tagger.name, len(waveform)))
        return forward(tagger, waveform)

    monkeypatch.setattr("uss.mining.networks.load_tagger", load)
    monkeypatch.setattr(EfficientAT, "forward", hear)
    return calls


@pytest.fixture(scope="module")
def others(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Files of two further taggers."""
    folder = tmp_path_factory.mktemp("others")
    files = {name: folder / f"{name}.safetensors" for name in ("first", "second")}
    with torch.random.fork_rng():
        for seed, (name, path) in enumerate(files.items()):
            torch.manual_seed(seed)
            tagger = EfficientAT(width=0.05, name=name).eval()
            with torch.no_grad():
                # So that its probabilities are not all 0.5.
                tagger.classifier[-1].bias.uniform_(-2.0, 2.0)
            save_tagger(path, tagger, licence="CC0-1.0", provenance={})
    return files


def test_another_network_may_tag_the_anchors(
    tmp_path: Path, tagger_file: Path, others: dict[str, Path], mine: Callable[..., int]
) -> None:
    assert mine(GOOD_ROWS, "plain") == 0
    assert mine(GOOD_ROWS, "shards", "--anchor-tagger", others["first"]) == 0
    plain, table = read_table(tmp_path / "plain"), read_table(tmp_path / "shards")
    # The same detection chooses the same segments.
    for name in ("clip_id", "class_index", "start_seconds", "score"):
        assert getattr(table, name) == getattr(plain, name)
    # The encoder, when none is named, is the anchor tagger.
    settings = read_settings(list_shards(tmp_path / "shards")[0])
    assert settings.spaces == {"first-48": 48}
    anchor_tagger = load_tagger(others["first"])
    with torch.inference_mode():
        tagged = anchor_tagger(torch.from_numpy(table.waveform))
    assert table.tag_probabilities == pytest.approx(tagged.clipwise.numpy(), abs=2e-3)
    assert np.abs(table.tag_probabilities - plain.tag_probabilities).max() > 0.1
    assert table.conditions == pytest.approx(tagged.embedding.numpy(), rel=1e-2, abs=2e-3)
    assert settings.tagger_hash == weight_hash(load_tagger(tagger_file))
    assert settings.mining["anchor_tagger"] == "first"
    assert settings.mining["anchor_tagger_hash"] == weight_hash(anchor_tagger)


@pytest.mark.parametrize(
    ("tagger", "encoders", "heard"),
    [
        ("first", ["first"], {"tiny": 1, "first": 1}),
        ("first", ["second", "first", "second"], {"tiny": 1, "first": 1, "second": 1}),
        ("first", ["tiny", "second"], {"tiny": 2, "first": 1, "second": 1}),
        ("tiny", ["tiny", "tiny"], {"tiny": 2}),
        ("tiny", ["second", "second"], {"tiny": 2, "second": 1}),
    ],
)
def test_a_network_named_twice_is_loaded_once_and_hears_the_anchors_once(
    tagger_file: Path,
    others: dict[str, Path],
    mine: Callable[..., int],
    calls: Calls,
    tagger: str,
    encoders: list[str],
    heard: dict[str, int],
) -> None:
    """One clip, of which the tagger hears the whole; two labels share at most two segments."""
    files = {"tiny": tagger_file, **others}
    options = ("--anchor-tagger", files[tagger], "--encoder", *(files[name] for name in encoders))
    assert mine(GOOD_ROWS[1:2], "shards", *options) == 0
    assert sorted(calls.loaded) == sorted(files[name].name for name in heard)
    assert Counter(name for name, _ in calls.heard) == heard


def test_all_encoders_conditions_are_stored(
    tmp_path: Path, tagger_file: Path, others: dict[str, Path], mine: Callable[..., int]
) -> None:
    assert mine(GOOD_ROWS, "shards", "--encoder", others["second"], tagger_file) == 0
    with ShardReader(tmp_path / "shards") as reader:
        assert list(reader.settings.spaces) == ["second-48", "tiny-96"]
        waveforms = np.stack([reader.waveform(row) for row in range(len(reader))])
        for path, space in ((others["second"], "second-48"), (tagger_file, "tiny-96")):
            with torch.inference_mode():
                expected = load_tagger(path)(torch.from_numpy(waveforms)).embedding.numpy()
            assert reader.conditions(space) == pytest.approx(expected, rel=1e-2, abs=2e-3)


def test_two_encoders_of_one_space_are_refused(
    tmp_path: Path, others: dict[str, Path], mine: Callable[..., int], capsys: Any
) -> None:
    """Only one of the two could be stored under that name."""
    copy = tmp_path / "copy.safetensors"
    copy.write_bytes(others["first"].read_bytes())
    status = mine(GOOD_ROWS, "shards", "--encoder", others["first"], copy)
    assert_refused(status, capsys, "2 encoders make conditions of 'first-48'")
    assert not (tmp_path / "shards").exists()


def test_shards_without_an_anchor_tagger_are_gone_on_with_by_naming_the_tagger(
    tmp_path: Path,
    tagger_file: Path,
    others: dict[str, Path],
    mine: Callable[..., int],
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert mine(GOOD_ROWS, "shards", "--shard-size", "1") == 0
    paths = list_shards(tmp_path / "shards")
    assert "anchor_tagger" not in read_settings(paths[0]).mining
    whole, before = read_table(tmp_path / "shards"), paths[0].read_bytes()
    paths[1].unlink()
    options = ("--shard-size", "1", "--anchor-tagger")
    assert mine(GOOD_ROWS, "shards", *options, tagger_file) == 0
    assert_equal_tables(read_table(tmp_path / "shards"), whole)
    assert paths[0].read_bytes() == before
    capsys.readouterr()
    status = mine(GOOD_ROWS, "shards", *options, others["first"], "--encoder", tagger_file)
    assert_refused(status, capsys, "choose an empty output folder")


def test_shards_of_one_anchor_tagger_are_not_gone_on_with_by_another(
    mine: Callable[..., int], others: dict[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    encoder = ("--encoder", others["second"])
    assert mine(GOOD_ROWS, "shards", "--anchor-tagger", others["first"], *encoder) == 0
    assert mine(GOOD_ROWS, "shards", "--anchor-tagger", others["first"], *encoder) == 0
    capsys.readouterr()
    for options in (("--anchor-tagger", others["second"]), ()):
        assert_refused(mine(GOOD_ROWS, "shards", *options, *encoder), capsys, "empty output folder")


# Class queries

# Clips of two and more labels, so that every class has anchors mined for another one.
MIXED_ROWS = (
    row("dog", f"{DOG};{ANIMAL}", caption=""),
    row("speech", f"{SPEECH};{DOG}", caption=""),
    row("music", MUSIC, caption=""),
)


def test_class_queries_lie_beside_the_shards_and_are_means_over_all_with_the_label(
    tmp_path: Path, tagger_file: Path, others: dict[str, Path], mine: Callable[..., int]
) -> None:
    folder = tmp_path / "shards"
    options = ("--shard-size", "1", "--encoder", others["second"], tagger_file)
    assert mine(MIXED_ROWS, "shards", *options) == 0
    spaces = {"second-48", "tiny-96", "audioset-527"}
    files = {path.name: path for path in folder.glob("*.safetensors")}
    assert files.keys() == {f"queries-{space}.safetensors" for space in spaces}
    for space in spaces:
        name = "tag_probabilities" if space == "audioset-527" else f"conditions/{space}"
        rows: list[NDArray[np.float64]] = []
        labels: list[set[int]] = []
        for path in list_shards(folder):
            with h5py.File(path) as file:
                rows.extend(file[name][:].astype(np.float64))
                labels.extend(set(np.flatnonzero(present)) for present in file["labels"][:])
        # Two anchors of the first clip, two of the second, one of the third.
        assert len(rows) == 5
        expected = {
            index_of(DOG): np.mean(rows[:4], axis=0),
            index_of(ANIMAL): np.mean(rows[:2], axis=0),
            index_of(SPEECH): np.mean(rows[2:4], axis=0),
            index_of(MUSIC): rows[4],
        }
        assert labels[2] == {index_of(SPEECH), index_of(DOG)}
        queries = load_class_queries(files[f"queries-{space}.safetensors"])
        assert queries.space == space
        assert queries.class_indexes == tuple(sorted(expected))
        for index, vector in zip(queries.class_indexes, queries.vectors, strict=True):
            assert vector == pytest.approx(expected[index], rel=1e-6, abs=1e-7)


def test_class_queries_are_those_of_all_shards_after_a_resumed_run(
    tmp_path: Path, mine: Callable[..., int]
) -> None:
    assert mine(GOOD_ROWS, "shards", "--shard-size", "1") == 0
    path = tmp_path / "shards" / "queries-tiny-96.safetensors"
    before = path.read_bytes()
    list_shards(tmp_path / "shards")[1].unlink()
    path.unlink()
    assert mine(GOOD_ROWS, "shards", "--shard-size", "1") == 0
    assert path.read_bytes() == before


def test_no_anchors_leave_neither_class_queries_nor_shards(
    tmp_path: Path, audio: Path, write_noise: WriteNoise, mine: Callable[..., int], capsys: Any
) -> None:
    write_noise(audio / "silent.wav", 2.5, loud_seconds=0.0)
    status = mine([row("silent", DOG), row("lost", DOG)], "shards", "--shard-size", "1")
    assert_refused(status, capsys, "none of the 2 clips")
    assert [path.name for path in (tmp_path / "shards").iterdir()] == ["skipped.csv"]


def test_one_hot_class_queries_are_one_hot_and_a_node_weighs_them(
    tmp_path: Path, mine: Callable[..., int]
) -> None:
    """Though every clip of an animal is labelled as a dog too (section 3.7)."""
    assert mine(MIXED_ROWS) == 0
    with ShardReader(tmp_path / "shards") as reader:
        queries = class_queries(reader, "audioset-527-one-hot")
    present = sorted(index_of(mid) for mid in (DOG, ANIMAL, SPEECH, MUSIC))
    assert queries.space == "audioset-527-one-hot"
    assert queries.class_indexes == tuple(present)
    assert queries.vectors.tolist() == [
        [float(k == index) for k in range(527)] for index in present
    ]
    probabilities = np.zeros((1, 527), np.float32)
    probabilities[0, [index_of(DOG), index_of(ANIMAL), index_of(SPEECH)]] = [0.6, 0.2, 0.9]
    below = ONTOLOGY.class_indexes(ONTOLOGY.nodes[ANIMAL])
    condition = queries.condition(below, probabilities)
    assert condition is not None
    expected = np.zeros(527)
    expected[[index_of(DOG), index_of(ANIMAL)]] = [0.75, 0.25]
    assert condition[0] == pytest.approx(expected)


@pytest.mark.usefixtures("quick_pictures")
def test_mined_class_queries_steer_the_default_separator(
    tmp_path: Path, write_noise: WriteNoise, mine: Callable[..., int], capsys: Any
) -> None:
    from pipelines.separate.command import main as separate

    assert mine(MIXED_ROWS, "shards", "--encoder", "default") == 0
    file = tmp_path / "shards" / "queries-uss-scenes-384.safetensors"
    scene = write_noise(tmp_path / "scene.wav", 2.5, seed=9)
    command = [str(scene), "--class-queries", str(file), "--device", "cpu", "--subtype", "FLOAT"]
    command += ["--threshold", "0", "-o", str(tmp_path / "out")]
    capsys.readouterr()
    assert separate([*command, "--class", "Dog"]) == 0
    (written,) = (tmp_path / "out").rglob("Dog.wav")
    stem, _ = soundfile.read(written, dtype="float32", always_2d=True)

    # Against the hand average, asked for through the library, and the model's own queries.
    with ShardReader(tmp_path / "shards") as reader:
        conditions = reader.conditions("uss-scenes-384")
        dogs = conditions[reader.labels[:, index_of(DOG)]].mean(axis=0, keepdims=True)
    own = ClassQueries("uss-scenes-384", (index_of(DOG),), dogs)
    by_hand, by_default = (_dog(scene, queries) for queries in (own, None))
    np.testing.assert_allclose(stem.T, by_hand, rtol=0.0, atol=1e-5)
    assert np.abs(by_hand - by_default).max() > 1e-3

    status = separate([*command, "--class", "Violin, fiddle"])
    assert_refused(status, capsys, "no query for 'Violin, fiddle'", "uss-separate")


def _dog(scene: Path, queries: ClassQueries | None) -> NDArray[np.float32]:
    separator = Separator(load_model(), class_queries=queries, runtime=Runtime.choose("cpu"))
    waveform, sample_rate = soundfile.read(scene, dtype="float32", always_2d=True)
    stem: NDArray[np.float32] = separator.separate(
        waveform.T, sample_rate, classes=[DOG], threshold=0.0
    )["Dog"]
    return stem


def test_summary_is_printed(mine: Callable[..., int], capsys: pytest.CaptureFixture[str]) -> None:
    assert mine([*GOOD_ROWS, row("lost", DOG, caption="")]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "4 clips, 1 skipped (skipped.csv), 4 anchors of 4 classes"
    counts = Counter({tuple(line.split()) for line in lines[1:5]})
    assert counts == Counter({("1", name) for name in ("Dog", "Animal", "Speech", "Music")})


def write_unusable_clips(audio: Path, write_noise: WriteNoise) -> dict[str, dict[str, str]]:
    """Rows that cannot give an anchor, each with what its reason must mention."""
    good = write_noise(audio / "good.wav", 2.5, seed=4)
    (audio / "cut.wav").write_bytes(good.read_bytes()[:30])
    (audio / "empty.wav").touch()
    (audio / "text.wav").write_text("this is no audio\n" * 100)
    (audio / "folder.wav").mkdir()
    write_noise(audio / "blink.wav", 0.2)
    write_noise(audio / "silent.wav", 2.5, loud_seconds=0.0)
    soundfile.write(audio / "nan.wav", np.full(SAMPLE_RATE, np.nan), SAMPLE_RATE, subtype="FLOAT")
    soundfile.write(audio / "nothing.wav", np.zeros(0), SAMPLE_RATE)
    return {
        "cut": row("cut", DOG),
        "empty file": row("empty", DOG),
        "not an audio": row("text", DOG),
        "not a file": row("folder", DOG),
        "shorter than 0.3 s": row("blink", DOG),
        "silent": row("silent", DOG),
        "NaN": row("nan", DOG),
        "no audio samples": row("nothing", DOG),
        "no such file": row("missing", DOG),
        "no label": row("unlabelled", "", "good.wav"),
        "unknown class": row("strange", "/m/nonsense", "good.wav"),
        "no label among": row("abstract", "/t/dd00071", "good.wav"),
    }


def test_unusable_clips_are_skipped_counted_and_listed(
    tmp_path: Path,
    audio: Path,
    write_noise: WriteNoise,
    mine: Callable[..., int],
    capsys: pytest.CaptureFixture[str],
) -> None:
    unusable = write_unusable_clips(audio, write_noise)
    rows: list[Row] = list(unusable.values())
    rows.insert(5, row("good", DOG))
    assert mine(rows, "shards", "--shard-size", "4") == 0
    assert f"{len(rows)} clips, {len(unusable)} skipped" in capsys.readouterr().out
    assert read_table(tmp_path / "shards").clip_id == ["good"]
    skipped = read_csv(tmp_path / "shards" / "skipped.csv")
    assert [entry["clip_id"] for entry in skipped] == [r["clip_id"] for r in unusable.values()]
    for expected, entry in list(zip(unusable, skipped, strict=True))[1:]:
        assert expected in entry["reason"], entry
        assert "\n" not in entry["reason"]
    stored = [entry for path in list_shards(tmp_path / "shards") for entry in read_skipped(path)]
    assert [entry.clip_id for entry in stored] == [entry["clip_id"] for entry in skipped]


def test_an_audio_root_without_any_of_the_files_is_refused(
    tmp_path: Path, audio: Path, mine: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    status = mine([row("lost", DOG), row("gone", DOG)], "shards", "--shard-size", "1")
    assert_refused(status, capsys, f"{audio / 'lost.wav'}; name another --audio-root")
    assert not (tmp_path / "shards").exists()


def test_a_clip_whose_header_promises_billions_of_samples_is_not_fatal(
    tmp_path: Path, audio: Path, mine: Callable[..., int]
) -> None:
    path = audio / "huge.flac"
    soundfile.write(path, 0.1 * np.sin(np.arange(SAMPLE_RATE)), SAMPLE_RATE, subtype="PCM_16")
    content = bytearray(path.read_bytes())
    # The last 36 bits of this part of STREAMINFO are the number of samples.
    content[21:26] = bytes([content[21] | 0x0F, 0xFF, 0xFF, 0xFF, 0xFF])
    path.write_bytes(content)
    assert mine([row("huge", DOG, "huge.flac", caption=""), *GOOD_ROWS]) == 0
    assert "speech" in read_table(tmp_path / "shards").clip_id


def test_a_second_run_does_nothing(
    tmp_path: Path, mine: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [*GOOD_ROWS, row("lost", DOG, caption="")]
    assert mine(rows, "shards", "--shard-size", "2") == 0
    first, before = capsys.readouterr().out, fingerprints(tmp_path / "shards")
    assert mine(rows, "shards", "--shard-size", "2") == 0
    assert fingerprints(tmp_path / "shards") == before
    assert capsys.readouterr().out.splitlines()[0] == first.splitlines()[0]
    assert len(read_table(tmp_path / "shards").clip_id) == 4
    assert len(read_csv(tmp_path / "shards" / "skipped.csv")) == 1


def test_a_left_over_part_file_does_no_harm(tmp_path: Path, mine: Callable[..., int]) -> None:
    folder = tmp_path / "shards"
    folder.mkdir()
    part = folder / "anchors-000000000-000000003.h5.part"
    part.write_bytes(b"half of a shard")
    assert mine(GOOD_ROWS) == 0
    assert mine(GOOD_ROWS, "clean") == 0
    assert_equal_tables(read_table(folder), read_table(tmp_path / "clean"))
    assert not part.exists()


def test_a_missing_shard_alone_is_mined_again(tmp_path: Path, mine: Callable[..., int]) -> None:
    assert mine(GOOD_ROWS, "shards", "--shard-size", "1") == 0
    whole = read_table(tmp_path / "shards")
    paths = list_shards(tmp_path / "shards")
    paths[1].unlink()
    kept = [paths[0].read_bytes(), paths[2].read_bytes()]
    assert mine(GOOD_ROWS, "shards", "--shard-size", "1") == 0
    assert [paths[0].read_bytes(), paths[2].read_bytes()] == kept
    assert_equal_tables(read_table(tmp_path / "shards"), whole)


def assert_refused(
    status: int, capsys: pytest.CaptureFixture[str], remedy: str, program: str = "uss-mine-anchors"
) -> None:
    stderr = capsys.readouterr().err
    lines = [line for line in stderr.splitlines() if line.strip()]
    assert status == 2
    assert len(lines) == 1, stderr
    assert lines[0].startswith(f"{program}: ")
    assert remedy in lines[0]


@pytest.mark.parametrize(
    "options",
    [
        ("--segment-seconds", "1"),
        ("--anchors-per-clip", "2"),
        ("--labels", "specific"),
        ("--shard-size", "2"),
        ("--strategy", "out-clip-random"),
    ],
)
def test_other_settings_in_the_same_folder_are_refused(
    tmp_path: Path,
    mine: Callable[..., int],
    capsys: pytest.CaptureFixture[str],
    options: tuple[str, ...],
) -> None:
    assert mine(GOOD_ROWS) == 0
    before = fingerprints(tmp_path / "shards")
    capsys.readouterr()
    assert_refused(mine(GOOD_ROWS, "shards", *options), capsys, "choose an empty output folder")
    assert fingerprints(tmp_path / "shards") == before


@pytest.mark.parametrize("option", ["--tagger", "--encoder"])
def test_other_weights_of_the_same_name_in_the_same_folder_are_refused(
    tmp_path: Path,
    mine: Callable[..., int],
    capsys: pytest.CaptureFixture[str],
    option: str,
) -> None:
    assert mine(GOOD_ROWS) == 0
    capsys.readouterr()
    other = EfficientAT(width=0.1, name="tiny").eval()
    save_tagger(tmp_path / "other.safetensors", other, licence="CC0-1.0", provenance={})
    status = mine(GOOD_ROWS, "shards", option, tmp_path / "other.safetensors")
    assert_refused(status, capsys, "choose an empty output folder")


@pytest.mark.parametrize(
    "rows",
    [
        pytest.param([*GOOD_ROWS, row("more", DOG, "dog.wav", caption="")], id="longer"),
        pytest.param(GOOD_ROWS[:2], id="shorter"),
        pytest.param(
            [row(f"new-{i}", SPEECH, "speech.wav", caption="") for i in range(3)],
            id="other clips, as many",
        ),
    ],
)
def test_another_manifest_in_the_same_folder_is_refused(
    mine: Callable[..., int], capsys: pytest.CaptureFixture[str], rows: Sequence[Row]
) -> None:
    assert mine(GOOD_ROWS) == 0
    capsys.readouterr()
    assert_refused(mine(rows), capsys, "choose an empty output folder")


def test_a_broken_shard_is_named_not_replaced(
    tmp_path: Path, mine: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "shards"
    folder.mkdir()
    broken = folder / "anchors-000000000-000000003.h5"
    broken.write_bytes(b"not HDF5")
    assert_refused(mine(GOOD_ROWS), capsys, "delete it and mine again")
    assert broken.read_bytes() == b"not HDF5"


BAD_INPUT: dict[str, tuple[dict[str, Any], str]] = {
    "no such manifest": ({"manifest": "nowhere.csv"}, "nowhere.csv"),
    "manifest without mids": ({"columns": "clip_id,path"}, "mids"),
    "manifest without ids": ({"columns": "path,mids"}, "clip_id"),
    "manifest that is audio": ({"manifest": "audio/dog.wav"}, "is not a CSV file"),
    "empty manifest": ({"columns": ""}, "is not a CSV file"),
    "manifest without rows": ({"columns": "clip_id,path,mids"}, "has no rows"),
    "no such audio root": ({"root": "nowhere"}, "--audio-root"),
    "audio root is a file": ({"root": "audio/dog.wav"}, "--audio-root"),
    "no such tagger": ({"options": ("--tagger", "nowhere.safetensors")}, "check the path"),
    "no such encoder": ({"options": ("--encoder", "nowhere.pt")}, "nowhere.pt"),
    "tagger that is audio": ({"options": ("--tagger", "audio/dog.wav")}, "audio/dog.wav"),
    "no such split": ({"options": ("--split", "x")}, "split"),
    "segments too short": ({"options": ("--segment-seconds", "0.1")}, "0.5 to 10"),
    "segments of no length": ({"options": ("--segment-seconds", "nan")}, "0.5 to 10"),
    "unknown strategy": ({"options": ("--strategy", "random")}, "in-clip-random"),
    "one anchor to mix with itself": (
        {"options": ("--strategy", "in-clip-random", "--anchors-per-clip", "1")},
        "choose 2 or more",
    ),
    "negative seed": ({"options": ("--seed", "-1")}, "0 or more"),
    "no anchors": ({"options": ("--anchors-per-clip", "0")}, "1 or more"),
    "shards of nothing": ({"options": ("--shard-size", "0")}, "1 or more"),
    "half a worker": ({"options": ("--workers", "0.5")}, "whole number"),
    "half precision": ({"options": ("--precision", "fp16")}, "bf16"),
    "a tagger that bf16 blurs": ({"options": ("--precision", "bf16")}, "choose auto or fp32"),
    "a share of no cluster": ({"options": ("--cpus-per-worker", "2")}, "name one by --ray"),
    "less than no GPU": ({"options": ("--ray", "local", "--gpus-per-worker", "-1")}, "0 to 64"),
    "one and a half GPUs": (
        {"options": ("--ray", "local", "--gpus-per-worker", "1.5")},
        "a fraction or a whole number",
    ),
    "unknown option": ({"options": ("--shards", "3")}, "--help"),
    "abbreviated option": ({"options": ("--seg", "3")}, "--help"),
}


def bad_command(folder: Path, tagger: Path, case: Mapping[str, Any]) -> list[str]:
    manifest = folder / case.get("manifest", "manifest.csv")
    if "columns" in case:
        manifest.write_text(f"{case['columns']}\n" if case["columns"] else "")
    elif "manifest" not in case:
        write_manifest(manifest, GOOD_ROWS)
    command = [str(manifest), "--audio-root", str(folder / case.get("root", "audio"))]
    options = [str(folder / o) if (folder / o).exists() else o for o in case.get("options", ())]
    return [*command, "-o", str(folder / "shards"), "--tagger", str(tagger), *options]


@pytest.mark.parametrize("name", BAD_INPUT)
@pytest.mark.usefixtures("audio")
def test_bad_input_is_one_line_and_status_2(
    tmp_path: Path, tagger_file: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    case, remedy = BAD_INPUT[name]
    assert_refused(main(bad_command(tmp_path, tagger_file, case)), capsys, remedy)
    assert not (tmp_path / "shards").exists()


@pytest.mark.usefixtures("audio")
def test_bad_input_is_one_line_in_the_shell(
    tmp_path: Path, tagger_file: Path, run_command: Callable[..., Any]
) -> None:
    case, remedy = BAD_INPUT["no such manifest"]
    done = run_command("pipelines.mine_anchors", *bad_command(tmp_path, tagger_file, case))
    assert done.returncode == 2
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1
    assert remedy in done.stderr


def test_a_run_in_the_shell_equals_one_in_the_process(
    tmp_path: Path,
    audio: Path,
    tagger_file: Path,
    mine: Callable[..., int],
    run_command: Callable[..., Any],
) -> None:
    assert mine(GOOD_ROWS) == 0
    done = run_command(
        "pipelines.mine_anchors",
        tmp_path / "manifest.csv",
        *("--audio-root", audio),
        *("-o", tmp_path / "again"),
        *("--tagger", tagger_file),
        *("--workers", "1"),
    )
    assert done.returncode == 0, done.stderr
    assert "3 clips, 0 skipped" in done.stdout
    assert_equal_tables(read_table(tmp_path / "again"), read_table(tmp_path / "shards"))


# Random strategies


def test_in_clip_anchors_of_a_clip_are_shared_by_its_labels(
    tmp_path: Path, mine: Callable[..., int]
) -> None:
    assert mine(GOOD_ROWS, "shards", "--strategy", "in-clip-random", "--seed", "4") == 0
    table = read_table(tmp_path / "shards")
    # The clip of three seconds and the one of 1.25 are too short for two segments of two.
    assert table.clip_id == ["dog"] * 4
    assert table.class_index == [index_of(mid) for mid in (DOG, DOG, ANIMAL, ANIMAL)]
    assert table.start_seconds[:2] == table.start_seconds[2:]
    reasons = [entry["reason"] for entry in read_csv(tmp_path / "shards" / "skipped.csv")]
    assert len(reasons) == 2
    assert all("too short" in reason for reason in reasons)
    recorded = read_settings(list_shards(tmp_path / "shards")[0]).mining
    assert recorded["strategy"] == "in-clip-random"
    assert (recorded["seed"], recorded["anchors_per_clip"]) == (4, 2)


def test_random_anchors_do_not_depend_on_shards_or_stops(
    tmp_path: Path, mine: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    options = ("--strategy", "out-clip-random", "--segment-seconds", "1")
    assert mine(GOOD_ROWS, "whole", *options) == 0
    assert mine(GOOD_ROWS, "parts", *options, "--shard-size", "1") == 0
    whole = read_table(tmp_path / "whole")
    assert whole.clip_id == ["dog", "dog", "speech", "music"]
    assert_equal_up_to_rounding(read_table(tmp_path / "parts"), whole)
    list_shards(tmp_path / "parts")[1].unlink()
    assert mine(GOOD_ROWS, "parts", *options, "--shard-size", "1") == 0
    assert_equal_up_to_rounding(read_table(tmp_path / "parts"), whole)
    capsys.readouterr()
    status = mine(GOOD_ROWS, "whole", *options, "--seed", "1")
    assert_refused(status, capsys, "choose an empty output folder")
    assert mine(GOOD_ROWS, "other", *options, "--seed", "1") == 0
    assert read_table(tmp_path / "other").start_seconds != whole.start_seconds


def test_shards_of_the_first_release_are_gone_on_with(
    tmp_path: Path, mine: Callable[..., int]
) -> None:
    assert mine(GOOD_ROWS, "shards", "--shard-size", "1", "--seed", "7") == 0
    mining = read_settings(list_shards(tmp_path / "shards")[0]).mining
    # What that release recorded, and no more.
    assert set(mining) == {
        "segment_seconds",
        "anchors_per_clip",
        "labels",
        "strategy",
        "shard_size",
        "manifest_hash",
        "encoder_hashes",
    }
    assert mining["strategy"] == "sed"
    assert mine(GOOD_ROWS, "shards", "--shard-size", "1") == 0


# AudioSet's own files

AUDIOSET_HEADER = (
    "# Segments csv created Sun Mar  5 10:54:25 2017\n"
    "# num_ytids=20371, num_segs=20371, num_unique_labels=527, num_positive_labels=51804\n"
    "# YTID, start_seconds, end_seconds, positive_labels\n"
)


@pytest.fixture
def mine_audioset(tmp_path: Path, tagger_file: Path) -> Callable[..., int]:
    def run(rows: str, *options: str) -> int:
        (tmp_path / "eval_segments.csv").write_text(AUDIOSET_HEADER + rows)
        command = [str(tmp_path / "eval_segments.csv"), "--audio-root", str(tmp_path / "audio")]
        command += ["-o", str(tmp_path / "shards"), "--tagger", str(tagger_file)]
        return main([*command, *options])

    return run


def test_audiosets_files_are_mined_as_they_are(
    tmp_path: Path, write_noise: WriteNoise, mine_audioset: Callable[..., int]
) -> None:
    audio = tmp_path / "audio"
    write_noise(audio / "eval" / "Y--4gqARaEJE.wav", 2.5, seed=1)
    write_noise(audio / "-twice_____7_30.wav", 2.5, seed=2)
    rows = (
        f'--4gqARaEJE, 0.000, 10.000, "{DOG},{ANIMAL}"\n'
        f'--BfvyPmVMo, 20.000, 30.000, "{SPEECH}"\n'
        f'-twice_____7, 30.000, 40.000, "{MUSIC}"\n'
        f'-twice_____7, 90.000, 100.000, "{MUSIC}"\n'
    )
    assert mine_audioset(rows) == 0
    table = read_table(tmp_path / "shards")
    assert table.clip_id == ["--4gqARaEJE", "--4gqARaEJE", "-twice_____7_30000"]
    assert table.class_index == [index_of(mid) for mid in (DOG, ANIMAL, MUSIC)]
    skipped = read_csv(tmp_path / "shards" / "skipped.csv")
    assert [(entry["clip_id"], entry["reason"]) for entry in skipped] == [
        ("--BfvyPmVMo", "no audio file"),
        ("-twice_____7_90000", "no audio file"),
    ]
    # Nothing has come since.
    before = fingerprints(tmp_path / "shards")
    assert mine_audioset(rows) == 0
    assert fingerprints(tmp_path / "shards") == before
    # Files that come later do not make it another manifest; they alone are mined.
    write_noise(audio / "--BfvyPmVMo.wav", 2.5, seed=3)
    assert mine_audioset(rows) == 0
    later = read_table(tmp_path / "shards")
    assert later.clip_id == ["--4gqARaEJE", "--4gqARaEJE", "--BfvyPmVMo", "-twice_____7_30000"]
    skipped = read_csv(tmp_path / "shards" / "skipped.csv")
    assert [entry["clip_id"] for entry in skipped] == ["-twice_____7_90000"]


@pytest.mark.usefixtures("audio")
def test_an_audio_root_without_any_of_the_clips_is_refused(
    tmp_path: Path, mine_audioset: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    status = mine_audioset(f'--4gqARaEJE, 0.000, 10.000, "{DOG}"\n')
    assert_refused(
        status,
        capsys,
        "--4gqARaEJE.*, perhaps with a Y before; name the folder that holds the files",
    )
    assert not (tmp_path / "shards").exists()


NUM_CLIPS = 24


@pytest.fixture
def many_clips(audio: Path, write_noise: WriteNoise) -> list[Row]:
    """Ten-second clips of one or two labels, one clip of them missing."""
    for number in range(NUM_CLIPS):
        if number != 3:
            write_noise(audio / f"clip{number}.wav", 10.0, seed=100 + number)
    labels = (DOG, f"{SPEECH};{MUSIC}", MUSIC)
    return [row(f"clip{number}", labels[number % 3]) for number in range(NUM_CLIPS)]


def kill_after_first_shard(command: Sequence[str], shards: Path, env: dict[str, str]) -> None:
    """Start a run and SIGKILL it once a shard is complete."""
    with subprocess.Popen(
        command, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        deadline = time.monotonic() + 120.0
        while not list_shards(shards) and process.poll() is None:
            assert time.monotonic() < deadline, "no shard appeared"
            time.sleep(0.001)
        os.kill(process.pid, signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL, "the run ended before it could be killed"


@pytest.mark.parametrize("strategy", ["sed", "in-clip-random"])
def test_a_killed_run_goes_on_without_losing_or_repeating_an_anchor(
    strategy: str,
    tmp_path: Path,
    audio: Path,
    tagger_file: Path,
    many_clips: list[Row],
    mine: Callable[..., int],
    command_environment: dict[str, str],
) -> None:
    manifest = write_manifest(tmp_path / "manifest.csv", many_clips)
    command = [sys.executable, "-m", "pipelines.mine_anchors", str(manifest)]
    command += ["--audio-root", str(audio), "-o", str(tmp_path / "killed")]
    options = ["--shard-size", "2", "--strategy", strategy]
    command += ["--tagger", str(tagger_file), *options]
    kill_after_first_shard(command, tmp_path / "killed", command_environment)
    survived = fingerprints(tmp_path / "killed")
    assert 0 < len(survived) < NUM_CLIPS // 2
    assert mine(many_clips, "killed", *options) == 0
    assert mine(many_clips, "whole", *options) == 0
    resumed = read_table(tmp_path / "killed")
    assert_equal_tables(resumed, read_table(tmp_path / "whole"))
    after = fingerprints(tmp_path / "killed")
    assert {name: after[name] for name in survived} == survived
    assert not list((tmp_path / "killed").glob("*.part"))
    anchors = list(zip(resumed.clip_id, resumed.class_index, resumed.start_seconds, strict=True))
    assert len(anchors) == len(set(anchors)) == (31 if strategy == "sed" else 62)
    skipped = read_csv(tmp_path / "killed" / "skipped.csv")
    assert [entry["clip_id"] for entry in skipped] == ["clip3"]
