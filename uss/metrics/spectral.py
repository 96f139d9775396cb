"""How far spectra are from each other, whatever their phases."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from uss.core.arrays import Floats

_WINDOW_SECONDS, _HOP_SECONDS = 2048 / 44_100, 0.01
_FLOOR = 1e-4


def log_spectral_distance(reference: Floats, estimate: Floats, sample_rate: int) -> float:
    """Log-spectral distance, as ssr_eval has it (Liu et al. 2022), in decades of power.

    The root of the mean over bins of (log10 |X|² - log10 |Y|²)², averaged over frames: Hann windows
    of 46 ms, 100 a second, centred, zeros beyond the ends. Bins of less than -80 dBFS (of a sine at
    full scale) count as -80 dBFS, where the published code adds 1e-12: else digital silence beside
    what nobody hears would decide. Levels count: a gain of 10 dB is a distance of 1.

    Args:
        reference: (C, T) the true source.
        estimate: (C, T).
        sample_rate: of both, in Hz.

    Returns:
        The mean over the channels, 0 or more; NaN where the reference is silent.

    Raises:
        ValueError: if the shapes differ.
    """
    if reference.ndim != 2 or reference.shape != estimate.shape:
        raise ValueError(
            f"reference and estimate have the shapes {reference.shape} and {estimate.shape}; "
            "give equal ones of channels and samples"
        )
    if not reference.any():
        return float("nan")
    window = max(2, int(_WINDOW_SECONDS * sample_rate))
    hop = max(1, int(_HOP_SECONDS * sample_rate))
    one, other = (_log_power(each, window, hop) for each in (reference, estimate))
    return float((one - other).square().mean(dim=1).sqrt().mean())


def _log_power(waveform: Floats, window_samples: int, hop_samples: int) -> Tensor:
    """(C, bins, F) log10 of squared magnitudes, relative to a sine at full scale."""
    window = torch.hann_window(window_samples, dtype=torch.float64)
    spectrum = torch.stft(
        torch.from_numpy(np.ascontiguousarray(waveform, np.float64)),
        window_samples,
        hop_samples,
        window=window,
        pad_mode="constant",
        return_complex=True,
    )
    return 2.0 * (spectrum.abs() / (window.sum() / 2.0)).clamp(min=_FLOOR).log10()
