"""Learning-rate schedules, as factors of the peak rate."""

from __future__ import annotations

import math
from collections.abc import Callable


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
