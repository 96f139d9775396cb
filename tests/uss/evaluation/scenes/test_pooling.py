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
    separated,
)
from uss.evaluation.scenes.pooling import (
    average_precisions,
    best_global_threshold,
    class_average_precisions,
    f1_at,
    node_scores,
    pool_scenes,
)
from uss.evaluation.scenes.records import MatchedStem

DOG = make_scene(make_event("Dog"), name="dog")
RAIN = make_scene(make_event("Rain"), name="rain")
EMPTY = make_scene(background=NOISE, name="empty")


def test_scores_are_pooled_by_hand() -> None:
    """Two right, one wrong, one missed: precision 2/3, recall 2/3."""
    both = make_scene(make_event("Dog"), make_event("Rain"), name="both")
    records = [
        separated(
            make_record(both, {}, [(), (), ("Dog",)]),
            4.0,
            3,
            stems={mid("Dog"): MatchedStem(10.0, 8.0, 6.0, 3.0)},
            false_energy=0.0,
            ca_sdri_db=4.0,
        ),
        separated(
            make_record(DOG, {}, [(), (), ("Dog", "Cat")]),
            6.0,
            3,
            stems={mid("Dog"): MatchedStem(12.0, None, None, None)},
            false_energy=0.1,
            ca_sdri_db=0.0,
        ),
        separated(make_record(EMPTY, {}, [(), (), ("White noise",)]), 0.0, 3, false_energy=0.0),
    ]
    scores = pool_scenes(records, 3)
    assert (scores.num_scenes, scores.num_true_nodes) == (3, 2)
    assert (scores.precision, scores.recall) == (pytest.approx(2 / 3), pytest.approx(2 / 3))
    assert scores.f1 == pytest.approx(2 / 3)
    # One too few, one too many, none.
    assert scores.mean_count_error == pytest.approx(2 / 3)
    assert (scores.num_matched, scores.num_alone) == (2, 1)
    assert (scores.mean_sdri_db, scores.mean_si_sdri_db) == (8.0, 6.0)
    assert (scores.mean_half_sdri_db, scores.mean_sdr_alone_db) == (3.0, 12.0)
    assert (scores.mean_ca_sdri_db, scores.num_without_ca) == (2.0, 1)
    assert scores.false_energy_fraction == pytest.approx(0.01)
    assert scores.false_energy_db == pytest.approx(-20.0)
    assert (scores.num_empty, scores.num_empty_detected) == (1, 0)


def test_stems_off_target_are_counted_and_left_out_of_si_sdri() -> None:
    """Improvements of 6, 8 and -100 dB, and one that just holds something of its source."""
    stems = {
        mid("Dog"): MatchedStem(6.0, 6.0, 6.0, 3.0),
        mid("Rain"): MatchedStem(8.0, 8.0, 8.0, 5.0),
        mid("Speech"): MatchedStem(0.0, -2.0, -100.0, 4.0),
        mid("Siren"): MatchedStem(0.0, 0.0, -60.0, 0.0),
    }
    record = separated(make_record(DOG, {}), 1.0, 3, stems=stems, false_energy=0.0)
    scores = pool_scenes([record], 3)
    assert (scores.num_matched, scores.num_off_target, scores.num_alone) == (4, 1, 0)
    assert scores.mean_si_sdri_db == pytest.approx(-46.0 / 3.0)
    assert scores.median_si_sdri_db == 6.0
    # They count in all else.
    assert (scores.mean_sdri_db, scores.median_sdri_db) == (3.0, 3.0)
    assert scores.mean_half_sdri_db == 3.0


def test_class_aware_scores_are_averaged_over_the_scenes_that_have_one() -> None:
    class_aware = [(1.0, 0.5), (2.0, 1.0), (9.0, 3.0), (None, None)]
    records = [
        separated(
            make_record(DOG, {}), 1.0, 3, false_energy=0.0, ca_sdri_db=each, half_ca_sdri_db=half
        )
        for each, half in class_aware
    ]
    scores = pool_scenes(records, 3)
    assert (scores.mean_ca_sdri_db, scores.median_ca_sdri_db) == (4.0, 2.0)
    assert (scores.mean_half_ca_sdri_db, scores.num_without_ca) == (1.5, 1)


def test_what_was_only_detected_has_no_scores_of_stems() -> None:
    scores = pool_scenes([make_record(EMPTY, {}, [(), (), ("Dog",)])], 3)
    assert (scores.f1, scores.precision, scores.recall) == (0.0, 0.0, None)
    assert (scores.mean_ca_sdri_db, scores.num_without_ca) == (None, 0)
    assert (scores.false_energy_fraction, scores.false_energy_db) == (None, None)
    assert (scores.mean_average_precision, scores.num_empty_detected) == (None, 1)


def test_no_scenes_have_no_scores() -> None:
    scores = pool_scenes([], 1)
    assert (scores.num_scenes, scores.f1, scores.mean_count_error) == (0, None, None)


def test_a_level_that_was_not_evaluated_is_refused() -> None:
    with pytest.raises(ValueError, match="dog was not evaluated at level 4, only at 1, 2, 3"):
        pool_scenes([make_record(DOG, {})], 4)


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
