"""Between linear and log-spaced frequencies, as Sound of Pixels (Zhao et al. 2018) warps images.

Row r of R reads linear bin (K - 1) (21^(r / (R - 1)) - 1) / 20 of K; bin k reads row
(R - 1) log(20 k / (K - 1) + 1) / log 21. Both interpolate linearly.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

_BASE = 21.0


def to_log_bins(image: Tensor, num_rows: int) -> Tensor:
    """Map (B, bins, F) to (B, num_rows, F) on log-spaced frequencies."""
    place = torch.linspace(0.0, 1.0, num_rows, dtype=torch.float64)
    read = (_BASE**place - 1.0) / (_BASE - 1.0)
    return _read(image[:, None], read)[:, 0]


def to_linear_bins(image: Tensor, num_bins: int) -> Tensor:
    """Map (B, Q, rows, F) on log-spaced frequencies back to (B, Q, num_bins, F)."""
    place = torch.linspace(0.0, 1.0, num_bins, dtype=torch.float64)
    read = torch.log((_BASE - 1.0) * place + 1.0) / math.log(_BASE)
    return _read(image, read)


def _read(image: Tensor, places: Tensor) -> Tensor:
    """Read rows at (R',) places in [0, 1] of (B, C, R, F): (B, C, R', F).

    With ``grid_sample`` on both axes: files were trained with its float32 rounding, which near
    empty bins shows in logarithms.
    """
    batch, _, _, frames = image.shape
    rows = (2.0 * places - 1.0).float().to(image.device)
    columns = torch.linspace(-1.0, 1.0, frames, dtype=torch.float64).float().to(image.device)
    grid = torch.stack(
        [columns[None].expand(len(rows), -1), rows[:, None].expand(-1, frames)], dim=-1
    )
    return F.grid_sample(image, grid[None].expand(batch, -1, -1, -1), align_corners=True)
