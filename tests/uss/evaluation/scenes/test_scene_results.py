import csv
from pathlib import Path

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
from uss.evaluation.scenes.pooling import pool_scenes
from uss.evaluation.scenes.records import MatchedStem
from uss.evaluation.scenes.scene_results import describe, headline, scene_table, write_scene_csv

LEVELS = (1, 2, 3)
DOG_AND_RAIN = make_scene(make_event("Dog"), make_event("Rain"), name="both")
DOG = separated(
    make_record(DOG_AND_RAIN, {"Dog": 0.8}, [(), (), ("Dog", "Cat")]),
    2.0,
    3,
    stems={mid("Dog"): MatchedStem(8.0, 8.0, 7.0, 3.0)},
    false_energy=0.5,
    ca_sdri_db=4.0,
    half_ca_sdri_db=1.5,
)
LATE = separated(
    make_record(DOG_AND_RAIN, {"Rain": 0.6}, [(), (), ("Rain",)]),
    2.0,
    3,
    stems={mid("Rain"): MatchedStem(-2.0, -2.0, -100.0, 3.0)},
    false_energy=0.0,
    ca_sdri_db=-1.0,
    half_ca_sdri_db=1.5,
)
EMPTY = make_record(make_scene(background=NOISE, name="empty"), {"Dog": 0.9})


def test_a_level_is_described_by_its_scores() -> None:
    records = [DOG, LATE, EMPTY]
    found = describe(records, LEVELS)
    assert list(found["levels"]) == ["1", "2", "3"]
    level, scores = found["levels"]["3"], vars(pool_scenes(records, 3))
    assert {name: level[name] for name in scores if name != "average_precision"} == {
        name: value for name, value in scores.items() if name != "average_precision"
    }
    # The dog is heard most where there is none, and as little as all others in one scene; so is
    # the rain, but for the first.
    assert level["average_precision"] == pytest.approx({"Dog": (1 / 2 + 2 / 3) / 2, "Rain": 5 / 6})
    assert found["class_average_precision"] == level["average_precision"]
    assert found["mean_class_average_precision"] == pytest.approx((7 / 12 + 5 / 6) / 2)
    low, high = level["intervals"]["mean_sdri_db"]
    assert -2.0 <= low < 3.0 < high <= 8.0
    assert level["num_off_target"] == 1
    assert describe(records, LEVELS) == found


def test_scenes_without_events_are_described() -> None:
    found = describe([EMPTY], LEVELS)
    assert found["best_global_threshold"] is None
    assert found["mean_class_average_precision"] is None
    assert found["class_average_precision"] == found["levels"]["1"]["intervals"] == {}


def test_the_headline_is_that_of_its_level() -> None:
    described = describe([DOG, LATE, EMPTY], LEVELS)
    both = {"SDRi": 3.0, "SI-SDRi": 7.0, "CA-SDRi": 1.5}
    assert headline(described, 3) == {"mean": both, "median": both}
    nothing = dict.fromkeys(both)
    assert headline(described, 2) == {"mean": nothing, "median": nothing}


def test_the_table_shows_intervals() -> None:
    """Twice the same scene is sure of itself."""
    heading, _, _, row = scene_table({"tagger": describe([DOG, DOG], LEVELS)})
    assert dict(zip(heading, row, strict=True)) == {
        "detector": "tagger",
        "level": "3",
        "F1": "0.50 [0.50, 0.50]",
        "precision": "0.50",
        "recall": "0.50",
        "best F1": "0.67",
        "mAP": "1.00",
        "count error": "0.00",
        "event F1": "-",
        "segment F1": "-",
        "SDRi (dB)": "8.00 [8.00, 8.00]",
        "half mixture": "3.00 dB",
        "SI-SDRi (dB)": "7.00 [7.00, 7.00]",
        "median SI-SDRi": "7.00 dB",
        "CA-SDRi (dB)": "4.00 [4.00, 4.00]",
        "false stems": "-6.02 dB",
    }
    cells = dict(zip(*scene_table({"tagger": describe([EMPTY], [3])}), strict=True))
    assert cells["F1"] == cells["SDRi (dB)"] == cells["half mixture"] == "-"


def test_each_detector_scene_and_level_is_a_row(tmp_path: Path) -> None:
    write_scene_csv(tmp_path / "results.csv", {"one": [DOG, LATE], "two": [EMPTY]})
    with (tmp_path / "results.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [(row["detector"], row["scene"], row["level"]) for row in rows] == [
        (detector, scene, level)
        for detector, scene in (("one", "both"), ("one", "both"), ("two", "empty"))
        for level in "123"
    ]
    dog, late, empty = rows[2::3]
    assert (dog["true"], dog["detected"], dog["disregarded"]) == ("Dog;Rain", "Dog;Cat", "")
    assert (empty["true"], empty["detected"]) == ("", "")
    assert set(empty["disregarded"].split(";")) == {"White noise", "Pink noise", "Background noise"}
    scores = ("SDRi", "SI-SDRi", "CA-SDRi", "false_energy_fraction")
    assert [dog[name] for name in scores] == ["8.00000", "7.00000", "4.00000", "0.25000"]
    # Nothing of the rain is in its stem.
    assert [late[name] for name in scores] == ["-2.00000", "", "-1.00000", "0.00000"]
    assert [empty[name] for name in scores] == [""] * 4


def test_a_fault_is_not_taken_for_scenes_without_events(monkeypatch: pytest.MonkeyPatch) -> None:
    def misfit(*_: object) -> object:
        return np.zeros(2) + np.zeros(3)

    monkeypatch.setattr("uss.evaluation.scenes.scene_results.best_global_threshold", misfit)
    record = make_record(make_scene(make_event("Dog")), {"Dog": 0.9})
    with pytest.raises(ValueError, match="could not be broadcast"):
        describe([record], (1, 2, 3))
