"""Generative models in the engine: noise, chunks, levels, guides."""

from typing import Any

import numpy as np
import pytest
import torch

from tests.flowsep_files import small
from tests.text_models import noise
from uss.audio.segments import Segmentation
from uss.core.arrays import Float32
from uss.core.errors import InputError
from uss.core.runtime import Runtime
from uss.models import DiffusionSep, FlowSep, ResUNet30
from uss.models.flowsep.level_fitting import fitted_gain, guided
from uss.separation.batching import Asked, Batcher
from uss.separation.chunk_drawing import Chunk, Drawing, DrawingRuns, Drawn, chunks_of, whole_frames

RUNTIME = Runtime(torch.device("cpu"), torch.float32)
SEGMENT = 5_120


@pytest.fixture(scope="module")
def network() -> FlowSep:
    return small()


def mixture(seed: int = 1, channels: int = 2) -> Float32:
    return noise(seed, (channels, SEGMENT), 0.1).numpy()


def drawn(batcher: Batcher, segments: Float32, chunks: list[Chunk], condition: Float32) -> Any:
    got: list[Float32] = []
    for segment in batcher.prepare(segments, chunks):
        batcher.submit(segment, [Asked(condition, got.append)])
    batcher.flush()
    return got


def test_noise_depends_on_seed_and_place_alone(network: FlowSep) -> None:
    condition = noise(2, (6,)).numpy()
    first, second = mixture(1), mixture(2)
    alone = drawn(Batcher(network, RUNTIME), first[None], [Chunk(640, SEGMENT)], condition)
    both = drawn(
        Batcher(network, RUNTIME),
        np.stack([second, first]),
        [Chunk(0, SEGMENT), Chunk(640, SEGMENT)],
        condition,
    )
    assert alone[0].shape == (2, 8, 8, 16)
    np.testing.assert_array_equal(both[1], alone[0])
    elsewhere = drawn(Batcher(network, RUNTIME), first[None], [Chunk(0, SEGMENT)], condition)
    assert np.abs(elsewhere[0] - alone[0]).max() > 0.1
    other = Batcher(network, RUNTIME, Drawing(seed=1))
    assert (
        np.abs(drawn(other, first[None], [Chunk(640, SEGMENT)], condition)[0] - alone[0]).max()
        > 0.1
    )


def test_neighbours_share_noise_and_channels_have_the_same(network: FlowSep) -> None:
    runs = DrawingRuns(network, RUNTIME, Drawing())
    waveforms = torch.from_numpy(np.stack([mixture(1), mixture(1)]))
    (_, one, _), (_, next_one, _) = runs.listen(
        waveforms, [Chunk(0, SEGMENT), Chunk(3 * 640, SEGMENT)]
    )
    assert torch.equal(one[:, 3:], next_one[:, :5])
    same = np.repeat(mixture(channels=1), 2, axis=0)
    latent = drawn(
        Batcher(network, RUNTIME), same[None], [Chunk(0, SEGMENT)], noise(2, (6,)).numpy()
    )[0]
    np.testing.assert_array_equal(latent[0], latent[1])


def test_more_steps_are_another_way(network: FlowSep) -> None:
    asked = (mixture()[None], [Chunk(0, SEGMENT)], noise(2, (6,)).numpy())
    one = drawn(Batcher(network, RUNTIME, Drawing(steps=1)), *asked)[0]
    two = drawn(Batcher(network, RUNTIME, Drawing(steps=2)), *asked)[0]
    assert np.abs(one - two).max() > 1e-3


def test_what_lies_behind_the_end_is_not_heard(network: FlowSep) -> None:
    """As released: the mean and the peak are those of the recording, zeros follow."""
    runs = DrawingRuns(network, RUNTIME, Drawing())
    short = mixture(channels=1).copy() + 0.2
    short[:, 3_000:] = 0.0
    ((latent, _, gains),) = runs.listen(torch.from_numpy(short[None]), [Chunk(0, 3_000)])
    centred = short[:, :3_000] - short[:, :3_000].mean()
    assert float(gains[0]) == pytest.approx(0.5 / np.abs(centred).max(), rel=1e-5)
    loud_rest = short.copy()
    loud_rest[:, 3_000:] = 1.0
    ((same, _, _),) = runs.listen(torch.from_numpy(loud_rest[None]), [Chunk(0, 3_000)])
    assert torch.equal(latent, same)


def test_chunks_end_with_the_recording() -> None:
    chunks = chunks_of(Segmentation(250, 100, 75), [0, 75, 150, 225])
    assert chunks == [(0, 100), (75, 100), (150, 100), (225, 25)]


@pytest.mark.parametrize(("given", "frames"), [(0.25, 2), (0.3, 2), (0.5, 4), (0.0, 0), (0.05, 0)])
def test_overlaps_are_whole_frames(network: FlowSep, given: float, frames: int) -> None:
    assert whole_frames(given, network) == frames / 8
    assert Segmentation.of(9_999, SEGMENT, whole_frames(given, network)).hop_samples % 640 == 0


