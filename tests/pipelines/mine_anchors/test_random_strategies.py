"""Anchors at random places, for comparison."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.pipelines.mine_anchors.mined import (
    ANIMAL,
    DOG,
    GOOD_ROWS,
    assert_equal_up_to_rounding,
    assert_refused,
    index_of,
    read_csv,
    read_table,
)
from uss.shards import list_shards, read_settings


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
