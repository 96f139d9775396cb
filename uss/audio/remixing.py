"""Parts of a recording of another kind than its beginning."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain

import av
import numpy as np
from av import AudioFrame

from uss.audio.sources import AudioSource
from uss.core.arrays import Waveform


def converted(
    blocks: Iterable[Waveform], given: AudioSource, wanted: AudioSource
) -> Iterator[Waveform]:
    """Change the rate and the channels of a part to those of another.

    Args:
        blocks: (C, n) float32.
        given: what has their rate and channels.
        wanted: what has those wanted.

    Yields:
        (C', n') float32.
    """
    rate, num_channels = wanted.sample_rate, wanted.num_channels
    resampler = av.AudioResampler("flt", _layout(num_channels), rate)
    for block in chain(blocks, (None,)):
        frame = None
        if block is not None:
            interleaved = np.ascontiguousarray(block.T).reshape(1, -1)
            frame = AudioFrame.from_ndarray(interleaved, "flt", _layout(given.num_channels))
            frame.sample_rate = given.sample_rate
        for out in resampler.resample(frame):
            samples = out.to_ndarray().reshape(-1, num_channels)
            yield np.ascontiguousarray(samples.T, dtype=np.float32)


def _layout(num_channels: int) -> str:
    names = {1: "mono", 2: "stereo", 3: "2.1", 4: "quad", 5: "5.0", 6: "5.1", 7: "6.1", 8: "7.1"}
    return names.get(num_channels, f"{num_channels}c")
