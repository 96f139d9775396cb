import numpy as np
import pytest

from ontology import load_ontology
from uss.benchmarks.exclusion import LabelExclusion
from uss.data.active_classes import ActiveClasses

DOG, BARK, CAT, ANIMAL, SPEECH = "/m/0bt9lr", "/m/05tny_", "/m/01yrx", "/m/0jbk", "/m/09x0r"
HUMAN_VOICE = "/m/09l8g"
CASES = [
    ((DOG,), (CAT,), False),
    ((DOG, ANIMAL), (CAT, ANIMAL), False),
    ((DOG,), (ANIMAL,), True),
    ((BARK,), (DOG,), True),
    ((DOG, SPEECH), (CAT, SPEECH), True),
    ((DOG,), (DOG,), True),
]


@pytest.mark.parametrize(("first", "second", "conflict"), CASES)
def test_what_is_one_clips_alone_must_not_be_in_the_other(
    first: tuple[str, ...], second: tuple[str, ...], conflict: bool
) -> None:
    exclusion = LabelExclusion([first, second], [first[0], second[0]])
    assert exclusion(0, 1) == exclusion(1, 0) == conflict


@pytest.mark.parametrize(("first", "second", "conflict"), CASES)
def test_the_rule_is_that_of_training(
    first: tuple[str, ...], second: tuple[str, ...], conflict: bool
) -> None:
    ontology = load_ontology()
    labels = np.zeros((2, len(ontology.classes)), bool)
    for row, mids in enumerate((first, second)):
        for mid in mids:
            labels[row, ontology.nodes[mid].class_index] = True
    classes = ActiveClasses.of(
        labels, np.zeros(labels.shape, np.float32), 0.5, ontology, "specific"
    )
    assert classes.conflict(0, 1) == conflict


def test_a_clip_is_not_mixed_with_what_is_of_its_class() -> None:
    labels = [(DOG, ANIMAL), (CAT, ANIMAL)]
    assert LabelExclusion(labels, [ANIMAL, CAT])(0, 1)
    assert LabelExclusion(labels, [DOG, ANIMAL])(0, 1)
    assert not LabelExclusion(labels, [DOG, CAT])(0, 1)


def test_nodes_without_a_class_count_and_unknown_labels_stand_alone() -> None:
    mids = [SPEECH, HUMAN_VOICE, "/m/none", "/m/none"]
    exclusion = LabelExclusion([(mid,) for mid in mids], mids)
    assert exclusion(0, 1)
    assert not exclusion(0, 2)
    assert exclusion(2, 3)
