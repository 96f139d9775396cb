import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ontology import Node, Ontology
from tests.uss.evaluation.conftest import CAT, DOG, SPEECH, Bands, SaveTone, make_separator
from uss.core.errors import InputError
from uss.evaluation.lists.evaluating import (
    HALF_MIXTURE,
    MIXTURE,
    SWAPPED,
    TOGETHER,
    ListEvaluation,
    ListSettings,
)
from uss.evaluation.lists.mixture_list import ListRow
from uss.evaluation.lists.row_scores import RowScores
from uss.separation.separator import Separator

LOW, HIGH = 500.0, 8_000.0


@pytest.fixture
def rows(save_tone: SaveTone) -> list[ListRow]:
    """Two mixtures of the same two tones; each is the target once."""
    low, high = save_tone("low.wav", LOW), save_tone("high.wav", HIGH)
    classes: dict[str, Any] = {"class_name": "Dog", "interferer_class": "Cat"} | {
        "caption": "a dog",
        "interferer_caption": "a cat",
    }
    swapped: dict[str, Any] = {"class_name": "Cat", "interferer_class": "Dog"} | {
        "caption": "a cat",
        "interferer_caption": "a dog",
    }
    return [
        ListRow(target=(low,), interferer=(high,), query=(low,), **classes),
        ListRow(target=(high,), interferer=(low,), query=(high, high), **swapped),
    ]


def evaluate(
    separator: Separator,
    rows: list[ListRow],
    root: Path,
    *conditions: Any,
    keep_going: bool = False,
    overlap: float = 0.25,
) -> list[RowScores]:
    settings = ListSettings(conditions, ("sdr", "si-sdr"), overlap, keep_going)
    evaluation = ListEvaluation(separator, "list.csv", rows, root, settings)
    evaluation.check()
    return list(evaluation.scores(range(len(rows))))


@pytest.mark.parametrize("condition", ["oracle", "class-average", "soft-masked", "query", "text"])
def test_every_condition_asks_for_the_target(
    separator: Separator, rows: list[ListRow], tmp_path: Path, condition: str
) -> None:
    for scores in evaluate(separator, rows, tmp_path, condition):
        found = scores.scores[condition]
        assert found["SI-SDR"] > 15.0, "what is left is the segment's edge"
        assert found["SI-SDRi"] == pytest.approx(found["SI-SDR"], abs=0.1), "at 0 dB"
        # The other tone alone: as loud as what is missing, and nothing of the target in it.
        swapped = scores.scores[condition + SWAPPED]
        assert swapped["SDR"] == pytest.approx(-3.01, abs=0.2)
        assert swapped["SI-SDR"] < -15.0


def test_mixture_and_half_mixture_are_the_floor(
    separator: Separator, rows: list[ListRow], tmp_path: Path
) -> None:
    (scores, _) = evaluate(separator, rows, tmp_path, "oracle")
    assert scores.scores[MIXTURE]["SDR"] == pytest.approx(0.0, abs=0.01)
    assert scores.scores[MIXTURE]["SDRi"] == scores.scores[MIXTURE]["SI-SDRi"] == 0.0
    assert scores.scores[HALF_MIXTURE]["SDRi"] == pytest.approx(3.01, abs=0.01)
    assert scores.scores[HALF_MIXTURE]["SI-SDRi"] == pytest.approx(0.0, abs=1e-5)


def test_several_conditions_share_one_pass(
    separator: Separator, rows: list[ListRow], tmp_path: Path
) -> None:
    """Two mixtures of one segment, two conditions with their swapped ones: eight pairs of four."""
    found = evaluate(separator, rows, tmp_path, "oracle", "class-average")
    assert isinstance(separator.model, Bands) and separator.model.cpu_batch_size == 4
    assert separator.model.num_calls == 2
    assert set(found[0].scores) == {
        *("oracle", "oracle, swapped", "class-average", "class-average, swapped"),
        *("mixture", "half mixture"),
    }


