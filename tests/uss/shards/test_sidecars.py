import logging
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from uss.core.errors import InputError
from uss.shards import (
    Anchor,
    ShardFiles,
    ShardReader,
    ShardSettings,
    has_sidecar,
    load_index,
    shard_path,
    update_index,
    verify,
    write_shard,
    write_sidecar,
)

MakeAnchor = Callable[..., Anchor]
SPACE = "further-3"


@pytest.fixture
def folder(tmp_path: Path, make_anchor: MakeAnchor, shard_settings: ShardSettings) -> Path:
    """Shards of two anchors, of none, and of 100."""
    for start, count in ((0, 2), (100, 0), (200, 100)):
        anchors = [make_anchor(k) for k in range(count)]
        write_shard(shard_path(tmp_path, start, start + 100), anchors, [], shard_settings)
    update_index(ShardFiles(tmp_path))
    return tmp_path


def add(folder: Path, numbers: tuple[int, ...] = (0, 1, 2), encoder: str = "abc") -> None:
    index = load_index(ShardFiles(folder))
    for number in numbers:
        entry = index.entries[number]
        rows = np.arange(3 * entry.num_anchors, dtype=np.float32).reshape(-1, 3) + 1000 * number
        blocks = [block for block in np.split(rows, range(32, len(rows), 32)) if len(block)]
        write_sidecar(folder, entry, SPACE, blocks, encoder)


def test_conditions_made_later_are_as_those_that_were_mined(folder: Path) -> None:
    add(folder)
    update_index(ShardFiles(folder))
    with ShardReader(folder) as reader:
        assert reader.spaces == {"fake-2": 2, SPACE: 3}
        assert reader.conditions(SPACE).shape == (102, 3)
        assert reader.rows_of(SPACE)[[0, 1, 2, 101]][:, 0].tolist() == [0.0, 3.0, 2000.0, 2296.0]
        assert reader.averages(SPACE).vectors[0].tolist() == [1000.0, 1001.0, 1002.0]
    assert verify(ShardFiles(folder)).problems == ()


def test_a_shard_without_one_is_named(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    add(folder, (0,))
    update_index(ShardFiles(folder))
    assert "1 of 3 shards lack a fitting side-car of 'further-3'" in caplog.text
    assert "anchors-000000200-000000300.h5; uss-mine-anchors --add-encoder" in caplog.text
    with pytest.raises(InputError, match=r"'further-3' \(they hold fake-2\).*--add-encoder"):
        ShardReader(folder).rows_of(SPACE)


def test_a_side_car_of_other_anchors_is_not_taken(
    folder: Path,
    make_anchor: MakeAnchor,
    shard_settings: ShardSettings,
    caplog: pytest.LogCaptureFixture,
) -> None:
    add(folder)
    write_shard(shard_path(folder, 0, 100), [make_anchor(9), make_anchor(8)], [], shard_settings)
    with caplog.at_level(logging.WARNING):
        index = update_index(ShardFiles(folder))
    assert SPACE not in index.spaces and "1 of 3 shards lack a fitting" in caplog.text
    assert not has_sidecar(folder, index.entries[0], SPACE, "abc")
    assert has_sidecar(folder, index.entries[2], SPACE, "abc")
    assert not has_sidecar(folder, index.entries[2], SPACE, "other")


def test_two_encoders_in_one_space(folder: Path) -> None:
    add(folder, (0,), "abc")
    add(folder, (2,), "other")
    with pytest.raises(InputError, match="'further-3' are of 2 encoders; delete them"):
        update_index(ShardFiles(folder))


def test_a_damaged_or_missing_side_car(folder: Path) -> None:
    add(folder)
    update_index(ShardFiles(folder))
    path = folder / f"anchors-000000200-000000300.{SPACE}.conditions.h5"
    whole = path.read_bytes()
    flipped = bytearray(whole)
    flipped[len(whole) // 2] ^= 1
    path.write_bytes(bytes(flipped))
    with pytest.raises(InputError, match=rf"{SPACE}.conditions.h5 is damaged"):
        ShardReader(folder)
    (problem,) = verify(ShardFiles(folder)).problems
    assert SPACE in problem and "make it again with uss-mine-anchors --add-encoder" in problem
    path.unlink()
    with pytest.raises(InputError, match=rf"{SPACE}.conditions.h5 is missing"):
        ShardReader(folder)


def test_too_few_conditions_leave_no_file(folder: Path) -> None:
    entry = load_index(ShardFiles(folder)).entries[0]
    with pytest.raises(InputError, match="holds 2 anchors, and 1 conditions of"):
        write_sidecar(folder, entry, SPACE, [np.zeros((1, 3), np.float32)], "abc")
    assert not list(folder.glob("*.conditions.h5*"))
