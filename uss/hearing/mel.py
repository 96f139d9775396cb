"""Log-mel front ends: of EfficientAT (Schmid et al., ICASSP 2023), of PANNs and HTS-AT.

The two families differ in the mel scale, in what their triangles are normalised to, in the
window and in the logarithm; PANNs are Kong et al. 2020, HTS-AT is Chen et al. 2022.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

# Slaney's scale: 200/3 Hz per mel up to 1 kHz, then 27 mels per factor of 6.4.
_SLANEY_HZ_PER_MEL = 200.0 / 3.0
_SLANEY_KNEE_HZ = 1_000.0
_SLANEY_KNEE_MEL = _SLANEY_KNEE_HZ / _SLANEY_HZ_PER_MEL
_SLANEY_LOG_STEP = math.log(6.4) / 27.0


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


def slaney_filterbank(
    num_bands: int, n_fft: int, sample_rate: int, low_hz: float, high_hz: float
) -> Tensor:
    """Triangles of area 1 drawn on the frequency axis (Slaney's Auditory Toolbox, 1998).

    Their corners are equally spaced on a scale that is linear up to 1 kHz and logarithmic above:
    what ``librosa.filters.mel`` gives by default.

    Returns:
        (num_bands, n_fft // 2 + 1) weights, per Hz.
    """
    corners_mel = torch.linspace(
        _hz_to_slaney(low_hz), _hz_to_slaney(high_hz), num_bands + 2, dtype=torch.float64
    )
    corners_hz = torch.where(
        corners_mel < _SLANEY_KNEE_MEL,
        corners_mel * _SLANEY_HZ_PER_MEL,
        _SLANEY_KNEE_HZ * torch.exp((corners_mel - _SLANEY_KNEE_MEL) * _SLANEY_LOG_STEP),
    )
    bins_hz = torch.arange(n_fft // 2 + 1, dtype=torch.float64) * sample_rate / n_fft
    left, centre, right = corners_hz[:-2, None], corners_hz[1:-1, None], corners_hz[2:, None]
    rising = (bins_hz - left) / (centre - left)
    falling = (right - bins_hz) / (right - centre)
    triangles = torch.minimum(rising, falling).clamp(min=0.0)
    return (triangles * 2.0 / (right - left)).float()


def _hz_to_slaney(frequency_hz: float) -> float:
    if frequency_hz < _SLANEY_KNEE_HZ:
        return frequency_hz / _SLANEY_HZ_PER_MEL
    return _SLANEY_KNEE_MEL + math.log(frequency_hz / _SLANEY_KNEE_HZ) / _SLANEY_LOG_STEP


def _bands(filters: Tensor, power: Tensor) -> Tensor:
    """Sum up the bands, also under autocast in float32: in bfloat16 a logarithm shows the steps."""
    with torch.autocast(power.device.type, enabled=False):
        return filters @ power


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
        power = spectrum.real.square() + spectrum.imag.square()
        return (torch.log(_bands(self.filters, power) + 1e-5) + 4.5) / 5.0


class PannsLogMel(nn.Module):
    """The front end of PANNs and HTS-AT: power STFT, Slaney mel bands, decibels.

    Nothing of it is trained, so nothing of it is stored: the buffers are left out of the state
    dict.

    Attributes:
        constants: patterns of the entries under which published files, and the networks of
            ``panns-inference``, hold it as convolution kernels and a matrix.
    """

    constants = ("spectrogram_extractor.stft.*", "logmel_extractor.melW")

    n_fft = 1024
    hop_length = 320
    sample_rate = 32_000
    num_bands = 64
    min_hz = 50.0
    max_hz = 14_000.0
    floor = 1e-10

    window: Tensor
    filters: Tensor

    def __init__(self) -> None:
        super().__init__()
        filters = slaney_filterbank(
            self.num_bands, self.n_fft, self.sample_rate, self.min_hz, self.max_hz
        )
        self.register_buffer("window", torch.hann_window(self.n_fft), persistent=False)
        self.register_buffer("filters", filters, persistent=False)

    def forward(self, waveform: Tensor) -> Tensor:
        """Compute the network's input image.

        Args:
            waveform: (B, T) float32 in [-1, 1] at 32 kHz, T > 512.

        Returns:
            (B, 64, F) in dB, F = T // 320 + 1; frame f is centred at f / 100 seconds.
        """
        spectrum = torch.stft(
            waveform,
            self.n_fft,
            self.hop_length,
            window=self.window,
            center=True,
            pad_mode="reflect",
            return_complex=True,
        )
        power = spectrum.real.square() + spectrum.imag.square()
        return 10.0 * torch.log10(_bands(self.filters, power).clamp(min=self.floor))


class SpecAugment(nn.Module):
    """Zeroes random stripes of an image, in training mode only (Park et al. 2019).

    Two stripes of up to 63 frames and two of up to 7 bands, drawn anew for every image, as PANNs
    and HTS-AT were trained.
    """

    max_frames = 64
    max_bands = 8
    num_stripes = 2

    def forward(self, image: Tensor) -> Tensor:
        """Drop stripes of ``image`` (B, bands, F); the input itself is left as it is."""
        if not self.training:
            return image
        batch_size, num_bands, num_frames = image.shape
        for _ in range(self.num_stripes):
            frames = _outside_a_stripe(batch_size, num_frames, self.max_frames, image.device)
            bands = _outside_a_stripe(batch_size, num_bands, self.max_bands, image.device)
            image = image * frames[:, None, :] * bands[:, :, None]
        return image


def _outside_a_stripe(batch_size: int, length: int, max_width: int, device: torch.device) -> Tensor:
    """(B, length), False within one random stripe per row, narrower than ``max_width``."""
    width = torch.randint(min(max_width, length), (batch_size, 1), device=device)
    start = (torch.rand(batch_size, 1, device=device) * (length - width)).long()
    position = torch.arange(length, device=device)
    return (position < start) | (position >= start + width)
