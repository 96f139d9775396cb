"""Parts of a recording of another kind than its beginning."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import av
import numpy as np
from av import AudioFrame

from uss.audio.resampling import resample_blocks
from uss.audio.sources import AudioSource
from uss.core.arrays import Waveform

# As FFmpeg calls them, by the number of channels.
_LAYOUTS = ("mono", "stereo", "2.1", "quad", "5.0", "5.1", "6.1", "7.1")


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
    mixed = (remix(block, wanted.num_channels) for block in blocks)
    return resample_blocks(mixed, given.sample_rate, wanted.sample_rate, block_seconds=1)


def remix(block: Waveform, num_channels: int) -> Waveform:
    """Change the number of channels.

    Args:
        block: (C, n) float32.
        num_channels: C'.

    Returns:
        (C', n) float32: all channels alike from one, their mean as one, else as FFmpeg mixes the
        usual layouts of so many channels.
    """
    if len(block) == num_channels:
        return block
    if len(block) == 1:
        return np.repeat(block, num_channels, axis=0)
    mean: Waveform = np.mean(block, axis=0, keepdims=True, dtype=np.float32)
    if num_channels == 1:
        return mean
    if max(len(block), num_channels) > len(_LAYOUTS):
        # Without a layout nobody knows which channel is which.
        return np.repeat(mean, num_channels, axis=0)
    interleaved = np.ascontiguousarray(block.T).reshape(1, -1)
    frame = AudioFrame.from_ndarray(interleaved, "flt", _LAYOUTS[len(block) - 1])
    frame.sample_rate = 48_000
    resampler = av.AudioResampler("flt", _LAYOUTS[num_channels - 1], 48_000)
    pieces = [
        out.to_ndarray().reshape(-1, num_channels).T
        for each in (frame, None)
        for out in resampler.resample(each)
    ]
    return np.ascontiguousarray(np.concatenate(pieces, axis=1), dtype=np.float32)
