"""Class queries of the anchors, beside their shards."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from tests.pipelines.mine_anchors.mined import (
    ANIMAL,
    DOG,
    GOOD_ROWS,
    MUSIC,
    ONTOLOGY,
    SPEECH,
    WriteNoise,
    assert_refused,
    index_of,
    row,
)
from uss.checkpoints.loading import load_class_queries, load_model
from uss.conditions.class_queries import ClassQueries
from uss.core.runtime import Runtime
from uss.data.class_averages import class_queries
from uss.separation.separator import Separator
from uss.shards import ShardReader, list_shards

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
