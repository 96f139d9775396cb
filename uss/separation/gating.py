"""Stems that are wanted at some times only."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from uss.core.arrays import Float32, Waveform

_FADE_SECONDS = 0.005


def span_gate(
    spans: Sequence[tuple[float, float]], sample_rate: int, start: int, num_samples: int
) -> Float32:
    """Let through what lies in some spans, which fade in and out inside them.

    Args:
        spans: (start, end) in seconds, apart from each other. One that starts with the recording
            does not fade in.
        sample_rate: in Hz.
        start: first sample of the gate.
        num_samples: n.

    Returns:
        (n,) gains, 0 outside of the spans, at most 1.
    """
    times = start + np.arange(num_samples)
    gate = np.zeros(num_samples, np.float32)
    fade = max(1.0, _FADE_SECONDS * sample_rate)
    for first_second, last_second in spans:
        first, last = round(first_second * sample_rate), last_second * sample_rate
        last = np.inf if np.isinf(last) else round(last)
        rising = np.inf if first <= 0 else (times - first + 0.5) / fade
        falling = (last - times - 0.5) / fade
        gain = np.clip(np.minimum(rising, falling), 0.0, 1.0).astype(np.float32)
        gate = np.maximum(gate, gain)
    return gate


def gated(
    stems: Sequence[Waveform | None],
    spans: Sequence[Sequence[tuple[float, float]] | None],
    sample_rate: int,
    start: int,
) -> list[Waveform | None]:
    """Silence stems outside of the times at which they are wanted.

    Args:
        stems: (C, n) each; None for silence.
        spans: of each stem, in seconds; None for all times.
        sample_rate: in Hz.
        start: first sample of the stems.
    """
    out = list(stems)
    for row, wanted in enumerate(spans):
        samples = out[row]
        if wanted is not None and samples is not None:
            out[row] = samples * span_gate(wanted, sample_rate, start, samples.shape[1])
    return out
