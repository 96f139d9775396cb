"""How alike two descriptions are."""

from __future__ import annotations

import numpy as np

from uss.core.arrays import Float32


def cosine(one: Float32, other: Float32) -> float:
    """Cosine of the angle between (K,) vectors; 0 where one of them is zero."""
    norms = float(np.linalg.norm(one)) * float(np.linalg.norm(other))
    return float(one @ other) / norms if norms > 0.0 else 0.0
