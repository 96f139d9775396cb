"""Scores of what a separator made of a mixture."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal, get_args

import numpy as np
import torch

from uss.core.arrays import Waveform
from uss.core.errors import InputError
from uss.evaluation.lists.mixtures import Mixture
from uss.metrics import is_alone, sdr, si_sdr
from uss.metrics.music import bss_eval
from uss.metrics.spectral import log_spectral_distance
from uss.metrics.speech import pesq, segmental_snr

Metric = Literal[
    "sdr",
    "si-sdr",
    "pesq",
    "ssnr",
    "bss-eval",
    "lsd",
    "text-match",
    "clap-score",
    "clap-score-a",
    "tagger-score",
    "embedding-error",
    "fad",
    "kad",
]
"""SDR (eq. 12) and SI-SDR, each with its improvement over the mixture; PESQ; segmental SNR; SDR,
ISR, SIR and SAR of BSSEval v4; log-spectral distance; how alike output and caption are, see
``Captions.match`` and ``ClapScore``, and output and target to CLAP; what the tagger hears in output
and rest; how far embeddings of output and target are; and how far those of all outputs are from
those of all targets."""

METRICS: tuple[Metric, ...] = get_args(Metric)
TEXT_MATCH: Metric = "text-match"
CLAP_SCORE: Metric = "clap-score"
CLAP_SCORE_A: Metric = "clap-score-a"
TAGGER_SCORE: Metric = "tagger-score"
EMBEDDING_ERROR: Metric = "embedding-error"
SET_METRICS: tuple[Metric, ...] = ("fad", "kad")
"""One number for all outputs together."""
EMBEDDING_METRICS: tuple[Metric, ...] = (EMBEDDING_ERROR, *SET_METRICS)
CLAP_METRICS: tuple[Metric, ...] = (CLAP_SCORE, CLAP_SCORE_A)
DEFAULT_METRICS: tuple[Metric, ...] = ("sdr", "si-sdr")

_TRIAL_RATE = 16_000
_OF_WAVEFORMS: tuple[Metric, ...] = ("sdr", "si-sdr", "pesq", "ssnr", "bss-eval", "lsd")
_COLUMNS: dict[Metric, tuple[str, ...]] = {
    "sdr": ("SDR", "SDRi"),
    "si-sdr": ("SI-SDR", "SI-SDRi"),
    "pesq": ("PESQ",),
    "ssnr": ("SSNR",),
    "lsd": ("LSD",),
    "text-match": ("text match",),
    "clap-score": ("CLAPScore",),
    "clap-score-a": ("CLAPScore_A",),
    "tagger-score": ("tagger precision", "tagger recall", "tagger F1"),
    "embedding-error": ("embedding error",),
    "fad": (),
    "kad": (),
    "bss-eval": ("BSSEval SDR", "BSSEval ISR", "BSSEval SIR", "BSSEval SAR"),
}


def score_names(metrics: Sequence[Metric]) -> tuple[str, ...]:
    """What ``score`` calls the values of some metrics."""
    return tuple(name for metric in metrics for name in _COLUMNS[metric])


def check_metrics(metrics: Sequence[Metric]) -> None:
    """See whether the packages of some metrics are installed.

    Raises:
        InputError: if the extra ``eval`` is missing.
    """
    silence = np.zeros((1, _TRIAL_RATE), np.float32)
    score(silence, Mixture(silence, silence, (silence,), _TRIAL_RATE), metrics)


def score(output: Waveform, mixture: Mixture, metrics: Sequence[Metric]) -> dict[str, float]:
    """Score what is meant to be the target; energies are those of the whole excerpt.

    BSSEval gets the true sources for estimates of the others: it projects each estimate by itself,
    so that the scores of the target are those beside any estimates that are nowhere silent.

    Args:
        output: (C, T).
        mixture: what it was separated from.
        metrics: which scores; those that need more than waveforms are left out.

    Returns:
        By the names of ``score_names``; NaN where a score is undefined: where the target is silent,
        and for improvements where the mixture holds nothing else.

    Raises:
        InputError: if the output is not finite, the extra of a metric is not installed, or the
            excerpt is too long for PESQ.
    """
    if not np.isfinite(output).all():
        raise InputError(
            "the model's output holds NaN or infinity; --precision fp32 may help, else the model "
            "is broken"
        )
    values: dict[str, float] = {}
    for metric in metrics:
        if metric not in _OF_WAVEFORMS:
            continue
        if metric in ("sdr", "si-sdr"):
            measured = _with_improvement(metric, output, mixture)
        elif metric == "bss-eval":
            measured = _bss_eval(output, mixture)
        elif metric == "lsd":
            measured = [log_spectral_distance(mixture.target, output, mixture.sample_rate)]
        else:
            measured = [_per_channel(metric, output, mixture)]
        values.update(zip(_COLUMNS[metric], measured, strict=True))
    return values


def _with_improvement(metric: Metric, output: Waveform, mixture: Mixture) -> list[float]:
    ratio = sdr if metric == "sdr" else si_sdr
    reference, estimate, unprocessed = (
        torch.from_numpy(waveform.reshape(-1))
        for waveform in (mixture.target, output, mixture.mixture)
    )
    value = float(ratio(reference, estimate))
    if is_alone(reference, unprocessed):
        return [value, math.nan]
    return [value, value - float(ratio(reference, unprocessed))]


def _per_channel(metric: Metric, output: Waveform, mixture: Mixture) -> float:
    """Average a metric of mono waveforms over the channels."""
    measure = pesq if metric == "pesq" else segmental_snr
    channels = zip(mixture.target, output, strict=True)
    return float(np.mean([measure(target, each, mixture.sample_rate) for target, each in channels]))


def _bss_eval(output: Waveform, mixture: Mixture) -> list[float]:
    references = np.stack([mixture.target, *mixture.others])
    estimates = np.stack([output, *mixture.others])
    return [float(values[0]) for values in bss_eval(references, estimates, mixture.sample_rate)]
