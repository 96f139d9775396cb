"""The polyphonic sound detection score of scenes (Bilen et al., ICASSP 2020)."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from uss.core.arrays import Float64
from uss.core.errors import InputError
from uss.evaluation.scenes.node_times import NodeTimes
from uss.evaluation.scenes.records import SceneRecord
from uss.metrics.sound_events import Interval

SHIFTS = tuple(0.5 * step for step in range(-8, 9))
"""Of all thresholds, in logits: the operating points."""

# Scenario 1 of DCASE 2021 to 2024, task 4, in which times have to be right; but the mean over
# classes alone: most have one event or two, and differ so much that nothing would be left.
_OVERLAP = 0.7
_MAX_FALSE_PER_HOUR = 100.0
_COLUMNS = ["filename", "onset", "offset", "event_label"]


def check_psds() -> None:
    """See whether the score can be computed.

    Raises:
        InputError: without psds_eval.
    """
    _library()


def psds(records: Sequence[SceneRecord], level: int, *, of_spans: bool = False) -> float | None:
    """Compute the score of a level from the operating points of its records.

    A detection counts if 70 % of it lies within true events, a true event if 70 % of it is covered
    by such detections; the area under the mean ratio of true events found against false detections
    per hour, up to 100.

    Args:
        records: of all scenes.
        level: of the ontology.
        of_spans: of whole segments in the place of events.

    Returns:
        0 to 1; None without operating points, or where nothing is true.

    Raises:
        InputError: without psds_eval, or if a scene was not evaluated at this level.
    """
    points = [record.at(level).operating_points for record in records]
    if not points or not all(points):
        return None
    true = _table(records, [each[0] for each in points], "true")
    if true.empty:
        return None
    lengths = pd.DataFrame(
        {"filename": [each.scene for each in records], "duration": [r.seconds for r in records]}
    )
    # What is nowhere true has no share in the mean.
    known = set(true["event_label"])
    with warnings.catch_warnings():
        # It divides by the number of true events of classes that a scene does not have.
        warnings.simplefilter("ignore")
        scorer = _scorer(ground_truth=true, metadata=lengths)
        for number in range(len(SHIFTS)):
            found = _table(
                records, [each[number] for each in points], "spans" if of_spans else "events"
            )
            scorer.add_operating_point(found[found["event_label"].isin(known)])
        curve, _, _ = scorer.psd_roc_curves(alpha_ct=0.0)
    return _area(curve.xp, curve.mean)


def _table(
    records: Sequence[SceneRecord], times: Sequence[Mapping[str, NodeTimes]], what: str
) -> pd.DataFrame:
    rows: list[tuple[str, float, float, str]] = []
    for record, of_scene in zip(records, times, strict=True):
        for mid, of_node in of_scene.items():
            intervals: Sequence[Interval] = getattr(of_node, what)
            rows += [(record.scene, onset, offset, mid) for onset, offset in intervals]
    return pd.DataFrame(rows, columns=_COLUMNS)


def _area(false_per_hour: Float64, ratio: Float64) -> float:
    """Mean height of a curve of steps, of which each begins at its point, up to 100 an hour."""
    edges = np.minimum([*false_per_hour, np.inf], _MAX_FALSE_PER_HOUR)
    return float(np.sum(np.diff(edges) * ratio) / _MAX_FALSE_PER_HOUR)


def _library() -> Any:
    try:
        import psds_eval
    except ImportError as error:
        raise InputError(
            "PSDS needs the package psds_eval; pip install 'uss-pipeline[psds]'"
        ) from error
    return psds_eval


def _scorer(**options: Any) -> Any:
    """Make a ``PSDSEval``.

    Its own step curves do not work with pandas 3, nor its area below them with NumPy 2.4.
    """

    class Scorer(_library().PSDSEval):  # type: ignore[misc]
        @staticmethod
        def step_curve(x: Float64, xp: Float64, yp: Float64) -> Float64:
            """Give the highest y up to each x, and 0 before the first."""
            order = np.argsort(xp, kind="stable")
            highest = np.append(0.0, np.fmax.accumulate(yp[order]))
            steps: Float64 = highest[np.searchsorted(xp[order], x, side="right")]
            return steps

    return Scorer(dtc_threshold=_OVERLAP, gtc_threshold=_OVERLAP, **options)
