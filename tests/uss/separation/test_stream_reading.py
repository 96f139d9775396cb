"""A recording is read once, and no more is kept than is needed."""

import threading
import weakref
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from tests.uss.separation.streamed import (
    SAMPLE_RATE,
    SEGMENT_SAMPLES,
    WaveformModel,
    asked_for,
    make_work,
    noise,
)
from uss.audio import Recording
from uss.audio.segments import Segmentation
from uss.core.runtime import Runtime
from uss.separation.batching import Batcher
from uss.separation.stream import StemStream


class Tone:
    """Two minutes of a sine, made while they are read; knows which blocks are still held."""

    sample_rate = SAMPLE_RATE
    num_channels = 1
    num_samples = 120 * SAMPLE_RATE

    def __init__(self) -> None:
        self.seconds_read = 0
        self._blocks: list[weakref.ref[NDArray[np.float32]]] = []

    def samples(self, start: int, end: int) -> NDArray[np.float32]:
        wave = 0.5 * np.sin(2.0 * np.pi * (np.arange(start, end) % 20) / 20.0)
        return wave[None].astype(np.float32)

    def blocks(self) -> Iterator[NDArray[np.float32]]:
        for start in range(0, self.num_samples, SAMPLE_RATE):
            self.seconds_read += 1
            block = self.samples(start, start + SAMPLE_RATE)
            self._blocks.append(weakref.ref(block))
            yield block

    @property
    def seconds_held(self) -> int:
        return sum(block() is not None for block in self._blocks)


@pytest.mark.parametrize("spacing", [1, 7, 200, 10_000], ids=lambda s: f"every {s}th segment")
def test_pieces_are_given_as_they_become_complete_and_nothing_else_is_kept(spacing: int) -> None:
    """What is held does not grow with the recording, however seldom a class sounds."""
    runtime = Runtime(torch.device("cpu"), torch.float32, batch_size=16)
    source = Tone()
    segmentation = Segmentation.of(source.num_samples, SEGMENT_SAMPLES, 0.25)
    active = [index % spacing == 0 for index in range(segmentation.num_segments)]
    stream = StemStream(
        source,
        make_work(
            source.num_samples,
            segmentation,
            [asked_for(segmentation, active=active), asked_for(segmentation, 0.5, active)],
        ),
        Batcher(WaveformModel(), runtime),
    )
    end, most_held, most_ahead = 0, 0, 0
    for piece in stream:
        assert piece.start == end
        assert 0 < piece.mixture.shape[1] <= 8 * SAMPLE_RATE
        end += piece.mixture.shape[1]
        np.testing.assert_array_equal(piece.mixture, source.samples(piece.start, end))
        if spacing == 1:
            first, second = piece.stems
            assert first is not None and second is not None
            np.testing.assert_allclose(first, piece.mixture, atol=1e-6)
            np.testing.assert_array_equal(second, np.float32(0.5) * first)
        most_held = max(most_held, source.seconds_held)
        most_ahead = max(most_ahead, source.seconds_read - end // SAMPLE_RATE)
    assert end == source.num_samples
    assert source.seconds_read == 120
    assert most_held < 45
    assert most_ahead < 45


@pytest.mark.parametrize("announced", [3_000, 9_999, 10_001, 40_000])
@pytest.mark.parametrize("sample_rate", [SAMPLE_RATE, 11_025])
def test_a_recording_that_changed_since_it_was_tagged_is_refused(
    rng: np.random.Generator, runtime: Runtime, announced: int, sample_rate: int
) -> None:
    threads = set(threading.enumerate())
    num_samples = round(announced * SAMPLE_RATE / sample_rate)
    segmentation = Segmentation.of(num_samples, SEGMENT_SAMPLES, 0.25)
    stream = StemStream(
        Recording(noise(rng, 1, 10_000), sample_rate),
        make_work(announced, segmentation, [asked_for(segmentation)]),
        Batcher(WaveformModel(), runtime),
    )
    with pytest.raises(
        ValueError, match=f"had {announced} samples when it was tagged and now has 10000"
    ):
        list(stream)
    assert set(threading.enumerate()) <= threads


def test_an_error_of_the_source_surfaces_and_stops_reading(runtime: Runtime) -> None:
    class Broken(Tone):
        def blocks(self) -> Iterator[NDArray[np.float32]]:
            for number, block in enumerate(super().blocks()):
                if number == 30:
                    raise OSError("the disk was unplugged")
                yield block

    threads = set(threading.enumerate())
    source = Broken()
    segmentation = Segmentation.of(source.num_samples, SEGMENT_SAMPLES, 0.0)
    stream = StemStream(
        source,
        make_work(source.num_samples, segmentation, [asked_for(segmentation)]),
        Batcher(WaveformModel(), runtime),
    )
    seconds = 0
    with pytest.raises(OSError, match="the disk was unplugged"):
        for piece in stream:
            seconds += piece.mixture.shape[1] // SAMPLE_RATE
    assert seconds < 30
    assert set(threading.enumerate()) <= threads


def test_closing_early_stops_reading(runtime: Runtime) -> None:
    threads = set(threading.enumerate())
    source = Tone()
    segmentation = Segmentation.of(source.num_samples, SEGMENT_SAMPLES, 0.0)
    stream = StemStream(
        source,
        make_work(source.num_samples, segmentation, [asked_for(segmentation)]),
        Batcher(WaveformModel(), runtime),
    )
    next(stream.read())
    stream.close()
    assert source.seconds_read < 60
    assert set(threading.enumerate()) <= threads
