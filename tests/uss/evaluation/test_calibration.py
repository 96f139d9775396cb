from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from tests.uss.evaluation.scene_examples import class_index, make_event, make_record, make_scene
from uss.evaluation.calibration import calibrate, detection_counts
from uss.evaluation.class_thresholds import class_thresholds
from uss.evaluation.scenes.records import SceneRecord
from uss.metrics.detection import DetectionCounts
from uss.taggers import NUM_CLASSES


def heard(number: int, true: Sequence[str], **scores: float) -> SceneRecord:
    """A scene with one event of some classes."""
    scene = make_scene(make_event(*true), name=f"{number}-{true[0]}")
    return make_record(scene, scores)


def shy_dogs(num_each: int = 8) -> list[SceneRecord]:
    """Dogs are heard at 0.1; speech is heard at 0.2 where there is none, and at 0.4 else."""
    return [
        record
        for number in range(num_each)
        for record in (
            heard(number, ["Dog"], Dog=0.1, Speech=0.2),
            heard(number, ["Speech"], Speech=0.4, Dog=0.02),
            heard(number, ["Rain"], Rain=0.4, Dog=0.02, Speech=0.2),
        )
    ]


def at(thresholds: np.ndarray, name: str) -> float:
    return float(thresholds[class_index(name)])


def test_classes_move_apart_where_that_parts_right_from_wrong() -> None:
    records = shy_dogs()
    thresholds = class_thresholds(records, [3], 0.15, 0.1)
    assert thresholds.shape == (NUM_CLASSES,)
    assert 0.02 <= at(thresholds, "Dog") < 0.1
    assert 0.2 <= at(thresholds, "Speech") < 0.4
    # Nothing is to be gained.
    assert at(thresholds, "Rain") == at(thresholds, "Cat") == pytest.approx(0.15)
    common = np.full(NUM_CLASSES, 0.15, np.float32)
    # "Dog" and "Rain" lie at level 3, "Speech" does too.
    assert detection_counts(records, 3, common) == DetectionCounts(16, 16, 8)
    assert detection_counts(records, 3, thresholds) == DetectionCounts(24, 0, 0)


def test_a_move_has_to_gain_more_than_its_price() -> None:
    records = shy_dogs()
    np.testing.assert_allclose(class_thresholds(records, [3], 0.15, 100.0), 0.15)
    np.testing.assert_allclose(class_thresholds(records, [3], 0.15, None), 0.15)


def test_rare_classes_stay() -> None:
    records = shy_dogs(2)
    np.testing.assert_allclose(class_thresholds(records, [3], 0.15, 0.1), 0.15)


def test_a_node_is_held_by_any_of_its_classes() -> None:
    """Raising "Bark" alone gains nothing where "Dog" is heard as well."""
    wrong = [
        heard(number, ["Rain"], Rain=0.4, Bark=0.2, Dog=0.2, Growling=0.05) for number in range(4)
    ]
    right = [heard(number, ["Dog", "Bark"], Dog=0.35, Bark=0.35) for number in range(4)]
    thresholds = class_thresholds(wrong + right, [3], 0.15, 0.1)
    assert detection_counts(wrong + right, 3, thresholds).f1 == pytest.approx(2 * 8 / (16 + 4))


def test_own_thresholds_are_used_where_they_help_elsewhere(rng: np.random.Generator) -> None:
    records = shy_dogs(10)
    found = calibrate(records, rng=rng, levels=[3], strengths=(0.25, 1.0))
    assert found.strength is not None
    assert found.held_out_f1[found.strength] == pytest.approx(1.0)
    assert found.held_out_f1[None] < 0.9
    assert found.thresholds.dtype == np.float32
    assert detection_counts(records, 3, found.thresholds).f1 == 1.0


def test_own_thresholds_are_not_used_for_chance(rng: np.random.Generator) -> None:
    """Scores that say nothing give each class a best threshold, but no use elsewhere."""
    names = ("Dog", "Cat", "Rain", "Speech", "Siren", "Piano")
    records = []
    for number in range(40):
        scores = dict(zip(names, rng.uniform(0.1, 0.4, len(names)), strict=True))
        true = names[int(rng.integers(len(names)))]
        records.append(heard(number, [true], **{**scores, true: float(rng.uniform(0.4, 0.5))}))
    found = calibrate(records, rng=rng, levels=[3], strengths=(0.25, 1.0))
    assert found.strength is None
    np.testing.assert_allclose(found.thresholds, found.global_threshold)


def test_calibration_is_repeatable() -> None:
    records = shy_dogs(4)
    first = calibrate(records, rng=np.random.default_rng(1), levels=[3], strengths=(0.25, 1.0))
    again = calibrate(records, rng=np.random.default_rng(1), levels=[3], strengths=(0.25, 1.0))
    np.testing.assert_array_equal(first.thresholds, again.thresholds)
    assert first.held_out_f1 == again.held_out_f1


def test_too_few_scenes_are_refused(rng: np.random.Generator) -> None:
    with pytest.raises(ValueError, match="3 scenes are too few to calibrate on; give 5"):
        calibrate(shy_dogs(1), rng=rng)


def test_scenes_without_events_are_refused(rng: np.random.Generator) -> None:
    empty = [
        replace(record, levels={3: replace(record.levels[3], true=())}) for record in shy_dogs(2)
    ]
    with pytest.raises(ValueError, match="no scene holds an event"):
        calibrate(empty, rng=rng, levels=[3], strengths=(0.25, 1.0))
