"""How much is detected: thresholds by the name of what people want."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from uss.core.arrays import Float32
from uss.core.errors import InputError
from uss.detection.defaults import DEFAULT_THRESHOLD, SENSITIVITIES, Threshold
from uss.taggers import NUM_CLASSES


def check_threshold(threshold: Threshold) -> None:
    """Check what does not depend on a model.

    Raises:
        ValueError: if it is no probability and no sensitivity.
    """
    if isinstance(threshold, str):
        if threshold not in SENSITIVITIES:
            raise InputError(f"sensitivity {threshold!r}; choose one of {', '.join(SENSITIVITIES)}")
    elif threshold is not None and not 0.0 <= threshold <= 1.0:
        raise InputError(f"threshold {threshold} is out of range; choose 0 to 1")


def choose_thresholds(
    threshold: Threshold, own: Float32 | None, sensitivities: Mapping[str, Float32]
) -> Float32:
    """Find the threshold of each class, (K,).

    Args:
        threshold: what is wanted.
        own: (K,) of the model; None for one of 0.2.
        sensitivities: name to (K,), as far as the model knows them.

    Raises:
        ValueError: if the model does not know the sensitivity.
    """
    if isinstance(threshold, str):
        if threshold not in sensitivities:
            raise InputError(
                f"the model has no thresholds for {threshold} sensitivity, or another tagger "
                "detects in its place; give one with --threshold"
            )
        return sensitivities[threshold]
    if threshold is None and own is not None:
        return own
    value = DEFAULT_THRESHOLD if threshold is None else threshold
    return np.full(NUM_CLASSES, value, np.float32)


def shifted(thresholds: Float32, logits: float) -> Float32:
    """Multiply the odds of all thresholds by the same factor.

    Args:
        thresholds: (K,) in [0, 1].
        logits: logarithm of the factor; positive ones detect less.
    """
    odds = thresholds.astype(np.float64) / np.maximum(1.0 - thresholds.astype(np.float64), 1e-12)
    odds *= np.exp(logits)
    return (odds / (1.0 + odds)).astype(np.float32)
