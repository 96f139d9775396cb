"""What lies above the separator's band, shared out by what its highest bins say."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from uss.core.arrays import Float32, Float64, Waveform

_N_FFT = 1024
# A whole number of frames per second, so that it does not matter where a piece starts.
_FRAMES_PER_SECOND = 50
# Of the separator's band: 12 to 15.5 kHz of 16.
_TOP_BAND = (0.75, 0.97)
_TINY = 1e-12
_EQUAL = 1e-6


def top_band_gain(stem: Waveform, mixture: Waveform, sample_rate: int) -> Float32:
    """How much of the mixture's highest octave third a stem holds, over time.

    Args:
        stem: (C, T) at the separator's rate.
        mixture: (C, T).
        sample_rate: in Hz.

    Returns:
        (F,) amplitude gains in [0, 1], 50 per second: the square root of the stem's share of the
        energy in the top quarter of the separator's band, without its edge.
    """
    share = _top_energy(stem, sample_rate) / (_top_energy(mixture, sample_rate) + _TINY)
    return np.sqrt(np.clip(share, 0.0, 1.0)).astype(np.float32)


def top_band_gains(
    stems: Sequence[Waveform | None], mixture: Waveform, sample_rate: int
) -> dict[int, Float32]:
    """Find the gain of every stem that is not silent, by its number; see ``top_band_gain``."""
    return {
        row: top_band_gain(stem, mixture, sample_rate)
        for row, stem in enumerate(stems)
        if stem is not None
    }


def top_band_shares(
    stems: Sequence[Waveform | None], mixture: Waveform, sample_rate: int
) -> dict[int, Float32]:
    """Share out all that lies outside of the separator's band, in proportion to the energy.

    Args:
        stems: (C, T) each, which add up to the mixture; None for silence.
        mixture: (C, T).
        sample_rate: in Hz.

    Returns:
        (F,) gains of every stem that is not silent, by its number, as ``top_band_gain`` counts
        frames. They add up to 1; where the top band is silent they are equal.
    """
    gains = top_band_gains(stems, mixture, sample_rate)
    energies = {row: np.square(gain) + np.float32(_EQUAL) for row, gain in gains.items()}
    total = np.sum(list(energies.values()), axis=0)
    return {row: energy / total for row, energy in energies.items()}


def follow_top_band(
    high: Waveform,
    sample_rate: int,
    gain: Float32,
    first_second: int,
) -> Waveform:
    """Give a stem its part of the band that the separator does not hear.

    Args:
        high: (C, n) the mixture above the band.
        sample_rate: of ``high``, in Hz.
        gain: from ``top_band_gain``.
        first_second: where ``high`` starts in what the gain was computed of.
    """
    seconds = first_second + np.arange(high.shape[1]) / sample_rate
    frames = np.arange(len(gain)) / _FRAMES_PER_SECOND
    return high * np.interp(seconds, frames, gain).astype(np.float32)


def _top_energy(waveform: Waveform, sample_rate: int) -> Float64:
    """(F,) energy of the top band over all channels, in frames centred every 20 ms."""
    hop_length = sample_rate // _FRAMES_PER_SECOND
    padded = np.pad(waveform, ((0, 0), (_N_FFT // 2, _N_FFT)))
    frames = np.lib.stride_tricks.sliding_window_view(padded, _N_FFT, axis=1)[:, ::hop_length]
    spectra = np.fft.rfft(frames * np.hanning(_N_FFT).astype(np.float32), axis=2)
    low, high = (round(share * _N_FFT / 2) for share in _TOP_BAND)
    energy: Float64 = np.square(np.abs(spectra[:, :, low:high])).sum(axis=(0, 2))
    return energy
