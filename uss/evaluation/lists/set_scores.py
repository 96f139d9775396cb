"""FAD and KAD: how far all outputs of a list, as a set, are from a set of true sounds."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from uss.core.arrays import Float32
from uss.evaluation.lists.row_scores import TARGET, RowScores
from uss.evaluation.lists.scoring import SET_METRICS, Metric
from uss.evaluation.result_formats import align, two_digits
from uss.metrics.embedding_distances import frechet_distance, kernel_distance, median_distance

logger = logging.getLogger(__name__)

_NAMES: Mapping[Metric, str] = {"fad": "FAD", "kad": "KAD"}


def set_scores(
    scores: Sequence[RowScores],
    outputs: Sequence[str],
    metrics: Sequence[Metric],
    references: Float32 | None = None,
) -> dict[str, Any] | None:
    """Compare outputs with true sounds; None where no metric does so.

    Args:
        scores: of all rows, with embeddings; rows that failed are left out.
        outputs: what is compared.
        metrics: ``fad``, ``kad`` or both; others are ignored.
        references: (N, H) embeddings to compare with; None for those of the rows' targets.

    Returns:
        What ``results.json`` holds: how many embeddings there are, of how many dimensions, the
        distances by output (NaN of fewer than two), and ``notes`` that say what to beware of.
    """
    wanted = [metric for metric in SET_METRICS if metric in metrics]
    done = [each for each in scores if not each.error and TARGET in each.embeddings]
    if not wanted or not done:
        return None
    reference = references
    if reference is None:
        reference = np.concatenate([each.embeddings[TARGET] for each in done])
    size = reference.shape[1]
    bandwidth = median_distance(reference) if "kad" in wanted and len(reference) > 1 else None
    found: dict[str, dict[str, float]] = {}
    nums: list[int] = []
    for output in outputs:
        parts = [each.embeddings[output] for each in done if output in each.embeddings]
        made = np.concatenate([np.zeros((0, size), np.float32), *parts])
        values: dict[str, float] = {"num": len(made)}
        if "fad" in wanted:
            values["FAD"] = frechet_distance(reference, made)
        if "kad" in wanted:
            values["KAD"] = kernel_distance(reference, made, bandwidth)
        found[output] = values
        nums.append(len(made))
    notes = list(_notes(len(reference), nums, size, "fad" in wanted))
    for note in notes:
        logger.warning("%s", note)
    return {
        "num_references": len(reference),
        "dimensions": size,
        "bandwidth": bandwidth,
        "outputs": found,
        "notes": notes,
    }


def format_set_scores(content: Mapping[str, Any]) -> str:
    """Lay out what ``set_scores`` returned for a terminal."""
    outputs: Mapping[str, Mapping[str, float | None]] = content["outputs"]
    names = [name for name in _NAMES.values() if name in next(iter(outputs.values()))]
    rows = [["all outputs", "embeddings", *names]]
    for output, values in outputs.items():
        cells = [values[name] for name in names]
        shown = ["-" if each is None else two_digits(each) for each in cells]
        rows.append([output, str(values["num"]), *shown])
    return "\n".join([*align(rows), *content["notes"]])


def _notes(num_references: int, nums: Sequence[int], size: int, is_fad: bool) -> Iterator[str]:
    """Say of how few embeddings distances are undefined or biased."""
    if num_references < 2:
        yield (
            "FAD and KAD to a single embedding are undefined; compare with more targets or "
            "references"
        )
        return
    if 1 in nums:
        yield "FAD and KAD of 1 embedding are undefined; evaluate more mixtures"
    least = min((min(num, num_references) for num in nums if num > 1), default=None)
    if is_fad and least is not None and least <= size:
        yield (
            f"FAD of {least} embeddings in {size} dimensions is mostly bias: compare it between "
            "runs over the same list alone, or take KAD, which has none"
        )
