"""Thresholds by name, and nodes that gather what is not alike."""

import numpy as np
import pytest

from ontology import Ontology
from uss.core.errors import InputError
from uss.detection.grouping import GRAB_BAGS, active_at_level
from uss.detection.sensitivity import check_threshold, choose_thresholds, shifted
from uss.taggers import NUM_CLASSES

OWN = np.linspace(0.05, 0.6, NUM_CLASSES).astype(np.float32)
LOW = np.full(NUM_CLASSES, 0.7, np.float32)


def test_a_sensitivity_is_looked_up_and_a_number_holds_for_all() -> None:
    assert choose_thresholds("low", OWN, {"low": LOW}) is LOW
    assert choose_thresholds(None, OWN, {"low": LOW}) is OWN
    np.testing.assert_allclose(choose_thresholds(0.4, OWN, {}), 0.4)
    np.testing.assert_allclose(choose_thresholds(None, None, {}), 0.2)


def test_a_model_without_sensitivities_says_so() -> None:
    with pytest.raises(InputError, match=r"no thresholds for high sensitivity.*--threshold"):
        choose_thresholds("high", OWN, {"low": LOW})


@pytest.mark.parametrize(
    ("threshold", "message"),
    [("loud", "sensitivity 'loud'; choose one of low, medium, high"), (1.5, "1.5 is out of range")],
)
def test_what_is_neither_is_refused(threshold: float | str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        check_threshold(threshold)


def test_a_shift_multiplies_odds() -> None:
    """Odds of 1, 1/4 and 4, doubled."""
    moved = shifted(np.array([0.5, 0.2, 0.8], np.float32), float(np.log(2.0)))
    np.testing.assert_allclose(moved, [2 / 3, 1 / 3, 8 / 9], rtol=1e-6)
    np.testing.assert_allclose(shifted(np.array([0.0, 1.0], np.float32), 3.0), [0.0, 1.0])


def miscellaneous(ontology: Ontology) -> list[int]:
    return list(ontology.class_indexes("/t/dd00089"))


def found(ontology: Ontology, probabilities: np.ndarray, doubted: tuple[str, ...]) -> list[str]:
    thresholds = np.full(NUM_CLASSES, 0.2, np.float32)
    detections = active_at_level(probabilities, 2, ontology, thresholds, doubted=doubted)
    return [detection.query.name for detection in detections]


def test_a_grab_bag_needs_two_weak_classes_or_a_strong_one(ontology: Ontology) -> None:
    """Threshold 0.2: odds of 1/4, so four times the odds is 0.5."""
    first, second, *_ = miscellaneous(ontology)
    weak = np.zeros((2, NUM_CLASSES), np.float32)
    weak[0, first] = 0.3
    assert found(ontology, weak, ()) == ["Miscellaneous sources"]
    assert found(ontology, weak, GRAB_BAGS) == []
    # In different segments they are two accidents.
    apart = weak.copy()
    apart[1, second] = 0.3
    assert found(ontology, apart, GRAB_BAGS) == []
    together = weak.copy()
    together[0, second] = 0.25
    assert found(ontology, together, GRAB_BAGS) == ["Miscellaneous sources"]
    strong = weak.copy()
    strong[0, first] = 0.55
    assert found(ontology, strong, GRAB_BAGS) == ["Miscellaneous sources"]


def test_other_nodes_are_not_doubted(ontology: Ontology) -> None:
    weak = np.zeros((1, NUM_CLASSES), np.float32)
    weak[0, ontology.find("Dog").class_index] = 0.3
    assert found(ontology, weak, GRAB_BAGS) == ["Domestic animals, pets"]


def test_every_grab_bag_is_a_node_that_gathers_classes(ontology: Ontology) -> None:
    for mid in GRAB_BAGS:
        assert len(ontology.class_indexes(mid)) > 1, mid
