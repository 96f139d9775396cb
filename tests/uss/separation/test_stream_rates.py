"""Recordings of other rates than the model's, and the band above it."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from tests.uss.separation.streamed import (
    MODELS,
    SAMPLE_RATE,
    SEGMENT_SAMPLES,
    Asked,
    SpectrumModel,
    WaveformModel,
    asked_for,
    noise,
    separate,
)
from uss.audio import resample
from uss.audio.segments import Segmentation
from uss.core.runtime import Runtime
from uss.separation.consistency import Family

RATES = [8_000, 11_025, 44_100, 48_000]


@pytest.mark.parametrize("model_type", MODELS)
@pytest.mark.parametrize("sample_rate", RATES)
@pytest.mark.parametrize("channels", [1, 2])
def test_what_the_model_can_hear_comes_back_at_the_recordings_rate(
    runtime: Runtime, model_type: type[WaveformModel], sample_rate: int, channels: int
) -> None:
    """A tone of 1 kHz that swells and fades within 12.3 s: the residual is 80 dB below it."""
    num_samples = round(12.3 * sample_rate)
    tone = np.sin(2.0 * np.pi * 1_000.0 * np.arange(num_samples) / sample_rate)
    tone = np.tile((0.5 * tone * np.hanning(num_samples)).astype(np.float32), (channels, 1))
    at_model = round(num_samples * SAMPLE_RATE / sample_rate)
    segmentation = Segmentation.of(at_model, SEGMENT_SAMPLES, 0.25)
    query = asked_for(segmentation)
    (stem,) = separate(model_type(), tone, [query], segmentation, runtime, sample_rate=sample_rate)
    assert stem.shape == tone.shape
    assert np.abs(tone - stem).max() < 0.5e-4


@pytest.mark.parametrize("sample_rate", RATES[1:])
@pytest.mark.parametrize("seconds", [0.001, 0.5, 1.0, 9.7])
@pytest.mark.parametrize(("segment_samples", "overlap"), [(SEGMENT_SAMPLES, 0.25), (8_000, 0.0)])
def test_pieces_are_resampled_as_if_the_whole_had_been(
    rng: np.random.Generator,
    runtime: Runtime,
    sample_rate: int,
    seconds: float,
    segment_samples: int,
    overlap: float,
) -> None:
    """Also where what is separated so far ends on a whole second, as segments of a second do."""
    waveform = noise(rng, 2, round(seconds * sample_rate))
    at_model = resample(waveform, sample_rate, SAMPLE_RATE)
    segmentation = Segmentation.of(at_model.shape[1], segment_samples, overlap)
    (stem,) = separate(
        WaveformModel(),
        waveform,
        [asked_for(segmentation)],
        segmentation,
        runtime,
        sample_rate=sample_rate,
    )
    expected = resample(at_model, SAMPLE_RATE, sample_rate)
    common = min(expected.shape[1], stem.shape[1])
    np.testing.assert_allclose(stem[:, :common], expected[:, :common], atol=1e-4)


@pytest.mark.parametrize("sample_rate", [SAMPLE_RATE, 48_000])
def test_artefacts_of_activity_edges_stay_there(runtime: Runtime, sample_rate: int) -> None:
    """Of a steady tone, segments 6 to 25 and 30 to 39 are separated: 80 dB, but for the edges."""
    num_samples = 10 * sample_rate
    tone = 0.5 * np.sin(2.0 * np.pi * 400.0 * np.arange(num_samples) / sample_rate)
    segmentation = Segmentation.of(10 * SAMPLE_RATE, SEGMENT_SAMPLES, 0.25)
    active = [6 <= index < 26 or 30 <= index < 40 for index in range(segmentation.num_segments)]
    (stem,) = separate(
        SpectrumModel(),
        tone[None].astype(np.float32),
        [asked_for(segmentation, active=active)],
        segmentation,
        runtime,
        sample_rate=sample_rate,
    )
    hop, length, near = segmentation.hop_samples, SEGMENT_SAMPLES, 200
    intervals = [(6 * hop, 25 * hop + length), (30 * hop, 39 * hop + length)]
    seconds = np.arange(num_samples) / sample_rate
    is_on = np.zeros(num_samples, bool)
    is_near = np.zeros(num_samples, bool)
    for start, end in intervals:
        is_on |= (start / SAMPLE_RATE <= seconds) & (seconds < end / SAMPLE_RATE)
        for edge in (start, end):
            is_near |= np.abs(seconds - edge / SAMPLE_RATE) < near / SAMPLE_RATE
    # The recording ends in the middle of a tone, which no filter can follow.
    is_near |= seconds > 9.9
    error = np.abs(stem[0] - np.where(is_on, tone, 0.0))
    assert error[~is_near].max() < 0.5e-4
    # At the edges there is no step either: the tone itself moves by 0.025 * 8 kHz per second.
    assert np.abs(np.diff(stem[0])).max() < 0.2 * SAMPLE_RATE / sample_rate


def test_families_add_up_though_their_members_are_active_at_other_times(
    rng: np.random.Generator, runtime: Runtime
) -> None:
    """In each segment one of both is active, so nothing is left, also where they take turns."""
    waveform = noise(rng, 2, 8 * SEGMENT_SAMPLES)
    segmentation = Segmentation.of(waveform.shape[1], SEGMENT_SAMPLES, 0.25)
    first = [index % 4 < 2 for index in range(segmentation.num_segments)]
    second = [not is_on or index == 4 for index, is_on in enumerate(first)]
    stems = separate(
        SpectrumModel(),
        waveform,
        [asked_for(segmentation, 0.5, first), asked_for(segmentation, 0.25, second)],
        segmentation,
        runtime,
        families=[Family(None, (0, 1))],
    )
    np.testing.assert_allclose(stems[0] + stems[1], waveform, atol=2e-6)


def high_tone(sample_rate: int, hz: float, seconds: float) -> NDArray[np.float32]:
    num_samples = round(seconds * sample_rate)
    tone = np.sin(2.0 * np.pi * hz * np.arange(num_samples) / sample_rate)
    return (0.25 * tone * np.hanning(num_samples))[None].astype(np.float32)


@pytest.mark.parametrize("gain", [1.0, 0.5])
def test_above_the_models_band_a_stem_follows_its_top(runtime: Runtime, gain: float) -> None:
    """A model of 32 kHz lets half of 14 kHz through; it gets half of 20 kHz."""
    low, high = high_tone(48_000, 14_000.0, 5.0), high_tone(48_000, 20_000.0, 5.0)
    segmentation = Segmentation.of(5 * 32_000, SEGMENT_SAMPLES, 0.25)
    query = asked_for(segmentation, gain)
    rates = {"sample_rate": 48_000, "model_rate": 32_000}
    for full_band, expected in ((False, low), (True, low + high)):
        (stem,) = separate(
            WaveformModel(),
            low + high,
            [query],
            segmentation,
            runtime,
            full_band=full_band,
            **rates,
        )
        middle = slice(24_000, 5 * 48_000 - 24_000)
        np.testing.assert_allclose(stem[:, middle], gain * expected[:, middle], atol=1e-3)


def test_the_full_band_does_not_depend_on_where_pieces_are_cut(rng: np.random.Generator) -> None:
    """Larger batches give longer pieces; gains jump from segment to segment."""
    waveform = noise(rng, 1, 10 * 48_000)
    segmentation = Segmentation.of(10 * 32_000, 16_000, 0.25)
    gains = rng.random((segmentation.num_segments, 1)).astype(np.float32)
    query = Asked(gains.__getitem__, np.ones(len(gains), bool))
    stems = [
        separate(
            WaveformModel(),
            waveform,
            [query],
            segmentation,
            Runtime(torch.device("cpu"), torch.float32, batch_size),
            sample_rate=48_000,
            model_rate=32_000,
            full_band=True,
        )[0]
        for batch_size in (1, 2, 5, 100)
    ]
    for stem in stems[1:]:
        np.testing.assert_allclose(stem, stems[0], atol=2e-5)


def test_full_band_changes_nothing_where_the_model_hears_all(
    rng: np.random.Generator, runtime: Runtime
) -> None:
    waveform = noise(rng, 1, 16_000)
    for sample_rate, model_rate in ((32_000, 32_000), (8_000, 32_000)):
        at_model = 16_000 * model_rate // sample_rate
        segmentation = Segmentation.of(at_model, SEGMENT_SAMPLES, 0.25)
        stems = [
            separate(
                WaveformModel(),
                waveform,
                [asked_for(segmentation, 0.5)],
                segmentation,
                runtime,
                sample_rate=sample_rate,
                model_rate=model_rate,
                full_band=full_band,
            )[0]
            for full_band in (False, True)
        ]
        np.testing.assert_array_equal(stems[0], stems[1])


def test_a_silent_stem_gets_nothing_above_the_models_band(runtime: Runtime) -> None:
    waveform = high_tone(48_000, 20_000.0, 2.0)
    segmentation = Segmentation.of(2 * 32_000, SEGMENT_SAMPLES, 0.25)
    active = [False] * segmentation.num_segments
    (stem,) = separate(
        WaveformModel(),
        waveform,
        [asked_for(segmentation, active=active)],
        segmentation,
        runtime,
        sample_rate=48_000,
        model_rate=32_000,
        full_band=True,
    )
    assert not stem.any()
