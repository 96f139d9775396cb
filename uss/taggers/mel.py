"""The log-mel front end of the EfficientAT family (Schmid et al., ICASSP 2023)."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def mel_filterbank(
    num_bands: int, n_fft: int, sample_rate: int, low_hz: float, high_hz: float
) -> Tensor:
    """Triangles of height 1 drawn on the mel axis, mel(f) = 1127 ln(1 + f / 700) (Kaldi).

    Returns:
        (num_bands, n_fft // 2 + 1) weights; the Nyquist bin has weight 0.
    """
    points = torch.linspace(
        _hz_to_mel(low_hz), _hz_to_mel(high_hz), num_bands + 2, dtype=torch.float64
    )
    bins_hz = torch.arange(n_fft // 2, dtype=torch.float64) * sample_rate / n_fft
    bins_mel = 1127.0 * torch.log1p(bins_hz / 700.0)
    left, centre, right = points[:-2, None], points[1:-1, None], points[2:, None]
    rising = (bins_mel - left) / (centre - left)
    falling = (right - bins_mel) / (right - centre)
    triangles = torch.minimum(rising, falling).clamp(min=0.0)
    return F.pad(triangles, (0, 1)).float()


def _hz_to_mel(frequency_hz: float) -> float:
    return 1127.0 * math.log1p(frequency_hz / 700.0)


class LogMel(nn.Module):
    """Pre-emphasis, power STFT, mel bands and a scaled logarithm.

    ``(ln(mel + 1e-5) + 4.5) / 5`` brings ordinary recordings to roughly unit range. Nothing of it
    is trained, so nothing of it is stored: the buffers are left out of the state dict.
    """

    n_fft = 1024
    window_samples = 800
    hop_length = 320
    sample_rate = 32_000
    num_bands = 128
    max_hz = 15_000.0

    window: Tensor
    filters: Tensor

    def __init__(self) -> None:
        super().__init__()
        window = torch.hann_window(self.window_samples, periodic=False)
        filters = mel_filterbank(self.num_bands, self.n_fft, self.sample_rate, 0.0, self.max_hz)
        self.register_buffer("window", window, persistent=False)
        self.register_buffer("filters", filters, persistent=False)

    def forward(self, waveform: Tensor) -> Tensor:
        """Compute the network's input image.

        Args:
            waveform: (B, T) float32 in [-1, 1] at 32 kHz, T > 513.

        Returns:
            (B, 128, F), 100 frames per second.
        """
        emphasised = waveform[:, 1:] - 0.97 * waveform[:, :-1]
        spectrum = torch.stft(
            emphasised,
            self.n_fft,
            self.hop_length,
            self.window_samples,
            self.window,
            center=True,
            pad_mode="reflect",
            return_complex=True,
        )
        power = torch.view_as_real(spectrum).square().sum(dim=-1)
        return (torch.log(self.filters @ power + 1e-5) + 4.5) / 5.0
