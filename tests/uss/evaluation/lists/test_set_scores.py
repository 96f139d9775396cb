import math

import numpy as np
import pytest

from uss.evaluation.lists.row_scores import TARGET, RowScores
from uss.evaluation.lists.set_scores import format_set_scores, set_scores
from uss.metrics.embedding_distances import frechet_distance, kernel_distance

RNG = np.random.default_rng(0)
OUTPUTS = ("oracle", "mixture", "absent")


def rows(num: int, size: int = 3) -> list[RowScores]:
    """Rows whose mixtures are further from the targets than what was separated."""
    made = []
    for number in range(num):
        target = RNG.standard_normal((1 + number % 2, size)).astype(np.float32)
        near, far = target + 0.1, target + 2.0
        embeddings = {TARGET: target, "oracle": near, "mixture": far}
        made.append(RowScores(number, "", "", embeddings=embeddings))
    return made


def together(scores: list[RowScores], name: str) -> np.ndarray:
    return np.concatenate([each.embeddings[name] for each in scores])


def test_outputs_are_compared_with_all_targets() -> None:
    scores = [*rows(10), RowScores(10, "", "", error="broken")]
    found = set_scores(scores, OUTPUTS, ["sdr", "fad", "kad"])
    assert found is not None
    assert (found["num_references"], found["dimensions"], found["notes"]) == (15, 3, [])
    targets = together(scores[:-1], TARGET)
    for output in ("oracle", "mixture"):
        made = together(scores[:-1], output)
        assert found["outputs"][output] == {
            "num": 15,
            "FAD": pytest.approx(frechet_distance(targets, made)),
            "KAD": pytest.approx(kernel_distance(targets, made)),
        }
    assert found["outputs"]["oracle"]["FAD"] == pytest.approx(3 * 0.1**2, abs=1e-5)
    assert found["outputs"]["mixture"]["KAD"] > found["outputs"]["oracle"]["KAD"]
    assert found["outputs"]["absent"]["num"] == 0
    assert math.isnan(found["outputs"]["absent"]["FAD"])


def test_only_what_was_asked_for_is_there() -> None:
    found = set_scores(rows(4), OUTPUTS, ["kad"])
    assert found is not None and set(found["outputs"]["oracle"]) == {"num", "KAD"}
    assert set_scores(rows(4), OUTPUTS, ["sdr", "embedding-error"]) is None


def test_other_references_may_be_compared_with() -> None:
    scores = rows(10)
    others = np.random.default_rng(1).standard_normal((40, 3)).astype(np.float32)
    found = set_scores(scores, OUTPUTS, ["kad"], others)
    assert found is not None and found["num_references"] == 40
    expected = kernel_distance(others, together(scores, "oracle"))
    assert found["outputs"]["oracle"]["KAD"] == pytest.approx(expected)


def test_fewer_embeddings_than_dimensions_are_told(caplog: pytest.LogCaptureFixture) -> None:
    found = set_scores(rows(10, size=15), OUTPUTS, ["fad", "kad"])
    assert found is not None
    (note,) = found["notes"]
    assert note.startswith("FAD of 15 embeddings in 15 dimensions is mostly bias")
    assert note in caplog.text and note in format_set_scores(found)
    kad = set_scores(rows(10, size=15), OUTPUTS, ["kad"])
    assert kad is not None and kad["notes"] == []


def test_a_single_embedding_is_undefined_and_told() -> None:
    found = set_scores(rows(1), OUTPUTS, ["fad", "kad"])
    assert found is not None
    assert math.isnan(found["outputs"]["oracle"]["FAD"])
    assert math.isnan(found["outputs"]["oracle"]["KAD"])
    assert found["notes"] == [
        "FAD and KAD to a single embedding are undefined; compare with more targets or references"
    ]


def test_one_output_of_a_single_embedding_hides_no_note_on_the_others() -> None:
    scores = rows(4, size=15)
    for each in scores[1:]:
        each.embeddings.pop("oracle")
    found = set_scores(scores, OUTPUTS, ["fad"])
    assert found is not None
    single, biased = found["notes"]
    assert single == "FAD and KAD of 1 embedding are undefined; evaluate more mixtures"
    assert biased.startswith("FAD of 6 embeddings in 15 dimensions is mostly bias")


def test_references_that_are_too_few_are_told_as_such() -> None:
    found = set_scores(rows(4), OUTPUTS, ["fad"], np.ones((1, 3), np.float32))
    assert found is not None
    assert found["notes"] == [
        "FAD and KAD to a single embedding are undefined; compare with more targets or references"
    ]


def test_the_table_has_a_line_for_each_output() -> None:
    found = set_scores(rows(10), OUTPUTS, ["fad", "kad"])
    assert found is not None
    found["outputs"]["absent"] = {"num": 0, "FAD": None, "KAD": None}
    head, oracle, _, absent = format_set_scores(found).splitlines()
    assert head.split() == ["all", "outputs", "embeddings", "FAD", "KAD"]
    assert oracle.split()[:3] == ["oracle", "15", "0.03"]
    assert absent.split() == ["absent", "0", "-", "-"]


def test_embeddings_survive_the_journal() -> None:
    (scores,) = rows(1)
    again = RowScores.from_json(scores.as_json())
    for name, each in scores.embeddings.items():
        np.testing.assert_array_equal(again.embeddings[name], each)
    assert "embeddings" not in RowScores(0, "", "").as_json()
