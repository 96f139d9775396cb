"""Runs that go on after others, and folders of other runs."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from tests.pipelines.mine_anchors.mined import (
    DOG,
    GOOD_ROWS,
    MUSIC,
    SPEECH,
    Row,
    WriteNoise,
    assert_equal_tables,
    assert_refused,
    fingerprints,
    read_csv,
    read_table,
    row,
    write_manifest,
)
from uss.checkpoints.loading import save_tagger
from uss.shards import list_shards, read_settings
from uss.taggers import EfficientAT


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
