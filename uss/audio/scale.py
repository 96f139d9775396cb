"""Samples that were never brought to [-1, 1]."""

from __future__ import annotations

_FULL_SCALES = (2**7, 2**15, 2**23, 2**31)
# Loud mixes and sums of stems exceed full scale, but not by 40 dB.
_MIN_PEAK = 100.0


def scale_hint(peak: float) -> str | None:
    """Say by what to divide samples that seem to be integers.

    Args:
        peak: the highest magnitude.

    Returns:
        A sentence for a warning; None where they are small enough to be what they seem.
    """
    if peak < _MIN_PEAK:
        return None
    divisor = next((scale for scale in _FULL_SCALES if peak <= scale), _FULL_SCALES[-1])
    return (
        f"the samples reach {peak:.6g}, as of integers; divide them by {divisor} to bring them to "
        "[-1, 1]"
    )