def test_both_sources_are_asked_for_together_where_stems_share_bins(
    separator: Separator, rows: list[ListRow], tmp_path: Path
) -> None:
    """Where the bands do not meet, each is as good as alone; an unknown interferer has no share."""
    unknown = replace(rows[0], interferer_class="")
    settings = ListSettings(("oracle", "class-average"), ("si-sdr",), 0.25, is_joint=True)
    assert "class-average" + TOGETHER in settings.outputs
    evaluation = ListEvaluation(separator, "list.csv", [*rows, unknown], tmp_path, settings)
    *known, third = evaluation.scores(range(3))
    for scores in known:
        for kind in settings.conditions:
            alone, together = scores.scores[kind], scores.scores[kind + TOGETHER]
            assert together["SI-SDR"] == pytest.approx(alone["SI-SDR"], abs=0.5)
    assert math.isnan(third.scores["class-average" + TOGETHER]["SI-SDR"])
    assert not math.isnan(third.scores["oracle" + TOGETHER]["SI-SDR"])


def test_the_rows_come_in_the_order_asked_for(
    separator: Separator, rows: list[ListRow], tmp_path: Path
) -> None:
    settings = ListSettings(("oracle",), ("sdr",), 0.25)
    evaluation = ListEvaluation(separator, "list.csv", rows * 3, tmp_path, settings)
    found = list(evaluation.scores([4, 1]))
    assert [(each.row, each.class_name) for each in found] == [(4, "Dog"), (1, "Cat")]


@pytest.mark.parametrize(("rate", "channels"), [(32_000, 2), (44_100, 1), (16_000, 2)])
def test_long_recordings_of_any_rate(
    separator: Separator, save_tone: SaveTone, tmp_path: Path, rate: int, channels: int
) -> None:
    options: dict[str, Any] = {"seconds": 3.3, "rate": rate, "channels": channels}
    row = ListRow(
        target=(save_tone("a.wav", LOW, **options),),
        interferer=(save_tone("b.wav", 6_000.0, **options),),
    )
    (scores,) = evaluate(separator, [row], tmp_path, "oracle")
    assert scores.scores["oracle"]["SI-SDR"] > 20.0


def test_a_mixture_file_needs_no_interferer(
    separator: Separator, save_tone: SaveTone, tmp_path: Path
) -> None:
    row = ListRow(mixture=save_tone("mix.wav", LOW, HIGH), target=(save_tone("low.wav", LOW),))
    (scores,) = evaluate(separator, [row], tmp_path, "oracle")
    assert scores.scores["oracle"]["SI-SDR"] > 15.0
    assert scores.scores["oracle, swapped"]["SI-SDR"] < -15.0, "the rest of the mixture"


def test_a_silent_target_is_undefined(
    separator: Separator, save_tone: SaveTone, tmp_path: Path
) -> None:
    silent = save_tone("silent.wav", LOW, gain=0.0)
    row = ListRow(target=(silent,), interferer=(save_tone("high.wav", HIGH),))
    (scores,) = evaluate(separator, [row], tmp_path, "oracle")
    assert all(math.isnan(v) for values in scores.scores.values() for v in values.values())
    assert not scores.error


def test_without_an_interferer_nothing_can_improve(
    separator: Separator, save_tone: SaveTone, tmp_path: Path
) -> None:
    silent = save_tone("silent.wav", LOW, gain=0.0)
    row = ListRow(target=(save_tone("high.wav", HIGH),), interferer=(silent,))
    (scores,) = evaluate(separator, [row], tmp_path, "oracle")
    assert scores.scores["mixture"]["SDR"] == pytest.approx(100.0)
    for output in ("oracle", "mixture", "half mixture"):
        assert math.isnan(scores.scores[output]["SDRi"])
        assert math.isnan(scores.scores[output]["SI-SDRi"])
    assert math.isnan(scores.scores["oracle, swapped"]["SDR"]), "there is nothing to ask for"


def test_class_averages_are_the_classes_own_or_those_below(
    save_tone: SaveTone, tmp_path: Path
) -> None:
    """Canidae has no query here, the dog below it has; "Domestic animals" has both pets below."""
    separator = make_separator(DOG, CAT, SPEECH, vectors=[[1, 0], [0, 1], [0, 1]])
    low, high = save_tone("low.wav", LOW), save_tone("high.wav", HIGH)

    def improvement(**changes: Any) -> float:
        row = ListRow(target=(low,), interferer=(high,), **changes)
        (scores,) = evaluate(separator, [row], tmp_path, "class-average")
        return scores.scores["class-average"]["SI-SDRi"]

    assert improvement(class_name="dog") > 15.0
    assert improvement(class_name="Domestic animals, pets") == pytest.approx(0.0, abs=0.1)
    assert improvement(class_name="something else", mids=("/m/0bt9lr",)) > 15.0, "mids come first"
    assert improvement(class_name="x", mids=("/m/0bt9lr", "/m/01yrx")) == pytest.approx(
        0.0, abs=0.1
    )