def test_other_models_take_any_overlap() -> None:
    model = ResUNet30("fake-2", 2, channels=(2,), n_fft=64, hop_length=32)
    assert whole_frames(0.3, model) == 0.3
    assert Drawing.of(model) is None
    with pytest.raises(ValueError, match=r"a ResUNet30 masks the mixture.*leave out steps, guide"):
        Drawing.of(model, steps=5, guide=True)


def test_a_model_says_how_many_steps_it_takes(network: FlowSep) -> None:
    baseline = DiffusionSep("fake-6", 6, unet_base=32, vae_base=32, vocoder_channels=32)
    found = [Drawing.of(model, seed=3) for model in (network, baseline)]
    assert found == [Drawing(steps=10, seed=3), Drawing(steps=50, seed=3)]
    assert Drawing.of(baseline, steps=1000) == Drawing(steps=1000)
    with pytest.raises(ValueError, match="1001 steps: a DiffusionSep takes at most 1000"):
        Drawing.of(baseline, steps=1001)


@pytest.mark.parametrize(
    ("values", "said"), [({"steps": 0}, "0 steps lead nowhere"), ({"seed": -1}, "the seed is -1")]
)
def test_what_cannot_be_drawn_is_refused(values: dict[str, int], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Drawing(**values)  # type: ignore[arg-type]


def test_segments_of_no_whole_latents_are_refused(network: FlowSep) -> None:
    runs = DrawingRuns(network, RUNTIME, Drawing())
    with pytest.raises(ValueError, match=r"no multiple of 0.32 s"):
        runs.listen(torch.zeros(1, 1, 5_000), [Chunk(0, 5_000)])


def test_memory_that_runs_out_is_told_in_a_line(
    network: FlowSep, monkeypatch: pytest.MonkeyPatch
) -> None:
    def nothing_left(*_: object) -> None:
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried 9 bytes")

    runs = DrawingRuns(network, RUNTIME, Drawing())
    monkeypatch.setattr(network, "listen", nothing_left)
    with pytest.raises(ValueError, match=r"too little memory: .* no room for a chunk of 0.32"):
        runs.listen(torch.zeros(1, 1, SEGMENT), [Chunk(0, SEGMENT)])


def test_what_is_no_number_is_refused(network: FlowSep) -> None:
    runs = DrawingRuns(network, RUNTIME, Drawing())
    latent = np.full((2, 8, 8, 16), np.nan, np.float32)
    with pytest.raises(InputError, match=r"NaN or infinite; separate with --precision fp32"):
        runs.decode(Drawn(mixture(), np.ones(2, np.float32), latent))


def test_a_level_is_fitted_by_least_squares_of_magnitudes() -> None:
    time = torch.arange(16_000) / 16_000
    tone, other = torch.sin(2 * torch.pi * 500 * time), torch.sin(2 * torch.pi * 3_000 * time)
    mixed = (0.3 * tone + 0.2 * other)[None]
    # Whatever the phase: a sine of the same frequency, and of another phase.
    for phase in (0.0, 0.5 * torch.pi, torch.pi):
        stem = torch.sin(2 * torch.pi * 500 * time + phase)[None]
        assert float(fitted_gain(stem, mixed)) == pytest.approx(0.3, rel=0.02)
    assert float(fitted_gain(torch.zeros_like(mixed), mixed)) == 0.0
    assert float(fitted_gain(mixed, torch.zeros_like(mixed))) == 0.0
    # Nearly nothing is not blown up to the level of the rest.
    assert float(fitted_gain(1e-4 * mixed, mixed)) == 4.0


def test_a_guided_stem_has_the_mixtures_phases_and_adds_up() -> None:
    """A stem with the right magnitudes and other phases: useless as it is, good as a guide."""
    generator = np.random.default_rng(4)
    time = np.arange(32_000) / 16_000
    wanted = np.sin(2 * np.pi * 400 * time) * (time % 0.5 < 0.25)
    rest = 0.5 * np.convolve(generator.standard_normal(32_000), [1.0, -1.0], "same")
    mixed = torch.from_numpy((wanted + rest).astype(np.float32))[None]
    target = torch.from_numpy(wanted.astype(np.float32))[None]
    turned = torch.from_numpy(
        (np.sin(2 * np.pi * 400 * time + 2.0) * (time % 0.5 < 0.25)).astype(np.float32)
    )[None]

    def sdr(estimate: torch.Tensor) -> float:
        return float(10 * torch.log10(target.square().sum() / (target - estimate).square().sum()))

    masked = guided(turned, mixed)
    assert sdr(turned) < 0.0 < sdr(mixed) + 3.0 < sdr(masked) - 5.0
    assert masked.shape == mixed.shape
    # A mask of at most 1, so that what is left is a mask too.
    assert float(masked.square().sum()) < float(mixed.square().sum())
    assert float(guided(torch.zeros_like(mixed), mixed).abs().max()) == 0.0
    torch.testing.assert_close(guided(4.0 * mixed, mixed), mixed, atol=1e-5, rtol=0.0)
