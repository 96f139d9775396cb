from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from uss.audio import Recording
from uss.combining import Combination
from uss.models import MaskModel, SeparationModel
from uss.runtime import Runtime
from uss.segments import Segmentation
from uss.separation import Batcher
from uss.stems import Layout, Request, StemStream

SAMPLE_RATE = 8_000
SEGMENT_SAMPLES = 2_048
OVERLAPS = [0.0, 0.25, 0.5]


class WaveformModel:
    """Multiplies the mixture by the first number of the condition, in the time domain."""

    sample_rate = SAMPLE_RATE
    segment_seconds = SEGMENT_SAMPLES / SAMPLE_RATE
    condition_space = "gain-1"

    def __init__(self) -> None:
        self.channels_seen: set[int] = set()

    def __call__(
        self, mixture: Tensor, condition: Tensor, rng: np.random.Generator | None = None
    ) -> Tensor:
        self.channels_seen.add(mixture.shape[1])
        return mixture * condition[:, :1, None]


class SpectrumModel(WaveformModel):
    """The same with an STFT and a mask; counts how often it encodes."""

    n_fft, hop_length = 256, 64

    def __init__(self) -> None:
        super().__init__()
        self.window = torch.hann_window(self.n_fft)
        self.num_encoded = 0
        self.num_masks = 0

    def spectrogram(self, waveform: Tensor) -> Tensor:
        flat = waveform.reshape(-1, waveform.shape[-1])
        out = torch.stft(flat, self.n_fft, self.hop_length, window=self.window, return_complex=True)
        return out.reshape(*waveform.shape[:-1], *out.shape[1:])

    def waveform(self, spectrogram: Tensor, num_samples: int) -> Tensor:
        flat = spectrogram.reshape(-1, *spectrogram.shape[-2:])
        out = torch.istft(flat, self.n_fft, self.hop_length, window=self.window, length=num_samples)
        return out.reshape(*spectrogram.shape[:-2], num_samples)

    def encode(self, spectrogram: Tensor) -> Tensor:
        self.num_encoded += len(spectrogram)
        return spectrogram.abs()

    def modulate(self, condition: Tensor) -> Any:
        return (condition[:, :1, None],)

    def mask(self, encoded: Tensor, modulation: Any) -> Tensor:
        self.num_masks += len(encoded)
        return (torch.ones_like(encoded) * modulation[0]).to(torch.complex64)


MODELS = [WaveformModel, SpectrumModel]


@pytest.fixture
def runtime() -> Runtime:
    return Runtime(torch.device("cpu"), torch.float32, batch_size=3)


def request_of(
    segmentation: Segmentation, gain: float = 1.0, active: list[bool] | None = None
) -> Request:
    count = segmentation.num_segments
    conditions = np.full((count, 1), gain, np.float32)
    is_active = np.array([True] * count if active is None else active)
    return Request(conditions.__getitem__, is_active)


def separate(
    model: WaveformModel,
    waveform: NDArray[np.float32],
    requests: Sequence[Request],
    segmentation: Segmentation,
    runtime: Runtime,
    progress: Callable[[int], None] = lambda done: None,
) -> list[NDArray[np.float32]]:
    """Separate a whole waveform at the model's rate, one stem per request."""
    stream = StemStream(
        Recording(waveform, SAMPLE_RATE),
        Layout(waveform.shape[1], segmentation, SAMPLE_RATE),
        requests,
        Combination(tuple(range(len(requests)))),
        Batcher(model, runtime),
        progress=progress,
    )
    stems = [np.zeros_like(waveform) for _ in requests]
    end = 0
    for piece in stream.pieces():
        assert piece.start == end
        end += piece.mixture.shape[1]
        np.testing.assert_array_equal(piece.mixture, waveform[:, piece.start : end])
        for stem, samples in zip(stems, piece.stems, strict=True):
            if samples is not None:
                stem[:, piece.start : end] = samples
    assert end == waveform.shape[1]
    return stems


def noise(rng: np.random.Generator, channels: int, num_samples: int) -> NDArray[np.float32]:
    return rng.uniform(-0.5, 0.5, (channels, num_samples)).astype(np.float32)


