from dataclasses import replace

import numpy as np
import pytest

from tests.uss.evaluation.scene_examples import (
    NOISE,
    class_index,
    make_event,
    make_record,
    make_scene,
    mid,
)
from uss.evaluation.scenes.node_scores import (
    average_precisions,
    best_global_threshold,
    class_average_precisions,
    f1_at,
    node_scores,
)
from uss.evaluation.scenes.pooling import pool_scenes

DOG = make_scene(make_event("Dog"), name="dog")
RAIN = make_scene(make_event("Rain"), name="rain")
EMPTY = make_scene(background=NOISE, name="empty")


def test_a_node_scores_as_its_loudest_class() -> None:
    nodes = node_scores([make_record(DOG, {"Bark": 0.3, "Growling": 0.6, "Rain": 0.1})], 3)
    of = dict(zip(nodes.mids, nodes.scores[0], strict=True))
    assert (of[mid("Dog")], of[mid("Rain")], of[mid("Cat")]) == (0.6, 0.1, 0.0)
    # Growling is a cat's too, but lies below dogs in the tree reading.
    assert nodes.truth[0, nodes.mids.index(mid("Dog"))]
    assert np.count_nonzero(nodes.truth) == 1


def test_average_precision_by_hand() -> None:
    """Dogs rank first and third: (1 + 2/3) / 2. Noise in a scene with a background is no error."""
    static = make_scene(make_event("White noise"), name="static")
    records = [
        make_record(DOG, {"Dog": 0.9}),
        make_record(RAIN, {"Dog": 0.5, "Rain": 0.2}),
        make_record(replace(DOG, name="again"), {"Bark": 0.4}),
        make_record(EMPTY, {"White noise": 0.9}),
        make_record(static, {"White noise": 0.1}),
    ]
    expected = {
        mid("Dog"): pytest.approx(5 / 6),
        mid("Rain"): 1.0,
        mid("White noise"): 1.0,
    }
    assert average_precisions(records, 3) == expected
    scores = pool_scenes(records, 3)
    assert scores.average_precision == expected
    assert scores.mean_average_precision == pytest.approx((5 / 6 + 2) / 3)


def test_classes_rank_the_scenes_by_themselves() -> None:
    """A bark is no dog unless it is labelled so: dogs rank first and third of four."""
    records = [
        make_record(DOG, {"Dog": 0.9, "Bark": 0.7}),
        make_record(make_scene(make_event("Bark")), {"Dog": 0.8, "Bark": 0.4}),
        make_record(make_scene(make_event("Dog", "Bark")), {"Dog": 0.3, "Bark": 0.5}),
        make_record(EMPTY, {"Rain": 0.9}),
    ]
    assert class_average_precisions(records) == {
        class_index("Dog"): pytest.approx((1 + 2 / 3) / 2),
        class_index("Bark"): pytest.approx((1 / 2 + 2 / 3) / 2),
    }
    assert class_average_precisions([]) == class_average_precisions(records[-1:]) == {}


def test_the_best_threshold_parts_right_from_wrong() -> None:
    records = [
        make_record(DOG, {"Dog": 0.4, "Cat": 0.3}),
        make_record(RAIN, {"Rain": 0.5, "Speech": 0.1}),
        make_record(EMPTY, {"White noise": 0.9}),
    ]
    threshold, f1 = best_global_threshold(records, [3])
    assert (threshold, f1) == (pytest.approx(0.35), 1.0)
    # At level 1 cats and dogs are alike: whatever parts 0.1 from 0.4 does.
    threshold, f1 = best_global_threshold(records, [1])
    assert (threshold, f1) == (pytest.approx(0.25), 1.0)
    threshold, f1 = best_global_threshold(records, [1, 3])
    assert (threshold, f1) == (pytest.approx(0.35), 1.0)


def test_f1_at_a_threshold_agrees_with_detections() -> None:
    """Scores must exceed a threshold, as in Algorithm 3."""
    nodes = node_scores([make_record(DOG, {"Dog": 0.4, "Cat": 0.3}), make_record(RAIN, {})], 3)
    f1 = f1_at(nodes, np.array([0.0, 0.3, 0.4]))
    np.testing.assert_allclose(f1, [0.5, 2 / 3, 0.0])


def test_a_threshold_needs_events() -> None:
    with pytest.raises(ValueError, match="no scene holds an event"):
        best_global_threshold([make_record(EMPTY, {"Dog": 0.4})], [1])
