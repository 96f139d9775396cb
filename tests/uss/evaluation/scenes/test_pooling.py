import pytest

from tests.uss.evaluation.scene_examples import (
    NOISE,
    make_event,
    make_record,
    make_scene,
    mid,
    separated,
)
from uss.evaluation.scenes.node_times import NodeTimes
from uss.evaluation.scenes.pooling import pool_scenes
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


def test_times_are_pooled_over_scenes() -> None:
    right = {mid("Dog"): NodeTimes(((0.25, 0.75),), ((0.3, 0.7),), ((0.0, 1.0),))}
    false = {mid("Rain"): NodeTimes((), ((0.0, 0.2),), ((0.0, 1.0),))}
    records = [
        separated(make_record(scene, {}, [(), (), ("Dog",)]), 1.0, 3, times=times)
        for scene, times in ((DOG, right), (RAIN, false))
    ]
    scores = pool_scenes(records, 3)
    assert scores.event_f1 == pytest.approx(2 / 3)
    # Six of 100 ms are the dog's; four of them are found, and two of rain.
    assert scores.segment_f1 == pytest.approx(8 / 12)
    assert scores.span_event_f1 == 0.0
    assert scores.span_segment_f1 == pytest.approx(12 / 26)
    assert (scores.psds, scores.span_psds) == (None, None)
    nothing = pool_scenes([make_record(EMPTY, {})], 3)
    assert (nothing.event_f1, nothing.segment_f1, nothing.span_event_f1) == (None, None, None)


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
