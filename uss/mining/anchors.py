"""Anchor segments: where in a weakly labelled clip a class most likely sounds (eqs. 3, 4)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from uss.core.arrays import Float64, Floats
from uss.core.errors import InputError


class AnchorSpan(NamedTuple):
    """A span of a clip, in samples, with the mean framewise probability over it."""

    start_samples: int
    end_samples: int
    score: float


def find_anchors(
    probability: Floats,
    *,
    hop_length: int,
    clip_samples: int,
    segment_samples: int,
    count: int = 1,
) -> list[AnchorSpan]:
    """Find the segments that most likely hold a class.

    The score of a centre frame is the mean probability over the window around it (eq. 3, up to the
    constant 1/tau), with the edge frames repeated outside the clip; the best centre (eq. 4) is
    moved inward until the segment lies within the clip.

    Args:
        probability: (F,) framewise probability of one class, frame f centred at sample
            ``f * hop_length``.
        hop_length: samples between frames.
        clip_samples: length of the clip.
        segment_samples: length of a segment.
        count: how many segments that do not overlap are wanted; fewer come where the clip is
            too short for more.

    Returns:
        The spans, best first. A clip shorter than the segment gives its whole span.

    Raises:
        ValueError: if ``probability`` is empty or ``count`` is less than 1.
    """
    if probability.ndim != 1 or len(probability) == 0:
        raise InputError(f"probability must be (F,) with F > 0, not {probability.shape}")
    if count < 1:
        raise InputError(f"count must be at least 1, not {count}")
    if clip_samples <= segment_samples:
        return [AnchorSpan(0, clip_samples, float(probability.mean()))]
    half = segment_samples // hop_length // 2
    scores = _window_means(probability, half)
    last = max(half, clip_samples // hop_length - half)
    centres = np.clip(np.arange(len(scores)), half, last)
    starts = np.minimum((centres - half) * hop_length, clip_samples - segment_samples)
    spans: list[AnchorSpan] = []
    remaining = scores.copy()
    while len(spans) < count and np.isfinite(remaining).any():
        best = int(np.argmax(remaining))
        start = int(starts[best])
        spans.append(AnchorSpan(start, start + segment_samples, float(scores[best])))
        remaining[np.abs(starts - start) < segment_samples] = -np.inf
    return spans


def random_spans(
    rng: np.random.Generator, clip_samples: int, segment_samples: int, count: int
) -> list[tuple[int, int]]:
    """Draw segments that do not overlap, anywhere in a clip (section 4.6.5).

    All placements of the segments in the clip are equally probable, and so are all orders.

    Args:
        rng: draws them.
        clip_samples: length of the clip.
        segment_samples: length of a segment.
        count: how many are wanted; fewer come where the clip is too short for them.

    Returns:
        (start, end) of each, in samples, in random order. A clip shorter than the segment gives
        its whole span.

    Raises:
        ValueError: if ``count`` is less than 1.
    """
    if count < 1:
        raise InputError(f"count must be at least 1, not {count}")
    if clip_samples <= segment_samples:
        return [(0, clip_samples)]
    count = min(count, clip_samples // segment_samples)
    free = clip_samples - count * segment_samples
    # With the segments shrunk to points a placement is a choice of ``count`` among ``free + count``
    # places; widening the points again maps choices to placements one to one.
    points = np.sort(rng.choice(free + count, count, replace=False))
    starts = points + np.arange(count) * (segment_samples - 1)
    return [(start, start + segment_samples) for start in rng.permutation(starts).tolist()]


def resample_frames(probability: Floats, from_hz: float, to_hz: float, num_frames: int) -> Float64:
    """Interpolate a framewise curve linearly to another frame rate.

    Args:
        probability: (F,), frame f centred at ``f / from_hz`` seconds.
        from_hz: its frames per second.
        to_hz: the frames per second wanted.
        num_frames: how many.

    Returns:
        (num_frames,); the last value is held beyond the last frame.
    """
    return np.interp(
        np.arange(num_frames) / to_hz, np.arange(len(probability)) / from_hz, probability
    )


def _window_means(probability: Floats, half: int) -> Float64:
    """Mean over ``2 * half + 1`` frames around each frame."""
    padded = np.pad(probability.astype(np.float64), half, mode="edge")
    sums = np.cumsum(np.concatenate([[0.0], padded]))
    width = 2 * half + 1
    means: Float64 = (sums[width:] - sums[:-width]) / width
    return means
