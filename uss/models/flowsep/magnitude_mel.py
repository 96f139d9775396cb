"""The log-mel that FlowSep's autoencoder was trained on: of magnitudes, in natural logarithms."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from uss.hearing.mel import slaney_filterbank

_FLOOR = 1e-5
_PEAK = 0.5
_TINY = 1e-8


class MagnitudeMel(nn.Module):
    """A mel front end without weights.

    Args:
        num_bands: of the mel, from 0 Hz to half the sample rate.
        n_fft: also the window's length, in samples.
        hop_length: between frames, in samples.
        sample_rate: in Hz.
    """

    window: Tensor
    filters: Tensor

    def __init__(
        self,
        num_bands: int = 64,
        *,
        n_fft: int = 1024,
        hop_length: int = 160,
        sample_rate: int = 16_000,
    ) -> None:
        super().__init__()
        self.n_fft = n_fft
        self.hop_length = hop_length
        filters = slaney_filterbank(num_bands, n_fft, sample_rate, 0.0, sample_rate / 2)
        self.register_buffer("window", torch.hann_window(n_fft), persistent=False)
        self.register_buffer("filters", filters, persistent=False)

    def forward(self, waveform: Tensor) -> Tensor:
        """Map (B, T) samples to (B, F, num_bands): T / ``hop_length`` frames.

        The last frame, which is centred behind the end, is dropped.
        """
        spectrum = torch.stft(
            waveform, self.n_fft, self.hop_length, window=self.window, return_complex=True
        )
        # Autocast would round it, and logarithms show that.
        with torch.autocast(waveform.device.type, enabled=False):
            mel = self.filters @ spectrum.abs()
        return (
            mel.clamp(min=_FLOOR).log().transpose(1, 2)[:, : waveform.shape[-1] // self.hop_length]
        )


def levelled(waveform: Tensor, num_valid: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Take away the mean of each row, and bring its peak to 0.5.

    Args:
        waveform: (B, T).
        num_valid: (B,) how many samples of each row count; the others become 0. All if None.

    Returns:
        (B, T), and the (B,) gains that did it.
    """
    if num_valid is None:
        num_valid = torch.full((len(waveform),), waveform.shape[-1], device=waveform.device)
    place = torch.arange(waveform.shape[-1], device=waveform.device)
    counts = place < num_valid[:, None]
    mean = (waveform * counts).sum(dim=-1, keepdim=True) / num_valid[:, None]
    centred = (waveform - mean) * counts
    gain = _PEAK / (centred.abs().amax(dim=-1) + _TINY)
    return centred * gain[:, None], gain
