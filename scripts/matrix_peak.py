"""How fast a machine multiplies matrices: the limit that networks are held against."""

from __future__ import annotations

import time

import torch
from torch import Tensor

_SIZE = 2048


def matrix_peak(dtype: torch.dtype, device: torch.device) -> float:
    """GFLOP/s of a large matrix product; the best of ten."""
    left, right = (torch.rand(_SIZE, _SIZE, device=device).to(dtype) for _ in range(2))
    best = 0.0
    for _ in range(10):
        start = time.perf_counter()
        result: Tensor = left @ right
        if device.type == "cuda":
            torch.cuda.synchronize()
        best = max(best, 2 * _SIZE**3 / (time.perf_counter() - start) / 1e9)
        del result
    return best
