"""Samples that were never brought to [-1, 1]."""

from __future__ import annotations

_FULL_SCALES = (2**7, 2**15, 2**23, 2**31)
# Loud mixes and sums of stems exceed full scale, but not by 40 dB.
_MIN_PEAK = 100.0


def divisor_of(peak: float) -> int | None:
    """Guess the full scale of the integers that samples were made of.

    Args:
        peak: the highest magnitude.

    Returns:
        By what to divide the samples; None where they are small enough to be what they seem.
    """
    if peak < _MIN_PEAK:
        return None
    return next((scale for scale in _FULL_SCALES if peak <= scale), _FULL_SCALES[-1])
