"""Manifests of a few clips, and what the shards that are mined of them hold."""

import csv
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray

from ontology import load_ontology
from uss.shards import ShardReader, list_shards

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


GOOD_ROWS = (
    row("dog", f"{DOG};{ANIMAL}", caption="a dog barks, twice"),
    row("speech", SPEECH, caption=""),
    row("music", MUSIC, caption="Füße tanzen"),
)


def assert_refused(
    status: int, capsys: pytest.CaptureFixture[str], remedy: str, program: str = "uss-mine-anchors"
) -> None:
    stderr = capsys.readouterr().err
    lines = [line for line in stderr.splitlines() if line.strip()]
    assert status == 2
    assert len(lines) == 1, stderr
    assert lines[0].startswith(f"{program}: ")
    assert remedy in lines[0]
