"""PSDS of records, worked out by hand."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import pytest

from uss.core.errors import InputError
from uss.evaluation.scenes.node_times import NodeTimes
from uss.evaluation.scenes.psds import SHIFTS, check_psds, psds
from uss.evaluation.scenes.records import LevelRecord, SceneRecord
from uss.metrics.sound_events import Interval

HOUR = 3_600.0


@pytest.fixture
def library() -> None:
    pytest.importorskip("psds_eval", reason="needs psds_eval")


def record(points: Sequence[dict[str, NodeTimes]], name: str = "a") -> SceneRecord:
    level = LevelRecord((), (), operating_points=tuple(points))
    return SceneRecord(name, (), (), 1.0, HOUR, {2: level})


def points(
    true: Interval, *found: Sequence[Interval], spans: Sequence[Interval] = ()
) -> list[dict[str, NodeTimes]]:
    """The node "dog" with what is found at the last operating points; nothing at the others."""
    each = [NodeTimes((true,))] * (len(SHIFTS) - len(found))
    each += [NodeTimes((true,), tuple(events), tuple(spans)) for events in found]
    return [{"dog": times} for times in each]


@pytest.mark.usefixtures("library")
def test_what_is_found_without_anything_false_scores_1() -> None:
    found = points((1.0, 2.0), [(1.0, 2.0)])
    assert psds([record(found)], 2) == pytest.approx(1.0)
    assert psds([record(found)], 2, of_spans=True) == 0.0


@pytest.mark.usefixtures("library")
@pytest.mark.parametrize(
    ("event", "score"),
    [((1.3, 2.0), 1.0), ((1.35, 2.0), 0.0), ((1.0, 2.4), 1.0), ((1.0, 2.45), 0.0)],
)
def test_seven_tenths_must_agree(event: Interval, score: float) -> None:
    assert psds([record(points((1.0, 2.0), [event]))], 2) == pytest.approx(score)


@pytest.mark.usefixtures("library")
def test_false_detections_cost_what_they_keep_from_the_curve() -> None:
    # Found from 25 false detections an hour on: the area from there to 100.
    false = [(10.0 * number, 10.0 * number + 1.0) for number in range(1, 26)]
    found = points((1.0, 2.0), [(1.0, 2.0), *false])
    assert psds([record(found)], 2) == pytest.approx(0.75)


@pytest.mark.usefixtures("library")
def test_classes_count_alike_and_what_is_never_true_does_not() -> None:
    found = points((1.0, 2.0), [(1.0, 2.0)])
    for point in found:
        point["cat"] = NodeTimes(((5.0, 6.0), (8.0, 9.0)), ())
        point["bird"] = NodeTimes((), ((5.0, 6.0),))
    assert psds([record(found)], 2) == pytest.approx(0.5)


@pytest.mark.usefixtures("library")
def test_scenes_are_pooled() -> None:
    one, other = points((1.0, 2.0), [(1.0, 2.0)]), points((1.0, 2.0), [])
    assert psds([record(one), record(other, "b")], 2) == pytest.approx(0.5)


def test_without_operating_points_there_is_none() -> None:
    assert psds([record([])], 2) is None
    assert psds([], 2) is None


def test_without_the_library_the_remedy_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psds_eval", None)
    with pytest.raises(InputError, match=r"pip install 'uss-pipeline\[psds\]'"):
        check_psds()
