import csv
import logging
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from uss.data.clip_datamodule import ClipDataModule
from uss.data.clip_mixtures import ClipMixtures, ClipSegments
from uss.data.sharing import Place

RATE = 8_000
SEGMENT = 800


def write_clips(folder: Path, clips: dict[str, np.ndarray], groups: dict[str, str]) -> Path:
    with (folder / "clips.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["clip_id", "path", "group"])
        for name, samples in clips.items():
            soundfile.write(folder / f"{name}.wav", samples, RATE, subtype="FLOAT")
            table.writerow([name, f"{name}.wav", groups.get(name, "")])
    return folder / "clips.csv"


def segments_of(manifest: Path, **options: object) -> ClipSegments:
    given = {"split": None, "sample_rate": RATE, "segment_samples": SEGMENT, **options}
    return ClipSegments(manifest, manifest.parent, **given)  # type: ignore[arg-type]


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    """Three clips, each of a constant of its own; two were recorded together."""
    values = {"one": 0.1, "two": 0.2, "three": 0.4}
    clips = {name: np.full(2_000, value, np.float32) for name, value in values.items()}
    return write_clips(tmp_path, clips, {"one": "field", "two": "field"})


def mixtures(segments: ClipSegments, **options: object) -> ClipMixtures:
    given = {"level_db": None, "batch_size": 6, "mixture_rms": None, "seed": 0, **options}
    return ClipMixtures(segments, **given)  # type: ignore[arg-type]


def test_a_batch_sums_segments_of_two_recordings(manifest: Path) -> None:
    batches = mixtures(segments_of(manifest))
    seen = set()
    for n in range(3):
        mixture, parts = batches[n]
        assert mixture.shape == (6, 1, SEGMENT) and parts.shape == (6, 2, SEGMENT)
        torch.testing.assert_close(mixture[:, 0], parts.sum(dim=1))
        seen |= {tuple(round(v, 3) for v in pair) for pair in parts[:, :, 0].tolist()}
    # Never the same recording twice, nor two of one group.
    assert seen == {(0.1, 0.4), (0.2, 0.4), (0.4, 0.1), (0.4, 0.2)}


def test_batch_n_depends_on_seed_and_n_alone_and_is_shared_evenly(manifest: Path) -> None:
    whole = mixtures(segments_of(manifest), level_db=5.0)
    again = mixtures(segments_of(manifest), level_db=5.0)
    again[0]
    assert torch.equal(whole[3].parts, again[3].parts)
    assert not torch.equal(whole[3].parts, whole[4].parts)
    assert not torch.equal(whole[3].parts, mixtures(segments_of(manifest), seed=1)[3].parts)
    shares = [
        mixtures(segments_of(manifest), level_db=5.0, place=Place(rank, 3))[3] for rank in range(3)
    ]
    assert torch.equal(torch.cat([share.parts for share in shares]), whole[3].parts)


def test_levels_lie_within_what_is_asked_and_mixtures_have_one(manifest: Path) -> None:
    batch = mixtures(segments_of(manifest), level_db=6.0, mixture_rms=0.1, batch_size=60)[0]
    rms = batch.parts.square().mean(dim=2).sqrt()
    ratio_db = 20.0 * torch.log10(rms[:, 0] / rms[:, 1])
    assert ratio_db.abs().max() <= 12.0 + 1e-3
    assert ratio_db.std() > 2.0
    level = batch.mixture.square().mean(dim=2).sqrt()
    torch.testing.assert_close(level, torch.full_like(level, 0.1))
    equal = mixtures(segments_of(manifest), level_db=0.0)[0].parts.square().mean(dim=2)
    torch.testing.assert_close(equal[:, 0], equal[:, 1])


def test_a_clip_shorter_than_a_segment_lies_somewhere_in_it(tmp_path: Path) -> None:
    manifest = write_clips(tmp_path, {"short": np.full(100, 0.5), "other": np.full(2_000, 0.1)}, {})
    segments = segments_of(manifest)
    for place, first in ((0.0, 0), (0.5, 350), (0.9999, 700)):
        segment = segments.segment(0, place)
        assert segment is not None
        np.testing.assert_array_equal(np.flatnonzero(segment), np.arange(first, first + 100))


def test_a_long_clip_is_cut_everywhere(tmp_path: Path) -> None:
    manifest = write_clips(
        tmp_path, {"ramp": np.linspace(0.1, 0.9, 1_000), "other": np.full(900, 0.1)}, {}
    )
    segments = segments_of(manifest)
    starts = [segments.segment(0, place) for place in (0.0, 0.9999)]
    assert starts[0] is not None and starts[1] is not None
    assert starts[0][0] == pytest.approx(0.1) and starts[1][-1] == pytest.approx(0.9)


def test_rows_mean_parts_of_a_film(tmp_path: Path) -> None:
    """Seconds 1 to 2 and 3 to the end; a part that begins behind the end is passed over."""
    seconds = np.repeat([0.1, 0.2, 0.3, 0.4], RATE)
    soundfile.write(tmp_path / "film.wav", seconds, RATE, subtype="FLOAT")
    manifest = tmp_path / "log.csv"
    manifest.write_text(
        "clip_id,path,start_seconds,end_seconds\n"
        "first,film.wav,1,2\nlast,film.wav,3,\ngone,film.wav,9,10\n"
    )
    parts = mixtures(segments_of(manifest), batch_size=20)[0].parts
    assert {tuple(round(v, 3) for v in pair) for pair in parts[:, :, 0].tolist()} == {
        (0.2, 0.4),
        (0.4, 0.2),
    }
    torch.testing.assert_close(parts, parts[..., :1].expand_as(parts))


def test_silent_and_broken_clips_are_passed_over_and_missing_ones_counted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    clips = {name: np.full(900, 0.1) for name in ("a", "b")} | {"silent": np.zeros(900)}
    manifest = write_clips(tmp_path, clips, {})
    (tmp_path / "broken.wav").write_bytes(b"no audio")
    with manifest.open("a") as file:
        file.write("broken,broken.wav,\nmissing,missing.wav,\n")
    with caplog.at_level(logging.WARNING):
        segments = segments_of(manifest)
        batch = mixtures(segments, batch_size=20)[0]
    assert "1 of the 5 clips" in caplog.text and "broken.wav" in caplog.text
    torch.testing.assert_close(batch.parts, torch.full_like(batch.parts, 0.1))


def test_what_makes_no_mixture_is_refused(tmp_path: Path) -> None:
    one = write_clips(tmp_path, {"a": np.ones(900), "b": np.ones(900)}, {"a": "x", "b": "x"})
    with pytest.raises(ValueError, match="fewer than two recordings"):
        segments_of(one)
    silent = write_clips(tmp_path, {"a": np.zeros(900), "b": np.zeros(900)}, {})
    with pytest.raises(ValueError, match="silent and broken clips"):
        mixtures(segments_of(silent))[0]
    with pytest.raises(ValueError, match="level_db -1"):
        mixtures(segments_of(silent), level_db=-1.0)
    with pytest.raises(FileNotFoundError, match="no such manifest"):
        segments_of(tmp_path / "none.csv")


@pytest.mark.parametrize("num_workers", [0, 1])
def test_the_data_module_mixes_what_workers_have_decoded(manifest: Path, num_workers: int) -> None:
    data = ClipDataModule(
        str(manifest),
        str(manifest.parent),
        sample_rate=RATE,
        segment_seconds=SEGMENT / RATE,
        batch_size=2,
        steps_per_epoch=2,
        num_workers=num_workers,
    )
    data.setup("fit")
    for n, read in enumerate(data.train_dataloader()):
        batch = data.on_after_batch_transfer(read, 0)
        assert torch.equal(batch.parts, data.training[n].parts)
