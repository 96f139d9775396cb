import numpy as np
import pytest

from tests.uss.evaluation.scene_examples import (
    NOISE,
    make_event,
    make_record,
    make_scene,
    mid,
    separated,
)
from uss.evaluation.scenes.intervals import intervals
from uss.evaluation.scenes.pooling import pool_scenes
from uss.evaluation.scenes.records import MatchedStem, SceneRecord

NAMES = {"f1", "mean_sdri_db", "mean_si_sdri_db", "mean_ca_sdri_db"}


def scored(sdri_db: float, *detected: str, si_sdri_db: float = 5.0) -> SceneRecord:
    """A scene of a dog and rain, of which the dog was separated."""
    scene = make_scene(make_event("Dog"), make_event("Rain"))
    stems = {mid("Dog"): MatchedStem(0.0, sdri_db, si_sdri_db, 3.0)}
    record = make_record(scene, {}, [(), (), ("Dog", *detected)])
    return separated(record, 1.0, 3, stems=stems, false_energy=0.0, ca_sdri_db=sdri_db / 2.0)


def test_identical_scenes_are_sure() -> None:
    found = intervals([scored(8.0)] * 7, 3, np.random.default_rng(0))
    expected = {"f1": 2 / 3, "mean_sdri_db": 8.0, "mean_si_sdri_db": 5.0, "mean_ca_sdri_db": 4.0}
    assert found == {name: pytest.approx((value, value)) for name, value in expected.items()}


def test_intervals_hold_the_value() -> None:
    rng = np.random.default_rng(1)
    records = [
        scored(value, *(["Cat"] if value > 5.0 else ["Rain"]), si_sdri_db=value + 1.0)
        for value in rng.normal(5.0, 3.0, 60).tolist()
    ]
    found = intervals(records, 3, np.random.default_rng(0))
    scores = vars(pool_scenes(records, 3))
    assert set(found) == NAMES
    for name, (low, high) in found.items():
        assert low < scores[name] < high
    # The mean of 60 values of a standard deviation of about 3: 1.96 * 3 / sqrt(60) to each side.
    improvements = [record.levels[3].stems[mid("Dog")].sdri_db or 0.0 for record in records]
    low, high = found["mean_sdri_db"]
    assert high - low == pytest.approx(2 * 1.96 * np.std(improvements) / np.sqrt(60), rel=0.1)
    assert found["mean_ca_sdri_db"] == pytest.approx((low / 2, high / 2))
    assert intervals(records, 3, np.random.default_rng(0)) == found


def test_scenes_are_drawn_and_not_stems() -> None:
    """Of two scenes the one with two stems weighs more: 0, (0 + 2 * 6) / 3 or 6 dB."""
    one, two = scored(0.0), scored(6.0)
    stems = {**two.levels[3].stems, mid("Rain"): MatchedStem(0.0, 6.0, 6.0, 3.0)}
    records = [one, separated(two, 1.0, 3, stems=stems)]
    drawn = [intervals(records, 3, np.random.default_rng(n), 1)["mean_sdri_db"] for n in range(40)]
    assert {round(low, 9) for low, _ in drawn} == {0.0, 4.0, 6.0}
    assert all(low == high for low, high in drawn)


def test_stems_off_target_are_left_out() -> None:
    records = [scored(1.0), scored(1.0, si_sdri_db=-90.0), scored(1.0)]
    found = intervals(records, 3, np.random.default_rng(0))
    assert found["mean_si_sdri_db"] == pytest.approx((5.0, 5.0))


def test_what_is_undefined_has_no_interval() -> None:
    assert intervals([], 3, np.random.default_rng(0)) == {}
    noise = make_scene(background=NOISE)
    empty = make_record(noise, {})
    assert intervals([empty], 3, np.random.default_rng(0)) == {}
    wrong = make_record(noise, {}, [(), (), ("Dog",)])
    assert intervals([wrong], 3, np.random.default_rng(0)) == {"f1": (0.0, 0.0)}


def test_a_level_that_was_not_evaluated_is_refused() -> None:
    with pytest.raises(ValueError, match="scene was not evaluated at level 4"):
        intervals([scored(1.0)], 4, np.random.default_rng(0))
