"""Tagging a recording of any length, block by block (Algorithm 3, step 2)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch

from uss.audio.buffers import StreamBuffer
from uss.audio.segments import Segmentation
from uss.core.arrays import Float32, Waveform
from uss.core.runtime import Runtime
from uss.detection.framewise import Framewise, FramewiseRecorder
from uss.taggers import NUM_CLASSES, Tagger


@dataclass(frozen=True)
class Listener:
    """A tagger, and how much it hears of a recording for each segment.

    Attributes:
        tagger: at the waveform's sample rate.
        window_samples: centred on the segment and not shorter; zero beyond the recording's edges.
    """

    tagger: Tagger
    window_samples: int


class Tagged(NamedTuple):
    """What taggers heard.

    Attributes:
        probabilities: (I, K) P(i, k), one per listener.
        peaks: (I,) the highest magnitude in each segment.
        segmentation: of the waveform.
        framewise: what the first listener heard within the segments.
    """

    probabilities: tuple[Float32, ...]
    peaks: Float32
    segmentation: Segmentation
    framewise: Framewise


class _Windows(NamedTuple):
    """What is heard of one segment: the segment itself, and a window for each listener."""

    segment: Float32
    windows: list[Float32]


def tag_blocks(
    blocks: Iterable[Waveform],
    segment_samples: int,
    overlap: float,
    listeners: Sequence[Listener],
    runtime: Runtime,
    *,
    step: int = 1,
) -> Tagged:
    """Compute P(i, k) of every segment.

    Args:
        blocks: (1, n) float32, a mono recording; its length need not be known.
        segment_samples: length of a segment.
        overlap: of neighbouring segments, see ``Segmentation.of``.
        listeners: one or more, each tags every segment.
        runtime: where they run.
        step: segments begin and end at multiples of so many samples, for separators of a lower
            sample rate; divides ``segment_samples``.
    """
    of_steps = Segmentation.of(1, segment_samples // step, overlap)
    segments = Segmentation(1, of_steps.segment_samples * step, of_steps.hop_samples * step)
    buffer = StreamBuffer(1)
    first, rate = listeners[0], listeners[0].tagger.sample_rate
    frames = FramewiseRecorder(
        first.tagger.frames_per_second, first.window_samples / rate, segment_samples / rate
    )
    rows: list[list[Float32]] = [[] for _ in listeners]
    peaks: list[float] = []
    batch: list[_Windows] = []
    for heard in _windows(blocks, buffer, segments, [each.window_samples for each in listeners]):
        peaks.append(float(np.abs(heard.segment).max(initial=0.0)))
        batch.append(heard)
        if len(batch) == runtime.batch_size:
            _tag(batch, listeners, rows, frames, runtime)
            batch = []
    _tag(batch, listeners, rows, frames, runtime)
    segmentation = Segmentation(max(1, buffer.end), segment_samples, segments.hop_samples)
    return Tagged(
        tuple(np.concatenate([np.zeros((0, NUM_CLASSES), np.float32), *each]) for each in rows),
        np.array(peaks, np.float32),
        segmentation,
        frames.finish(segmentation.starts / rate),
    )


def _windows(
    blocks: Iterable[Waveform], buffer: StreamBuffer, segments: Segmentation, widths: Sequence[int]
) -> Iterator[_Windows]:
    """Cut the windows of each segment as soon as the widest is complete."""
    index = 0
    reach = -(-max(widths, default=0) // 2)
    half = segments.segment_samples // 2
    for block in blocks:
        buffer.append(block)
        while index * segments.hop_samples + half + reach <= buffer.end:
            yield _cut(buffer, index, segments, widths)
            index += 1
            buffer.forget(index * segments.hop_samples + half - reach - 1)
    whole = Segmentation(max(1, buffer.end), segments.segment_samples, segments.hop_samples)
    while index < whole.num_segments:
        yield _cut(buffer, index, segments, widths)
        index += 1


def _cut(
    buffer: StreamBuffer, index: int, segments: Segmentation, widths: Sequence[int]
) -> _Windows:
    start = index * segments.hop_samples
    centre = start + segments.segment_samples // 2
    windows = []
    for width in widths:
        first = centre - width // 2
        windows.append(buffer.cut(first, first + width)[0])
    return _Windows(buffer.cut(start, start + segments.segment_samples)[0], windows)


def _tag(
    batch: Sequence[_Windows],
    listeners: Sequence[Listener],
    rows: Sequence[list[Float32]],
    frames: FramewiseRecorder,
    runtime: Runtime,
) -> None:
    if not batch:
        return
    with torch.inference_mode():
        for column, listener in enumerate(listeners):
            stacked = np.stack([heard.windows[column] for heard in batch])
            heard = listener.tagger(torch.from_numpy(stacked).to(runtime.device))
            clipwise = heard.clipwise.float().cpu().numpy()
            rows[column].append(clipwise)
            if column == 0:
                frames.add(clipwise, heard.framewise)
