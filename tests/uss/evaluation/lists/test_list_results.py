import csv
import json
import math
from pathlib import Path

import pytest

from uss.evaluation.lists.class_chart import draw_classes
from uss.evaluation.lists.list_results import format_tables, summarise, write_csv
from uss.evaluation.lists.mixture_list import ListRow
from uss.evaluation.lists.row_scores import RowScores
from uss.evaluation.result_formats import align, write_json

OUTPUTS = ("oracle", "mixture")
NAMES = ("SDR",)


def scored(row: int, value: float, class_name: str = "", group: str = "") -> RowScores:
    scores = {"oracle": {"SDR": value}, "mixture": {"SDR": -1.0}}
    return RowScores(row, class_name, group, scores)


SCORES = [
    scored(0, 1.0, "Dog", "a"),
    scored(1, 3.0, "Dog", "b"),
    scored(2, 11.0, "Dog", "a"),
    scored(3, 5.0, "Cat", "b"),
    scored(4, math.nan, "Cat"),
    RowScores(5, "Cat", "", error="low.wav: no such file"),
]


def test_the_three_statistics_by_hand() -> None:
    content = summarise(SCORES, OUTPUTS, NAMES)
    assert content["mean"] == {"SDR": 5.0}
    assert content["median"] == {"SDR": 4.0}
    assert content["class_median"] == {"SDR": (3.0 + 5.0) / 2.0}
    assert content["outputs"]["mixture"]["mean"] == {"SDR": -1.0}
    assert content["classes"]["Dog"]["oracle"] == {"SDR": 3.0}
    assert content["groups"] == {
        "a": {"oracle": {"SDR": 6.0}, "mixture": {"SDR": -1.0}},
        "b": {"oracle": {"SDR": 4.0}, "mixture": {"SDR": -1.0}},
    }


def test_what_is_left_out_is_counted() -> None:
    content = summarise(SCORES, OUTPUTS, NAMES)
    assert (content["num_mixtures"], content["num_skipped"]) == (5, 1)
    assert content["skipped"] == [{"row": 7, "error": "low.wav: no such file"}]
    assert content["outputs"]["oracle"]["num"] == {"SDR": 4}
    assert content["outputs"]["oracle"]["num_undefined"] == {"SDR": 1}
    low, high = content["outputs"]["oracle"]["mean_interval"]["SDR"]
    assert 1.0 <= low < 5.0 < high <= 11.0


def test_lists_without_classes_have_no_class_median() -> None:
    content = summarise([scored(0, 1.0), scored(1, 2.0)], OUTPUTS, NAMES)
    assert content["class_median"] == {"SDR": None} and content["classes"] == {}
    assert "class medians" not in format_tables(content)


def test_nothing_defined_is_null(tmp_path: Path) -> None:
    content = summarise([scored(0, math.nan, "Dog")], OUTPUTS, NAMES)
    assert content["mean"] == content["median"] == content["class_median"] == {"SDR": None}
    write_json(tmp_path / "results.json", content)
    assert json.loads((tmp_path / "results.json").read_text())["mean"] == {"SDR": None}
    lines = format_tables(content).splitlines()
    assert lines[1].split() == ["oracle", "0", "-", "-", "-"]
    assert lines[-1].startswith("Undefined: targets silent or alone, ")


def test_nothing_but_skipped_rows() -> None:
    content = summarise([RowScores(0, "Dog", "", error="broken")], OUTPUTS, NAMES)
    assert content["mean"] == {"SDR": None} and content["num_mixtures"] == 0


def test_a_row_per_mixture(tmp_path: Path) -> None:
    rows = [ListRow(target=("a.wav", "b.wav"), interferer=("c.wav",)) for _ in SCORES]
    write_csv(tmp_path / "results.csv", rows, SCORES, OUTPUTS, NAMES)
    with (tmp_path / "results.csv").open(newline="") as file:
        found = list(csv.DictReader(file))
    assert [row["row"] for row in found] == ["2", "3", "4", "5", "6", "7"]
    assert [row["oracle: SDR"] for row in found] == [
        "1.0000",
        "3.0000",
        "11.0000",
        "5.0000",
        "",
        "",
    ]
    assert found[0]["target"] == "a.wav;b.wav" and found[5]["error"] == "low.wav: no such file"


def test_the_table_stands_upright() -> None:
    lines = format_tables(summarise(SCORES, OUTPUTS, NAMES)).splitlines()
    assert lines[0].split() == ["SDR", "of", "mean", "median", "mean", "of", "class", "medians"]
    assert lines[1].startswith("oracle    4     5.00 [")
    assert lines[2].startswith("mixture   5 ") and "-1.00 [-1.00, -1.00]" in lines[2]
    assert len({len(line) for line in lines[:3]}) == 1
    assert align([["a", "1"], ["bbb", "22"]]) == ["a     1", "bbb  22"]


@pytest.mark.parametrize("num_classes", [1, 61, 130])
def test_the_picture_holds_any_number_of_classes(tmp_path: Path, num_classes: int) -> None:
    classes = {
        f"Class $_{index}": {"oracle": float(index), "class-average": None if index % 7 else 1.0}
        for index in range(num_classes)
    }
    draw_classes(tmp_path / "classes.png", classes, ("oracle", "class-average"))
    assert (tmp_path / "classes.png").read_bytes().startswith(b"\x89PNG")