def test_the_fakes_are_what_they_stand_for() -> None:
    assert isinstance(WaveformModel(), SeparationModel)
    assert not isinstance(WaveformModel(), MaskModel)
    assert isinstance(SpectrumModel(), MaskModel)


@pytest.mark.parametrize("model_type", MODELS)
@pytest.mark.parametrize("overlap", OVERLAPS)
@pytest.mark.parametrize("channels", [1, 2, 5])
@pytest.mark.parametrize("num_samples", [1, 500, 2_048, 2_049, 10_000])
def test_a_model_that_passes_everything_gives_the_input_back(
    rng: np.random.Generator,
    runtime: Runtime,
    model_type: type[WaveformModel],
    overlap: float,
    channels: int,
    num_samples: int,
) -> None:
    waveform = noise(rng, channels, num_samples)
    segmentation = Segmentation.of(num_samples, SEGMENT_SAMPLES, overlap)
    (stem,) = separate(model_type(), waveform, [request_of(segmentation)], segmentation, runtime)
    assert stem.shape == waveform.shape
    assert stem.dtype == np.float32
    np.testing.assert_allclose(stem, waveform, atol=1e-6, rtol=0.0)


@pytest.mark.parametrize("model_type", MODELS)
def test_every_stem_and_segment_gets_its_own_condition(
    rng: np.random.Generator, runtime: Runtime, model_type: type[WaveformModel]
) -> None:
    waveform = noise(rng, 2, 4 * SEGMENT_SAMPLES)
    segmentation = Segmentation.of(waveform.shape[1], SEGMENT_SAMPLES, 0.0)
    gains = np.array([[0.0], [0.25], [0.5], [1.0]], np.float32)
    rising = Request(gains.__getitem__, np.ones(4, bool))
    stems = separate(
        model_type(), waveform, [request_of(segmentation, -0.5), rising], segmentation, runtime
    )
    np.testing.assert_allclose(stems[0], -0.5 * waveform, atol=1e-6)
    np.testing.assert_allclose(stems[1], np.repeat(gains, SEGMENT_SAMPLES) * waveform, atol=1e-6)


@pytest.mark.parametrize("model_type", MODELS)
@pytest.mark.parametrize("overlap", OVERLAPS)
def test_inactive_segments_are_exact_zeros(
    rng: np.random.Generator, runtime: Runtime, model_type: type[WaveformModel], overlap: float
) -> None:
    waveform = noise(rng, 1, 6 * SEGMENT_SAMPLES)
    segmentation = Segmentation.of(waveform.shape[1], SEGMENT_SAMPLES, overlap)
    active = [index == 2 for index in range(segmentation.num_segments)]
    (stem,) = separate(
        model_type(), waveform, [request_of(segmentation, active=active)], segmentation, runtime
    )
    start = int(segmentation.starts[2])
    end = start + SEGMENT_SAMPLES
    assert not stem[:, :start].any()
    assert not stem[:, end:].any()
    expected = waveform[:, start:end] * segmentation.weights(
        2, previous_active=False, next_active=False
    )
    np.testing.assert_allclose(stem[:, start:end], expected, atol=1e-6)


@pytest.mark.parametrize("model_type", MODELS)
def test_requests_that_are_never_active_run_no_network(
    rng: np.random.Generator, runtime: Runtime, model_type: type[WaveformModel]
) -> None:
    waveform = noise(rng, 2, 3 * SEGMENT_SAMPLES)
    segmentation = Segmentation.of(waveform.shape[1], SEGMENT_SAMPLES, 0.0)
    model = model_type()
    (stem,) = separate(
        model, waveform, [request_of(segmentation, active=[False] * 3)], segmentation, runtime
    )
    assert stem.shape == waveform.shape
    assert not stem.any()
    assert getattr(model, "num_encoded", 0) == 0
    assert not model.channels_seen
    assert separate(model, waveform, [], segmentation, runtime) == []


