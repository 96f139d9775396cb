"""Learning-rate schedules, as factors of the peak rate."""

from __future__ import annotations

import math
from collections.abc import Callable

from uss.core.errors import InputError


def warm_up_then_cosine(warm_up_steps: int, total_steps: int | None) -> Callable[[int], float]:
    """Linear warm-up, then half a cosine down to 0 at ``total_steps``.

    Args:
        warm_up_steps: steps of the warm-up.
        total_steps: of the training; None or not more than the warm-up keeps the peak rate.

    Returns:
        A function from the step to a factor in (0, 1].
    """

    def factor(step: int) -> float:
        if step < warm_up_steps:
            return (step + 1) / (warm_up_steps + 1)
        if total_steps is None or total_steps <= warm_up_steps:
            return 1.0
        progress = min(1.0, (step - warm_up_steps) / (total_steps - warm_up_steps))
        return 0.5 * (1.0 + math.cos(math.pi * progress))

    return factor


def stepped_warm_up(warm_up_steps: int) -> Callable[[int], float]:
    """A thousandth, a hundredth and a tenth of the peak rate for a third of the warm-up each.

    AudioSep's schedule, with 10,000 steps each; then the peak rate.

    Args:
        warm_up_steps: steps of the warm-up.

    Returns:
        A function from the step to a factor in (0, 1].
    """

    def factor(step: int) -> float:
        if step >= warm_up_steps:
            return 1.0
        return float(10.0 ** (3 * step // warm_up_steps - 3))

    return factor


def stepped_decay(
    warm_up_steps: int, every_steps: int, decay_factor: float
) -> Callable[[int], float]:
    """Linear warm-up; the rate falls at once, again and again.

    Args:
        warm_up_steps: steps of the warm-up.
        every_steps: after so many steps, counted from the first, it falls.
        decay_factor: to this part of what it was, such as a tenth.

    Returns:
        A function from the step to a factor in (0, 1].

    Raises:
        ValueError: if there are no steps between, or the factor is none.
    """
    if every_steps < 1 or not 0.0 < decay_factor < 1.0:
        raise InputError(
            f"decay_every_steps {every_steps} must be at least 1, decay_factor {decay_factor} "
            "between 0 and 1"
        )
    warm_up = warm_up_then_cosine(warm_up_steps, None)

    def factor(step: int) -> float:
        return warm_up(step) * float(decay_factor ** (step // every_steps))

    return factor
