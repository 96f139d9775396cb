import copy
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from uss.taggers import HTSAT, NUM_CLASSES, TAGGERS, Tagger
from uss.taggers.htsat import _square, _stretch, _to_input_frames, _window_starts

Published = Callable[[str], dict[str, Any]]


@pytest.fixture(scope="module")
def htsat(published: Published) -> HTSAT:
    return HTSAT.from_state_dict(published("htsat"), "htsat.ckpt")


def noise(seed: int, shape: tuple[int, ...]) -> torch.Tensor:
    values = np.random.Generator(np.random.PCG64(seed)).standard_normal(shape)
    return torch.from_numpy((0.1 * values).astype(np.float32))


@pytest.mark.parametrize(
    ("fixture", "seed", "num_samples"), [("ten_seconds", 13, 320_000), ("two_seconds", 14, 64_000)]
)
def test_published_weights_give_the_published_numbers(
    htsat: HTSAT, shared: Path, fixture: str, seed: int, num_samples: int
) -> None:
    reference = np.load(shared / "parity" / "htsat.npz")
    waveform = noise(seed, (1, num_samples))
    with torch.inference_mode():
        raw = htsat.tag_image(htsat.image(waveform))
        output = htsat(waveform)
    assert raw.framewise.shape == (1, 1024, NUM_CLASSES)
    for got, name in [
        (raw.clipwise[0], "clipwise"),
        (raw.embedding[0], "embedding"),
        (raw.framewise[0, ::32], "framewise_every_32"),
        (output.clipwise[0], "clipwise"),
        (output.embedding[0], "embedding"),
    ]:
        np.testing.assert_allclose(got, reference[f"{fixture}_{name}"], atol=1e-4, rtol=0.0)


def test_it_is_a_tagger(htsat: HTSAT) -> None:
    assert isinstance(htsat, Tagger)
    assert (htsat.name, htsat.sample_rate) == ("htsat", 32_000)
    assert (htsat.frames_per_second, htsat.embedding_size) == (100.0, 768)
    assert not htsat.training


