"""Metrics of speech enhancement: PESQ and the segmental SNR."""

from __future__ import annotations

import numpy as np

from uss.audio import resample
from uss.core.arrays import Float64, Floats
from uss.core.errors import InputError

_PESQ_HZ = 16000

# What the package pesq takes. It has room for 50 utterances, which it does not check: more can end
# the process. Each takes 0.2 s or more, and so does the pause after it.
_MIN_PESQ_SECONDS, _MAX_PESQ_SECONDS = 0.25, 20

# Hu and Loizou 2008, after Hansen and Pellom 1998.
_FRAME_SECONDS = 0.03
_HOPS_PER_FRAME = 4
_MIN_FRAME_DB, _MAX_FRAME_DB = -10.0, 35.0


def pesq(reference: Floats, estimate: Floats, sample_rate: int) -> float:
    """Wide-band perceptual evaluation of speech quality (ITU-T P.862.2), at 16 kHz.

    Args:
        reference: (T,) the true speech.
        estimate: (T,).
        sample_rate: of both, in Hz.

    Returns:
        MOS-LQO, 1.04 to 4.64; NaN where it is undefined: one of them is silent, holds no utterance,
        or is shorter than a quarter of a second.

    Raises:
        ValueError: if they differ in length.
        InputError: if they last longer than 20 s, or without the package pesq.
    """
    _check_pair(reference, estimate)
    try:
        import pesq as package
    except ImportError as error:
        raise InputError(
            "PESQ needs the package pesq; pip install 'uss-pipeline[eval]', which compiles it and "
            "so needs a C compiler"
        ) from error
    if len(reference) > _MAX_PESQ_SECONDS * sample_rate:
        raise InputError(
            f"PESQ of {len(reference) / sample_rate:.1f} s: the package pesq may crash beyond "
            f"{_MAX_PESQ_SECONDS} s; evaluate shorter excerpts"
        )
    if len(reference) < _MIN_PESQ_SECONDS * sample_rate:
        return float("nan")
    speech, degraded = (
        resample(waveform.astype(np.float32), sample_rate, _PESQ_HZ)
        for waveform in (reference, estimate)
    )
    if not (speech.any() and degraded.any()):
        return float("nan")
    try:
        return float(package.pesq(_PESQ_HZ, speech, degraded, "wb"))
    except package.NoUtterancesError:
        return float("nan")


def segmental_snr(reference: Floats, estimate: Floats, sample_rate: int) -> float:
    """Segmental signal-to-noise ratio (SSNR), as Hu and Loizou (2008) measure enhanced speech.

    Frames of 30 ms under a Hann window overlap by 75 %. The ratio of each is limited to -10 to
    35 dB, so one without any reference counts as -10 dB. As in the authors' program, the last whole
    frame is left out. A recording without a whole frame and one hop is a single frame, with zeros
    where it ends early.

    Args:
        reference: (T,) the true speech.
        estimate: (T,).
        sample_rate: of both, in Hz.

    Returns:
        Mean over the frames in dB; NaN where the reference is silent.

    Raises:
        ValueError: if they differ in length.
    """
    _check_pair(reference, estimate)
    if not reference.any():
        return float("nan")
    clean = reference.astype(np.float64)
    signal = _frame_energies(clean, sample_rate)
    noise = _frame_energies(clean - estimate, sample_rate)
    floor, ceiling = (10.0 ** (limit / 10.0) for limit in (_MIN_FRAME_DB, _MAX_FRAME_DB))
    limited_noise = np.maximum(noise, signal / ceiling)
    ratio = np.divide(signal, limited_noise, out=np.zeros_like(signal), where=signal > 0.0)
    return float(np.mean(10.0 * np.log10(np.maximum(ratio, floor))))


def _frame_energies(waveform: Float64, sample_rate: int) -> Float64:
    """Sum each frame's windowed squares: of (T,), (F,)."""
    frame_samples = max(1, round(_FRAME_SECONDS * sample_rate))
    hop_samples = max(1, frame_samples // _HOPS_PER_FRAME)
    num_frames = max(1, (len(waveform) - frame_samples) // hop_samples)
    # The authors' window does not touch zero.
    weights = np.square(np.hanning(frame_samples + 2)[1:-1])
    missing = max(0, frame_samples - len(waveform))
    squares = np.pad(np.square(waveform), (0, missing))
    frames = np.lib.stride_tricks.sliding_window_view(squares, frame_samples)[::hop_samples]
    # Unlike a product with the window, einsum makes no copy of overlapping frames.
    energies: Float64 = np.einsum("fw,w->f", frames[:num_frames], weights)
    return energies


def _check_pair(reference: Floats, estimate: Floats) -> None:
    if reference.ndim != 1 or reference.shape != estimate.shape:
        raise ValueError(
            f"reference and estimate have the shapes {reference.shape} and {estimate.shape}; give "
            "one channel each, of equal length"
        )
