"""AudioSet's segment lists as they are."""

from collections.abc import Callable
from pathlib import Path

import pytest

from pipelines.mine_anchors import main
from tests.pipelines.mine_anchors.mined import (
    ANIMAL,
    DOG,
    MUSIC,
    SPEECH,
    WriteNoise,
    assert_refused,
    fingerprints,
    index_of,
    read_csv,
    read_table,
)

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
