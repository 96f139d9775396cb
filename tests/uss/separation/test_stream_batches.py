"""Batches are filled across stems, segments and recordings."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from tests.uss.separation.streamed import (
    MODELS,
    SEGMENT_SAMPLES,
    Asked,
    SpectrumModel,
    WaveformModel,
    joined,
    noise,
    separate,
    stream_of,
)
from uss.audio.segments import Segmentation
from uss.core.runtime import Runtime
from uss.separation.batching import Batcher


def test_batches_are_filled_across_classes_and_segments(rng: np.random.Generator) -> None:
    """Two stems of five segments in batches of four: 4 + 4 + 2."""
    runtime = Runtime(torch.device("cpu"), torch.float32, batch_size=4)
    waveform = noise(rng, 2, 5 * SEGMENT_SAMPLES)
    model = SpectrumModel()
    stems = joined(stream_of(waveform, Batcher(model, runtime), [1.0, 0.5]))
    assert model.batch_sizes == [4, 4, 2]
    np.testing.assert_allclose(stems[0], waveform, atol=1e-6)
    np.testing.assert_allclose(stems[1], 0.5 * waveform, atol=1e-6)


@pytest.mark.parametrize("model_type", MODELS)
def test_two_recordings_with_other_channels_share_batches(
    rng: np.random.Generator, model_type: type[WaveformModel]
) -> None:
    """Four pairs of a stereo recording and eight of a mono one in batches of six."""
    runtime = Runtime(torch.device("cpu"), torch.float32, batch_size=6)
    model = model_type()
    batcher = Batcher(model, runtime)
    stereo, mono = noise(rng, 2, 4 * SEGMENT_SAMPLES), noise(rng, 1, 4 * SEGMENT_SAMPLES)
    first, second = stream_of(stereo, batcher, [0.5]), stream_of(mono, batcher, [1.0, -0.25])
    assert list(first.read()) == []
    assert first.is_waiting
    assert model.batch_sizes == []
    read = list(second.read())
    assert not first.is_waiting
    (stem,) = joined(first.rest())
    np.testing.assert_allclose(stem, 0.5 * stereo, atol=1e-6)
    stems = joined([*read, *second.rest()])
    for stem, gain in zip(stems, [1.0, -0.25], strict=True):
        np.testing.assert_allclose(stem, gain * mono, atol=1e-6)
    # Models without masks run per channel.
    assert model.batch_sizes == ([6, 6] if model_type is SpectrumModel else [4 * 2 + 2, 6])


def test_a_batch_that_is_not_full_waits_until_it_is_flushed(rng: np.random.Generator) -> None:
    runtime = Runtime(torch.device("cpu"), torch.float32, batch_size=6)
    model = SpectrumModel()
    batcher = Batcher(model, runtime)
    waveform = noise(rng, 1, 4 * SEGMENT_SAMPLES)
    done: list[int] = []
    stream = stream_of(waveform, batcher, [1.0], done.append)
    assert list(stream.read()) == []
    assert (model.num_masks, done, stream.is_waiting) == (0, [], True)
    batcher.flush()
    assert (model.batch_sizes, done) == ([4], [1, 1, 1, 1])
    assert not stream.is_waiting
    (stem,) = joined(stream.rest())
    assert list(stream.rest()) == []
    np.testing.assert_allclose(stem, waveform, atol=1e-6)
    batcher.flush()
    assert model.batch_sizes == [4]


def test_each_distinct_condition_is_modulated_once_while_batches_are_alike(
    rng: np.random.Generator,
) -> None:
    runtime = Runtime(torch.device("cpu"), torch.float32, batch_size=4)
    waveform = noise(rng, 1, 8 * SEGMENT_SAMPLES)
    model = SpectrumModel()
    gains = [0.5, 0.25, 0.5]
    stems = joined(stream_of(waveform, Batcher(model, runtime), gains))
    assert model.num_masks == 24
    assert sorted(model.modulated) == [0.25, 0.5]
    for stem, gain in zip(stems, gains, strict=True):
        np.testing.assert_allclose(stem, gain * waveform, atol=1e-6)


def test_conditions_are_asked_for_where_the_request_is_active(
    rng: np.random.Generator, runtime: Runtime
) -> None:
    asked: list[int] = []

    def conditions(segments: NDArray[np.int64]) -> NDArray[np.float32]:
        asked.extend(segments.tolist())
        return np.ones((len(segments), 1), np.float32)

    waveform = noise(rng, 1, 7 * SEGMENT_SAMPLES)
    segmentation = Segmentation.of(waveform.shape[1], SEGMENT_SAMPLES, 0.0)
    active = np.array([0, 1, 1, 0, 0, 0, 1], bool)
    separate(SpectrumModel(), waveform, [Asked(conditions, active)], segmentation, runtime)
    assert asked == [1, 2, 6]