@pytest.mark.parametrize("num_samples", [0, 1, 512, 16_000, 64_000, 327_679, 327_680, 400_000])
def test_any_length_gives_a_hundred_frames_per_second(htsat: HTSAT, num_samples: int) -> None:
    with torch.inference_mode():
        output = htsat(noise(1, (1, num_samples)))
    assert output.clipwise.shape == (1, NUM_CLASSES)
    assert output.framewise.shape == (1, num_samples // 320 + 1, NUM_CLASSES)
    assert output.embedding.shape == (1, 768)
    assert all(torch.isfinite(part).all() for part in output)


@pytest.mark.parametrize("num_frames", [2, 51, 201, 401, 513, 1001, 1024])
def test_frames_of_the_stretched_image_are_mapped_back(num_frames: int) -> None:
    """A curve that ends where it begins survives tiling, stretching and mapping.

    Up to half a frame, over which the sine changes by at most pi / (F - 1).
    """
    curve = torch.sin(torch.linspace(0.0, 2.0 * math.pi, num_frames))
    stretched = _stretch(curve.expand(1, 64, num_frames))
    assert stretched.shape == (1, 64, 1024)
    back = _to_input_frames(stretched.transpose(1, 2), num_frames)
    assert back.shape == (1, num_frames, 64)
    assert float((back - curve[None, :, None]).abs().max()) <= math.pi / (num_frames - 1)


@pytest.mark.parametrize(("num_frames", "centre"), [(101, 30), (201, 150), (401, 100), (1001, 700)])
def test_a_peak_comes_back_within_a_time_step(num_frames: int, centre: int) -> None:
    """The network averages 32 frames of the stretched image and repeats the step 32 times."""
    frames = torch.arange(num_frames)
    curve = torch.exp(-0.5 * ((frames - centre) / 8.0) ** 2)
    steps = _stretch(curve.expand(1, 64, num_frames))[0, 0].reshape(32, 32).mean(dim=1)
    raw = steps.repeat_interleave(32)[None, :, None]
    back = _to_input_frames(raw, num_frames)[0, :, 0]
    assert abs(float((frames * back**2).sum() / (back**2).sum()) - centre) < 10
    assert abs(int(back.argmax()) - centre) <= 16


@pytest.mark.parametrize(("seconds", "centre_seconds"), [(2, 0.5), (2, 1.5), (8, 5.5), (25, 20.0)])
def test_framewise_changes_most_where_the_sound_is(
    htsat: HTSAT, seconds: int, centre_seconds: float
) -> None:
    """A tone burst in noise: tiled (2 s), stretched (8 s), in windows (25 s)."""
    quiet = noise(1, (1, seconds * 32_000)) / 2.0
    start = int(centre_seconds * 32_000) - 3_200
    loud = quiet.clone()
    loud[0, start : start + 6_400] += 0.3 * torch.sin(
        2.0 * math.pi * 1000.0 * torch.arange(6_400) / 32_000
    )
    with torch.inference_mode():
        change = (htsat(loud).framewise - htsat(quiet).framewise)[0].abs().sum(dim=1)
    peak_seconds = float((change >= 0.95 * change.max()).nonzero().double().mean()) / 100.0
    assert peak_seconds == pytest.approx(centre_seconds, abs=0.32)


def test_long_audio_is_merged_from_windows(htsat: HTSAT) -> None:
    waveform = noise(2, (1, 500_000))
    with torch.inference_mode():
        output = htsat(waveform)
        image = htsat.image(waveform)
        assert image.shape[-1] == 1563
        first, last = (htsat.tag_image(image[..., a : a + 1024]) for a in (0, 539))
    torch.testing.assert_close(output.clipwise, torch.maximum(first.clipwise, last.clipwise))
    torch.testing.assert_close(output.embedding, (first.embedding + last.embedding) / 2.0)
    torch.testing.assert_close(output.framewise[:, :1024], first.framewise)
    torch.testing.assert_close(output.framewise[:, 1024:], last.framewise[:, 485:])


@pytest.mark.parametrize(
    ("num_frames", "starts"),
    [
        (2, [0]),
        (1024, [0]),
        (1025, [0, 1]),
        (2048, [0, 1024]),
        (2049, [0, 1024, 1025]),
        (3000, [0, 1024, 1976]),
    ],
)
def test_windows_cover_the_image(num_frames: int, starts: list[int]) -> None:
    assert _window_starts(num_frames) == starts


def test_quarters_are_stacked_along_frequency() -> None:
    image = torch.arange(64 * 1024.0).reshape(1, 64, 1024)
    square = _square(image)
    assert square.shape == (1, 1, 256, 256)
    for piece, band, frame in [(0, 0, 0), (0, 63, 255), (1, 5, 7), (3, 63, 255)]:
        expected = image[0, band, 256 * piece + frame]
        assert square[0, 0, 64 * piece + band, frame] == expected


def test_a_batch_is_tagged_as_its_rows(htsat: HTSAT) -> None:
    batch = noise(5, (3, 40_000)) * torch.tensor([[1.0], [0.1], [0.0]])
    with torch.inference_mode():
        together = htsat(batch)
        alone = [htsat(row[None]) for row in batch]
    for part in ("clipwise", "framewise", "embedding"):
        expected = torch.cat([getattr(output, part) for output in alone])
        torch.testing.assert_close(getattr(together, part), expected, atol=2e-5, rtol=1e-4)


@pytest.mark.parametrize("num_samples", [1, 20_000])
def test_training_reaches_every_parameter(htsat: HTSAT, num_samples: int) -> None:
    learner = copy.deepcopy(htsat).train()
    sum(part.mean() for part in learner(noise(6, (2, num_samples)))).backward()
    assert [name for name, value in learner.named_parameters() if value.grad is None] == []


def test_it_is_built_again_from_class_name_and_hyperparameters(htsat: HTSAT) -> None:
    again = TAGGERS[type(htsat).__name__](**htsat.hyperparameters)
    again.load_state_dict(htsat.state_dict(), strict=True)


def test_it_has_the_published_entries(htsat: HTSAT, published: Published) -> None:
    """And no other: what follows from the architecture is not stored."""
    own = {name for name in htsat.state_dict() if not name.endswith("num_batches_tracked")}
    assert own == set(published("htsat"))


@pytest.mark.parametrize(
    "name", ["layers.2.blocks.5.attn.relative_position_bias_table", "tscam_conv.bias"]
)
def test_a_missing_entry_is_named(published: Published, name: str) -> None:
    del (broken := published("htsat"))[name]
    with pytest.raises(ValueError, match=rf"my\.ckpt does not fit the HTSAT.*it lacks {name}"):
        HTSAT.from_state_dict(broken, "my.ckpt")


def test_constants_of_a_file_are_accepted(published: Published) -> None:
    constants = {
        "layers.0.blocks.1.attn_mask": torch.zeros(64, 64, 64),
        "layers.0.blocks.0.attn.relative_position_index": torch.zeros(64, 64).long(),
        "head.weight": torch.zeros(527, 527),
    }
    HTSAT.from_state_dict(published("htsat") | constants, "htsat.ckpt")
