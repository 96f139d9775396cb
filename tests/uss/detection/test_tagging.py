from collections.abc import Iterator

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from uss.audio.segments import Segmentation
from uss.core.runtime import Runtime
from uss.detection.tagging import Listener, Tagged, tag_blocks
from uss.taggers import NUM_CLASSES, TaggerOutput

RUNTIME = Runtime(torch.device("cpu"), torch.float32, batch_size=3)


class WindowTagger:
    """The probability of class k is the window's sample k."""

    name = "window"
    sample_rate = 8_000
    frames_per_second = 1.0
    embedding_size = 1

    def __init__(self) -> None:
        self.num_windows = 0

    def __call__(self, waveform: Tensor) -> TaggerOutput:
        self.num_windows += len(waveform)
        clipwise = torch.zeros(len(waveform), NUM_CLASSES)
        clipwise[:, : waveform.shape[1]] = waveform
        return TaggerOutput(clipwise, clipwise[:, None], clipwise[:, :1])


def blocks_of(waveform: NDArray[np.float32], size: int) -> Iterator[NDArray[np.float32]]:
    for start in range(0, len(waveform), size):
        yield waveform[None, start : start + size]


def tag(
    waveform: NDArray[np.float32], overlap: float, *windows: int, block_size: int = 7
) -> Tagged:
    listeners = [Listener(WindowTagger(), window) for window in windows]
    return tag_blocks(blocks_of(waveform, block_size), 8, overlap, listeners, RUNTIME)


def test_the_tagger_hears_a_window_centred_on_each_segment() -> None:
    waveform = np.arange(1, 41, dtype=np.float32)
    tagged = tag(waveform, 0.25, 16)
    (heard,) = tagged.probabilities
    assert tagged.segmentation == Segmentation.of(40, 8, 0.25)
    assert heard.shape == (tagged.segmentation.num_segments, NUM_CLASSES)
    assert heard.dtype == np.float32
    assert heard[0, :16].tolist() == [0.0] * 4 + list(range(1, 13))
    assert heard[1, :16].tolist() == list(range(3, 19))
    assert tag(waveform, 0.0, 8).probabilities[0][4, :8].tolist() == list(range(33, 41))


def test_several_taggers_hear_windows_of_their_own() -> None:
    wide, narrow = tag(np.arange(1, 41, dtype=np.float32), 0.25, 16, 8).probabilities
    assert wide[1, :16].tolist() == list(range(3, 19))
    assert narrow[1, :8].tolist() == list(range(7, 15))


@pytest.mark.parametrize("num_samples", [1, 7, 8, 9, 14, 15, 40, 101])
@pytest.mark.parametrize("overlap", [0.0, 0.25, 0.5])
@pytest.mark.parametrize("window", [8, 11, 30])
def test_blocks_of_any_size_are_tagged_alike(
    rng: np.random.Generator, num_samples: int, overlap: float, window: int
) -> None:
    waveform = rng.uniform(-1.0, 1.0, num_samples).astype(np.float32)
    whole = tag(waveform, overlap, window, block_size=num_samples)
    assert whole.segmentation == Segmentation.of(num_samples, 8, overlap)
    assert len(whole.probabilities[0]) == whole.segmentation.num_segments
    for block_size in (1, 5, 64):
        other = tag(waveform, overlap, window, block_size=block_size)
        assert other.segmentation == whole.segmentation
        np.testing.assert_array_equal(other.probabilities[0], whole.probabilities[0])
        np.testing.assert_array_equal(other.peaks, whole.peaks)


def test_peaks_are_those_of_the_segments_alone() -> None:
    waveform = np.zeros(24, np.float32)
    waveform[9] = -0.5
    assert tag(waveform, 0.0, 16).peaks.tolist() == [0.0, 0.5, 0.0]


def test_the_tagger_runs_once_per_segment() -> None:
    tagger = WindowTagger()
    blocks = blocks_of(np.ones(80, np.float32), 80)
    tagged = tag_blocks(blocks, 8, 0.0, [Listener(tagger, 8)], RUNTIME)
    assert tagger.num_windows == tagged.segmentation.num_segments == 10


def test_a_recording_without_samples_has_one_silent_segment() -> None:
    tagged = tag(np.zeros(0, np.float32), 0.25, 16)
    assert tagged.segmentation.num_segments == 1
    assert tagged.probabilities[0].shape == (1, NUM_CLASSES)
    assert tagged.peaks.tolist() == [0.0]
