"""Log-mel filter banks as Kaldi makes them, which Audio-MAE and AST hear."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from uss.hearing.mel import mel_filterbank

_FLOOR = 1.1920929e-07
_PRE_EMPHASIS = 0.97


class KaldiLogMel(nn.Module):
    """Frames of 25 ms every 10 ms: their mean removed, pre-emphasised, Hann, mel bands, logarithm.

    Nothing of it is trained, so nothing of it is stored.
    """

    sample_rate = 16_000
    window_samples = 400
    hop_length = 160
    n_fft = 512
    num_bands = 128
    min_hz = 20.0
    max_hz = 8_000.0

    window: Tensor
    filters: Tensor

    def __init__(self) -> None:
        super().__init__()
        filters = mel_filterbank(
            self.num_bands, self.n_fft, self.sample_rate, self.min_hz, self.max_hz
        )
        window = torch.hann_window(self.window_samples, periodic=False)
        self.register_buffer("window", window, persistent=False)
        self.register_buffer("filters", filters, persistent=False)

    def forward(self, waveform: Tensor) -> Tensor:
        """Compute the bands of whole frames.

        Args:
            waveform: (B, T) float32 in [-1, 1] at 16 kHz; padded with zeros to one frame.

        Returns:
            (B, 128, F) natural logarithms of powers, 100 frames per second.
        """
        with torch.autocast(waveform.device.type, enabled=False):
            padded = F.pad(waveform, (0, max(0, self.window_samples - waveform.shape[1])))
            frames = padded.unfold(1, self.window_samples, self.hop_length)
            frames = frames - frames.mean(dim=2, keepdim=True)
            before = torch.cat([frames[..., :1], frames[..., :-1]], dim=2)
            spectrum = torch.fft.rfft(self.window * (frames - _PRE_EMPHASIS * before), self.n_fft)
            power = spectrum.real.square() + spectrum.imag.square()
            return torch.log((self.filters @ power.transpose(1, 2)).clamp(min=_FLOOR))
