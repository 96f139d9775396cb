"""Low is mostly right, high misses little."""

import numpy as np

from tests.uss.evaluation.scene_examples import class_index, make_event, make_record, make_scene
from uss.evaluation.calibration import detection_counts
from uss.evaluation.scenes.records import SceneRecord
from uss.evaluation.sensitivities import TARGET, best_shift, find_sensitivities
from uss.taggers import NUM_CLASSES


def records() -> list[SceneRecord]:
    """Twenty dogs between 0.05 and 0.9; rain that is not there, half as loud."""
    made = []
    for number, score in enumerate(np.linspace(0.05, 0.9, 20)):
        scene = make_scene(make_event("Dog"), name=str(number))
        made.append(make_record(scene, {"Dog": float(score), "Rain": 0.5 * float(score)}))
    return made


def test_each_reaches_what_it_promises_with_the_least_shift() -> None:
    scenes = records()
    thresholds = np.full(NUM_CLASSES, 0.2, np.float32)
    found = find_sensitivities(scenes, thresholds, [3])
    assert list(found) == ["low", "medium", "high"]
    assert found["medium"] is thresholds
    low, high = (detection_counts(scenes, 3, found[name]) for name in ("low", "high"))
    assert low.precision >= TARGET and high.recall >= TARGET
    dog = class_index("Dog")
    assert found["high"][dog] <= 0.2 < found["low"][dog]
    # A tenth of a logit less would not do.
    assert found["low"][dog] < 0.5


def test_the_relation_of_classes_stays() -> None:
    thresholds = np.full(NUM_CLASSES, 0.2, np.float32)
    thresholds[class_index("Rain")] = 0.4
    found = find_sensitivities(records(), thresholds, [3])

    def odds(name: str, of: str) -> float:
        value = float(found[of][class_index(name)])
        return value / (1.0 - value)

    for name in found:
        assert odds("Rain", name) / odds("Dog", name) > 2.6
        assert odds("Rain", name) / odds("Dog", name) < 2.75


def test_where_nothing_reaches_it_the_nearest_is_taken() -> None:
    """Rain is heard as loud as the dog, and never there."""
    scenes = []
    for number in range(6):
        scene = make_scene(make_event("Dog"), name=str(number))
        scenes.append(make_record(scene, {"Dog": 0.5, "Rain": 0.5}))
    found = find_sensitivities(scenes, np.full(NUM_CLASSES, 0.2, np.float32), [3])
    assert detection_counts(scenes, 3, found["low"]).precision == 0.5


def test_the_best_shift_lies_where_all_that_is_there_is_found_and_nothing_else() -> None:
    """Dogs from 0.4 on, rain up to 0.1; thresholds of 0.9 and 0.02 move in between."""
    scenes = []
    for number in range(6):
        scene = make_scene(make_event("Dog"), name=str(number))
        scenes.append(make_record(scene, {"Dog": 0.4 + 0.1 * number, "Rain": 0.1}))
    for start in (0.02, 0.9):
        found = best_shift(scenes, np.full(NUM_CLASSES, start, np.float32), [3])
        assert 0.1 <= found[class_index("Dog")] < 0.4
        assert detection_counts(scenes, 3, found).f1 == 1.0
