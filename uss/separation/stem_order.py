"""Which stem goes on as which, from one segment to the next, where nobody has named them.

A blind separator gives its stems in any order, and in another one for each segment. Where
neighbouring segments overlap, both hold the same sound: the order in which they differ least there
is the one in which stems go on.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from scipy.optimize import linear_sum_assignment

from uss.audio.segments import Segmentation
from uss.core.arrays import Float32, Float64, Indexes
from uss.core.errors import InputError

_STAY = 1e-6


class StemOrder:
    """Puts the estimates of one segment after another into the order of those before.

    Args:
        segmentation: where segments lie.

    Raises:
        ValueError: if segments do not overlap.
    """

    def __init__(self, segmentation: Segmentation) -> None:
        self._overlap = segmentation.segment_samples - segmentation.hop_samples
        check_overlap(self._overlap)
        self._last: tuple[int, Float32] | None = None

    def __call__(self, index: int, estimates: Mapping[int, Float32]) -> dict[int, Float32]:
        """Order the estimates of a segment; segments come in turn.

        After a segment that was left out, such as one of silence, stems stay as the model has them.

        Args:
            index: of the segment.
            estimates: (C, S) by number, of all stems.

        Returns:
            The same estimates, by the numbers they go on as.
        """
        numbers = sorted(estimates)
        given = np.stack([estimates[number] for number in numbers])
        if self._last is not None and self._last[0] == index - 1:
            given = given[continuing(self._last[1], given[..., : self._overlap])]
        self._last = (index, given[..., given.shape[-1] - self._overlap :].copy())
        return dict(zip(numbers, given, strict=True))


def check_overlap(overlap: float) -> None:
    """Refuse blind separation where nothing tells how stems go on.

    Raises:
        ValueError: if the overlap is 0.
    """
    if overlap <= 0:
        raise InputError(
            "segments that do not overlap leave open which blind stem goes on as which; give an "
            "overlap above 0"
        )


def continuing(before: Float32, after: Float32) -> Indexes:
    """Find the order of ``after`` in which stems differ least from those ``before``.

    The sum of squared differences is smallest where that of inner products is largest. Where it
    makes no difference, stems keep their places.

    Args:
        before: (M, C, n) the end of each stem so far.
        after: (M, C, n) the same time in the next segment.

    Returns:
        (M,) for each stem, which of ``after`` goes on with it.
    """
    first = before.reshape(len(before), -1).astype(np.float64)
    second = after.reshape(len(after), -1).astype(np.float64)
    alike: Float64 = first @ second.T
    scale = max(float(np.abs(alike).max(initial=0.0)), np.finfo(np.float64).tiny)
    alike = alike / scale + _STAY * np.eye(len(alike))
    _, order = linear_sum_assignment(alike, maximize=True)
    chosen: Indexes = np.asarray(order, np.int64)
    return chosen