def test_masks_share_one_encoding_per_segment_and_serve_all_channels(
    rng: np.random.Generator, runtime: Runtime
) -> None:
    waveform = noise(rng, 2, 5 * SEGMENT_SAMPLES)
    segmentation = Segmentation.of(waveform.shape[1], SEGMENT_SAMPLES, 0.0)
    model = SpectrumModel()
    separate(model, waveform, [request_of(segmentation) for _ in range(4)], segmentation, runtime)
    assert model.num_encoded == 5
    assert model.num_masks == 5 * 4


def test_models_without_masks_run_per_channel(rng: np.random.Generator, runtime: Runtime) -> None:
    waveform = noise(rng, 2, 3 * SEGMENT_SAMPLES)
    segmentation = Segmentation.of(waveform.shape[1], SEGMENT_SAMPLES, 0.25)
    model = WaveformModel()
    separate(model, waveform, [request_of(segmentation)], segmentation, runtime)
    assert model.channels_seen == {1}


@pytest.mark.parametrize("model_type", MODELS)
@pytest.mark.parametrize("overlap", OVERLAPS)
def test_a_steady_sine_has_no_step_where_segments_join(
    runtime: Runtime, model_type: type[WaveformModel], overlap: float
) -> None:
    """Away from the sine, the spectrum stays 80 dB below it."""
    num_samples, period = 8 * SEGMENT_SAMPLES, 20
    sine = 0.5 * np.sin(2.0 * np.pi * np.arange(num_samples) / period)
    segmentation = Segmentation.of(num_samples, SEGMENT_SAMPLES, overlap)
    (stem,) = separate(
        model_type(),
        sine[None].astype(np.float32),
        [request_of(segmentation)],
        segmentation,
        runtime,
    )
    spectrum = np.abs(np.fft.rfft(stem[0] * np.blackman(num_samples)))
    peak = num_samples / period
    away = np.abs(np.arange(len(spectrum)) - peak) > 50
    assert 20.0 * np.log10(spectrum[away].max() / spectrum.max()) < -80.0


def test_a_gain_that_jumps_is_cross_faded_without_a_step(runtime: Runtime) -> None:
    """With overlap, no two neighbouring samples of a constant differ by more than the ramp."""
    num_samples = 4 * SEGMENT_SAMPLES
    segmentation = Segmentation.of(num_samples, SEGMENT_SAMPLES, 0.25)
    gains = np.array([[1.0], [0.0], [1.0], [0.0], [1.0]], np.float32)[: segmentation.num_segments]
    request = Request(gains.__getitem__, np.ones(len(gains), bool))
    ones = np.ones((1, num_samples), np.float32)
    (stem,) = separate(WaveformModel(), ones, [request], segmentation, runtime)
    ramp_samples = SEGMENT_SAMPLES // 4
    assert np.abs(np.diff(stem)).max() <= 1.01 / ramp_samples


@pytest.mark.parametrize("batch_size", [1, 2, 16])
def test_progress_counts_pairs_of_segment_and_stem(
    rng: np.random.Generator, batch_size: int
) -> None:
    runtime = Runtime(torch.device("cpu"), torch.float32, batch_size)
    waveform = noise(rng, 1, 4 * SEGMENT_SAMPLES)
    segmentation = Segmentation.of(waveform.shape[1], SEGMENT_SAMPLES, 0.0)
    requests = [
        request_of(segmentation),
        request_of(segmentation, active=[True, False, False, True]),
    ]
    done: list[int] = []
    stems = separate(WaveformModel(), waveform, requests, segmentation, runtime, done.append)
    assert sum(done) == 6
    np.testing.assert_allclose(stems[0], waveform, atol=1e-6)


def test_bf16_output_is_float32_again(rng: np.random.Generator) -> None:
    runtime = Runtime.choose("cpu", "bf16")
    waveform = noise(rng, 1, 3_000)
    segmentation = Segmentation.of(3_000, SEGMENT_SAMPLES, 0.25)
    for model in (WaveformModel(), SpectrumModel()):
        (stem,) = separate(model, waveform, [request_of(segmentation)], segmentation, runtime)
        assert stem.dtype == np.float32
