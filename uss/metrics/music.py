"""BSSEval v4, with which music separation is compared (Stöter et al., LVA/ICA 2018)."""

from __future__ import annotations

import shutil
from typing import Any, NamedTuple

import numpy as np

from uss.core.arrays import Bools, Float64, Floats
from uss.core.errors import InputError

# As the other ratios; a perfect estimate would have infinite ones.
_MAX_DB = 100.0


class BssEval(NamedTuple):
    """Ratios of J sources, each (J,) float64 in dB, NaN where undefined.

    Attributes:
        sdr: source to distortion: all that follows together.
        isr: source image to spatial distortion: what a filter of 512 taps explains.
        sir: source to interference: what such filters of the other sources explain.
        sar: sources to artefacts: the rest.
    """

    sdr: Float64
    isr: Float64
    sir: Float64
    sar: Float64


def bss_eval(references: Floats, estimates: Floats, sample_rate: int) -> BssEval:
    """Measure all sources of a song with museval, as SiSEC 2018 did with MUSDB18.

    The distortion filters are those of the whole song. The ratios are medians over windows of one
    second that do not overlap; what remains after the last counts in the filters alone, and a song
    shorter than a second is one window. A window in which any source or estimate is silent is
    undefined for all of them.

    A source whose reference or estimate is silent throughout is NaN, and the others are measured:
    museval refuses such a song. To museval, audio is silent where the channels sum to zero, which
    those in antiphase do too. A source alone has no interference, so its SIR is 100 dB.

    Args:
        references: (J, C, T) the true sources.
        estimates: (J, C, T) in the same order.
        sample_rate: of both, in Hz.

    Returns:
        Ratios within ±100 dB.

    Raises:
        ValueError: if the shapes differ or have no sample.
        InputError: without museval or FFmpeg.
    """
    if references.ndim != 3 or references.shape != estimates.shape or not references.size:
        raise ValueError(
            f"references and estimates have the shapes {references.shape} and {estimates.shape}; "
            "give equal ones of sources, channels and samples"
        )
    metrics = _museval_metrics()
    sources, found = references.astype(np.float64), estimates.astype(np.float64)
    is_source = ~_is_silent(sources)
    is_measured = is_source & ~_is_silent(found)
    ratios = np.full((4, len(sources)), np.nan)
    if is_measured.any():
        # museval wants an estimate of each source, but measures one without regard to the others.
        stand_ins = np.where(is_measured[:, np.newaxis, np.newaxis], found, sources)
        windows = _windows(metrics, sources[is_source], stand_ins[is_source], sample_rate)
        ratios[:, is_source] = _median_of_defined(windows)
        ratios[:, ~is_measured] = np.nan
    return BssEval(*ratios)


def _windows(
    metrics: Any,
    references: Float64,
    estimates: Float64,
    window_samples: int,
) -> Float64:
    """Call museval: of (J, C, T) each, (4, J, F)."""
    try:
        # Ratios of zero and infinity, and the mean that would choose a permutation.
        with np.errstate(divide="ignore", invalid="ignore"):
            *ratios, _ = metrics.bss_eval(
                references.swapaxes(1, 2),
                estimates.swapaxes(1, 2),
                window=window_samples,
                hop=window_samples,
            )
    except AttributeError as error:
        # Of references that determine each other exactly, such as a click in both channels, there
        # are no filters; museval then looks for LinAlgError where newer NumPy no longer has it.
        if error.name != "linalg":
            raise
        return np.full((4, len(references), 1), np.nan)
    return np.stack(ratios)


def _is_silent(waveforms: Float64) -> Bools:
    """Tell which sources museval would refuse: of (J, C, T), (J,)."""
    silent: Bools = (waveforms.sum(axis=1) == 0.0).all(axis=1)
    return silent


def _median_of_defined(windows: Float64) -> Float64:
    """Reduce (4, J, F) ratios, of which a window is NaN for all sources or none, to (4, J)."""
    defined = windows[..., ~np.isnan(windows).any(axis=(0, 1))]
    if not defined.size:
        return np.full(windows.shape[:2], np.nan)
    medians: Float64 = np.median(np.clip(defined, -_MAX_DB, _MAX_DB), axis=-1)
    return medians


def _museval_metrics() -> Any:
    # One of museval's dependencies, stempeg, cannot be imported without them.
    for program in ("ffmpeg", "ffprobe"):
        if shutil.which(program) is None:
            raise InputError(
                f"BSSEval needs museval, which needs the program {program}, and that is not on the "
                "PATH; install FFmpeg, such as with apt install ffmpeg or conda install ffmpeg"
            )
    try:
        from museval import metrics
    except ImportError as error:
        raise InputError(
            "BSSEval needs the package museval; pip install 'uss-pipeline[eval]'"
        ) from error
    return metrics
