"""Stems are what the network gives, joined without a step."""

import numpy as np
import pytest
import torch

from tests.uss.separation.streamed import (
    MODELS,
    OVERLAPS,
    SEGMENT_SAMPLES,
    Asked,
    SpectrumModel,
    WaveformModel,
    asked_for,
    noise,
    separate,
)
from uss.audio.segments import Segmentation
from uss.core.runtime import Runtime
from uss.models import MaskModel, SeparationModel


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
    (stem,) = separate(model_type(), waveform, [asked_for(segmentation)], segmentation, runtime)
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
    rising = Asked(gains.__getitem__, np.ones(4, bool))
    stems = separate(
        model_type(), waveform, [asked_for(segmentation, -0.5), rising], segmentation, runtime
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
        model_type(), waveform, [asked_for(segmentation, active=active)], segmentation, runtime
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
        model, waveform, [asked_for(segmentation, active=[False] * 3)], segmentation, runtime
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
    separate(model, waveform, [asked_for(segmentation) for _ in range(4)], segmentation, runtime)
    assert model.num_encoded == 5
    assert model.num_masks == 5 * 4


def test_models_without_masks_run_per_channel(rng: np.random.Generator, runtime: Runtime) -> None:
    waveform = noise(rng, 2, 3 * SEGMENT_SAMPLES)
    segmentation = Segmentation.of(waveform.shape[1], SEGMENT_SAMPLES, 0.25)
    model = WaveformModel()
    separate(model, waveform, [asked_for(segmentation)], segmentation, runtime)
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
        [asked_for(segmentation)],
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
    query = Asked(gains.__getitem__, np.ones(len(gains), bool))
    ones = np.ones((1, num_samples), np.float32)
    (stem,) = separate(WaveformModel(), ones, [query], segmentation, runtime)
    ramp_samples = SEGMENT_SAMPLES // 4
    assert np.abs(np.diff(stem)).max() <= 1.01 / ramp_samples


@pytest.mark.parametrize("batch_size", [1, 2, 16])
def test_progress_counts_pairs_of_segment_and_stem(
    rng: np.random.Generator, batch_size: int
) -> None:
    runtime = Runtime(torch.device("cpu"), torch.float32, batch_size)
    waveform = noise(rng, 1, 4 * SEGMENT_SAMPLES)
    segmentation = Segmentation.of(waveform.shape[1], SEGMENT_SAMPLES, 0.0)
    queries = [
        asked_for(segmentation),
        asked_for(segmentation, active=[True, False, False, True]),
    ]
    done: list[int] = []
    stems = separate(WaveformModel(), waveform, queries, segmentation, runtime, done.append)
    assert sum(done) == 6
    np.testing.assert_allclose(stems[0], waveform, atol=1e-6)


def test_bf16_output_is_float32_again(rng: np.random.Generator) -> None:
    runtime = Runtime.choose("cpu", "bf16")
    waveform = noise(rng, 1, 3_000)
    segmentation = Segmentation.of(3_000, SEGMENT_SAMPLES, 0.25)
    for model in (WaveformModel(), SpectrumModel()):
        (stem,) = separate(model, waveform, [asked_for(segmentation)], segmentation, runtime)
        assert stem.dtype == np.float32
