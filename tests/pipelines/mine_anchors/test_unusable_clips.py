"""Clips that give no anchor are skipped, and told."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests.pipelines.mine_anchors.mined import (
    DOG,
    GOOD_ROWS,
    SAMPLE_RATE,
    Row,
    WriteNoise,
    assert_refused,
    read_csv,
    read_table,
    row,
)
from uss.shards import list_shards, read_skipped


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