def test_an_unknown_interferer_only_costs_the_swapped_score(
    separator: Separator, rows: list[ListRow], tmp_path: Path
) -> None:
    row = ListRow(
        target=rows[0].target, interferer=rows[0].interferer, class_name="Dog", interferer_class="?"
    )
    for condition in ("class-average", "soft-masked"):
        (scores,) = evaluate(separator, [row], tmp_path, condition)
        assert scores.scores[condition]["SI-SDR"] > 15.0
        assert math.isnan(scores.scores[condition + SWAPPED]["SDR"])


BROKEN = {
    "missing": (ListRow(target=("gone.wav",), interferer=("high.wav",)), "gone.wav: no such file"),
    "rate": (ListRow(target=("low.wav",), interferer=("16k.wav",)), "16k.wav 16000 Hz"),
    "length": (ListRow(target=("low.wav",), interferer=("longer.wav",)), "longer.wav 16001"),
    "nan": (ListRow(target=("nan.wav",), interferer=("high.wav",)), "nan.wav holds samples"),
    "no class": (ListRow(target=("low.wav",), interferer=("high.wav",)), "it names no class"),
    "unknown class": (
        ListRow(target=("low.wav",), interferer=("high.wav",), class_name="Dgo"),
        'did you mean "Dog"',
    ),
    "no query of the class": (
        ListRow(target=("low.wav",), interferer=("high.wav",), class_name="Piano"),
        "no query for the class 'Piano'",
    ),
    "no query": (ListRow(target=("low.wav",), interferer=("high.wav",)), "it names no query"),
    "missing query": (
        ListRow(target=("low.wav",), interferer=("high.wav",), query=("gone.wav",)),
        "gone.wav: no such file",
    ),
    "silent query": (
        ListRow(target=("low.wav",), interferer=("high.wav",), query=("silent.wav",)),
        "its query silent.wav is silent",
    ),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_row_is_named_or_skipped(
    separator: Separator, rows: list[ListRow], save_tone: SaveTone, tmp_path: Path, case: str
) -> None:
    save_tone("16k.wav", HIGH, rate=16_000)
    save_tone("longer.wav", HIGH, seconds=0.5 + 1.0 / 32_000)
    save_tone("silent.wav", HIGH, gain=0.0)
    save_tone("nan.wav", HIGH, gain=np.nan)
    broken, message = BROKEN[case]
    conditions = ["oracle"]
    if "class" in case:
        conditions = ["class-average"]
    elif "query" in case:
        conditions = ["query"]
    listed = [rows[0], broken, rows[1]]
    with pytest.raises(ValueError) as refusal:
        evaluate(separator, listed, tmp_path, *conditions)
    assert str(refusal.value).startswith("list.csv, row 3: ") and message in str(refusal.value)
    first, second, third = evaluate(separator, listed, tmp_path, *conditions, keep_going=True)
    assert message in second.error and not second.scores
    for whole in (first, third):
        assert not whole.error and whole.scores[conditions[0]]["SI-SDR"] > 15.0


def test_what_cannot_be_scored_is_named_or_skipped(
    separator: Separator, rows: list[ListRow], save_tone: SaveTone, tmp_path: Path
) -> None:
    pytest.importorskip("pesq", reason="PESQ comes with the extra 'eval'")
    long = ListRow(
        target=(save_tone("low30.wav", LOW, seconds=30.0),),
        interferer=(save_tone("high30.wav", HIGH, seconds=30.0),),
    )
    for keep_going in (False, True):
        settings = ListSettings(("oracle",), ("pesq",), 0.0, keep_going)
        evaluation = ListEvaluation(separator, "list.csv", [long, rows[0]], tmp_path, settings)
        if keep_going:
            first, second = evaluation.scores(range(2))
            assert "PESQ" in first.error and not second.error
        else:
            with pytest.raises(ValueError, match=r"list.csv, row 2: .*PESQ"):
                list(evaluation.scores(range(2)))


@pytest.mark.parametrize("place", ["row_scoring.score", "evaluating.load_mixture"])
def test_a_fault_of_the_program_is_no_skipped_mixture(
    separator: Separator,
    rows: list[ListRow],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    place: str,
) -> None:
    """NumPy says ValueError of shapes that do not fit, in this thread and in that which reads."""

    def misfit(*_: Any) -> Any:
        return np.zeros(2) + np.zeros(3)

    monkeypatch.setattr(f"uss.evaluation.lists.{place}", misfit)
    with pytest.raises(ValueError, match="could not be broadcast") as fault:
        evaluate(separator, rows, tmp_path, "oracle", keep_going=True)
    assert not isinstance(fault.value, InputError)


def test_a_fault_is_no_unknown_class(
    separator: Separator, rows: list[ListRow], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the interferer, whose class need not be known."""
    class_indexes = type(separator.ontology).class_indexes

    def misfit(ontology: Ontology, node: Node) -> Any:
        return np.zeros(2) + np.zeros(3) if node.name == "Cat" else class_indexes(ontology, node)

    monkeypatch.setattr(type(separator.ontology), "class_indexes", misfit)
    with pytest.raises(ValueError, match="could not be broadcast") as fault:
        evaluate(separator, rows[:1], tmp_path, "class-average")
    assert not isinstance(fault.value, InputError)


def test_what_no_row_can_mend_is_said_at_once(rows: list[ListRow], tmp_path: Path) -> None:
    separator = make_separator()
    separator.class_queries = None
    with pytest.raises(ValueError, match=r"^the model has no class queries"):
        evaluate(separator, rows, tmp_path, "class-average", keep_going=True)


def test_scores_survive_json() -> None:
    scores = RowScores(3, "Dog", "song", {"oracle": {"SDR": 1.5, "SDRi": math.nan}})
    content = scores.as_json()
    assert content["scores"] == {"oracle": {"SDR": 1.5, "SDRi": None}}
    again = RowScores.from_json(content)
    assert again.row == 3 and again.scores["oracle"]["SDR"] == 1.5
    assert math.isnan(again.scores["oracle"]["SDRi"])


def test_other_json_is_no_scores() -> None:
    for content in ({}, {"row": 0}, {"scores": {"oracle": 1.0}}, {"scores": {}, "colour": "red"}):
        with pytest.raises(ValueError, match="no scores of a mixture in"):
            RowScores.from_json(content)


def test_a_caption_is_needed_and_must_be_understood(
    separator: Separator, rows: list[ListRow], tmp_path: Path
) -> None:
    for caption, complaint in (
        ("", "it has no caption"),
        ("blorptang", "not understood: 'blorptang'"),
        ("no dogs", "asks for nothing"),
    ):
        wrong = [rows[0], replace(rows[1], caption=caption)]
        with pytest.raises(InputError, match=rf"list\.csv, row 3: .*{complaint}"):
            evaluate(separator, wrong, tmp_path, "text")


def test_what_is_said_of_the_interferer_need_not_be_understood(
    separator: Separator, rows: list[ListRow], tmp_path: Path
) -> None:
    strange = [replace(rows[0], interferer_caption="blorptang")]
    (scores,) = evaluate(separator, strange, tmp_path, "text")
    assert scores.scores["text"]["SI-SDR"] > 15.0
    assert math.isnan(scores.scores["text" + SWAPPED]["SI-SDR"])


def test_a_stem_matches_its_caption_better_than_the_mixture(
    separator: Separator, rows: list[ListRow], tmp_path: Path
) -> None:
    settings = ListSettings(("text",), ("text-match",), 0.25)
    evaluation = ListEvaluation(separator, "list.csv", rows, tmp_path, settings)
    evaluation.check()
    for scores in evaluation.scores(range(len(rows))):
        match = {name: found["text match"] for name, found in scores.scores.items()}
        assert 1.0 >= match["text"] > match[MIXTURE] > match["text" + SWAPPED] >= 0.0
        assert match[MIXTURE] == pytest.approx(match[HALF_MIXTURE], abs=0.2)


def test_a_caption_of_the_interferer_that_is_not_understood_is_told_once(
    separator: Separator,
    rows: list[ListRow],
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    strange = [replace(row, interferer_caption="blorptang") for row in rows]
    evaluate(separator, strange, tmp_path, "text")
    told = [each for each in caplog.messages if "swapped scores are undefined" in each]
    assert len(told) == 1 and "blorptang" in told[0]


def test_text_match_says_that_it_needs_captions(
    separator: Separator, rows: list[ListRow], tmp_path: Path
) -> None:
    settings = ListSettings(("oracle",), ("text-match",), 0.25)
    silent = [replace(rows[0], caption="")]
    with pytest.raises(InputError, match="--metrics text-match compares with"):
        ListEvaluation(separator, "list.csv", silent, tmp_path, settings).check()
