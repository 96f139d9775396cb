"""What shards hold: the clips' own samples, tags and embeddings."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import soundfile
import torch

from tests.pipelines.mine_anchors.mined import (
    ANIMAL,
    DOG,
    GOOD_ROWS,
    MUSIC,
    SAMPLE_RATE,
    SPEECH,
    assert_equal_tables,
    index_of,
    read_table,
    row,
)
from uss.checkpoints.loading import load_tagger, save_tagger, weight_hash
from uss.shards import ShardReader, list_shards, read_settings
from uss.taggers import EfficientAT


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


def test_summary_is_printed(mine: Callable[..., int], capsys: pytest.CaptureFixture[str]) -> None:
    assert mine([*GOOD_ROWS, row("lost", DOG, caption="")]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "4 clips, 1 skipped (skipped.csv), 4 anchors of 4 classes"
    counts = Counter({tuple(line.split()) for line in lines[1:5]})
    assert counts == Counter({("1", name) for name in ("Dog", "Animal", "Speech", "Music")})


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
