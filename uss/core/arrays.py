"""Array types, each with one meaning."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Float32 = NDArray[np.float32]
"""What networks take and give: probabilities, conditions."""

Waveform = NDArray[np.float32]
"""(C, T) samples in [-1, 1], or (T,) of one channel."""

Float64 = NDArray[np.float64]
"""What is summed or measured exactly."""

Floats = NDArray[np.floating[Any]]
"""Of any precision."""

Bools = NDArray[np.bool_]
"""Masks."""

Indexes = NDArray[np.int64]
"""Positions in other arrays."""
