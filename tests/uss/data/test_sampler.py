from typing import get_args

import numpy as np
import pytest
from numpy.typing import NDArray

from ontology import Ontology
from uss.data.sampler import ActiveClasses, BalancedSampler, Disjointness
from uss.taggers import NUM_CLASSES

RULES = get_args(Disjointness)


def labels_of(ontology: Ontology, *anchors: tuple[str, ...]) -> NDArray[np.bool_]:
    """(N, K) labels of anchors given by the names of their classes."""
    labels = np.zeros((len(anchors), NUM_CLASSES), bool)
    for row, names in enumerate(anchors):
        labels[row, [ontology.find(name).class_index for name in names]] = True
    return labels


def active(
    ontology: Ontology,
    labels: NDArray[np.bool_],
    rule: Disjointness,
    tags: NDArray[np.float32] | None = None,
) -> ActiveClasses:
    if tags is None:
        tags = np.zeros(labels.shape, np.float32)
    return ActiveClasses.of(labels, tags, 0.5, ontology, rule)


def one_hot(class_index: NDArray[np.int64]) -> NDArray[np.bool_]:
    return np.eye(NUM_CLASSES, dtype=bool)[class_index]


@pytest.fixture
def unrelated(ontology: Ontology) -> NDArray[np.int64]:
    """Class indexes none of which lies above another."""
    leaves = [node.class_index for node in ontology.classes if not node.children]
    return np.array(leaves[:12], np.int64)


@pytest.mark.parametrize(
    ("first", "second", "specific", "any_"),
    [
        (("Dog",), ("Cat",), False, False),
        (("Dog", "Animal"), ("Cat", "Animal"), False, True),
        (("Dog",), ("Animal",), True, False),
        (("Bark", "Dog", "Animal"), ("Dog", "Animal"), True, True),
        (("Bark",), ("Bark", "Speech"), True, True),
        (("Speech",), ("Male speech, man speaking",), True, False),
    ],
)
def test_rules_of_disjointness(
    ontology: Ontology,
    first: tuple[str, ...],
    second: tuple[str, ...],
    specific: bool,
    any_: bool,
) -> None:
    labels = labels_of(ontology, first, second)
    for rule, expected in {"specific": specific, "any": any_, "none": False}.items():
        classes = active(ontology, labels, rule)  # type: ignore[arg-type]
        assert classes.conflict(0, 1) is expected, rule
        assert classes.conflict(1, 0) is expected, rule


def test_tags_above_the_threshold_count_as_labels(ontology: Ontology) -> None:
    labels = labels_of(ontology, ("Dog",), ("Speech",))
    tags = np.zeros(labels.shape, np.float32)
    dog = ontology.find("Dog").class_index
    for probability, expected in [(0.5, False), (0.51, True)]:
        tags[1, dog] = probability
        assert active(ontology, labels, "any", tags).conflict(0, 1) is expected


def test_an_anchor_without_active_classes_conflicts_with_none(ontology: Ontology) -> None:
    labels = labels_of(ontology, (), ("Dog",))
    for rule in RULES:
        assert not active(ontology, labels, rule).conflict(0, 1)


def test_classes_come_equally_often_however_many_anchors_they_have(
    ontology: Ontology, unrelated: NDArray[np.int64]
) -> None:
    sizes = [1, 200, 3, 50, 1, 7, 30, 2, 1, 90, 4, 10]
    class_index = np.repeat(unrelated, sizes)
    sampler = BalancedSampler(class_index, active(ontology, one_hot(class_index), "specific"), 4)
    num_batches = 600
    drawn = np.concatenate(
        [class_index[sampler.rows(sampler.generator(n))] for n in range(num_batches)]
    )
    _, counts = np.unique(drawn, return_counts=True)
    expected = num_batches * 4 / len(unrelated)
    # Chi-square with 11 degrees of freedom exceeds 31.3 once in a thousand; drawing without
    # replacement only makes it smaller.
    assert len(counts) == len(unrelated)
    assert (np.square(counts - expected) / expected).sum() < 31.3


def test_anchors_of_a_class_come_equally_often(
    ontology: Ontology, unrelated: NDArray[np.int64]
) -> None:
    class_index = np.repeat(unrelated[:2], 5)
    sampler = BalancedSampler(class_index, active(ontology, one_hot(class_index), "any"), 2)
    rows = np.concatenate([sampler.rows(sampler.generator(n)) for n in range(500)])
    counts = np.bincount(rows, minlength=10)
    # Chi-square with 9 degrees of freedom exceeds 27.9 once in a thousand.
    assert (np.square(counts - 100) / 100).sum() < 27.9


@pytest.mark.parametrize("rule", RULES)
def test_batches_hold_distinct_classes_and_disjoint_neighbours(
    ontology: Ontology, rule: Disjointness
) -> None:
    animals = ("Dog", "Cat", "Bird", "Horse", "Pig")
    anchors = [(name, "Animal") for name in animals for _ in range(3)]
    anchors += [(name,) for name in ("Speech", "Music", "Rain", "Engine", "Bell", "Siren")]
    labels = labels_of(ontology, *anchors)
    class_index = labels_of(ontology, *((names[0],) for names in anchors)).argmax(axis=1)
    classes = active(ontology, labels, rule)
    sampler = BalancedSampler(class_index, classes, 6)
    orders_seen = set()
    for n in range(100):
        rows = sampler.rows(sampler.generator(n))
        assert rows.shape == (6,)
        assert len(set(class_index[rows].tolist())) == 6
        for row, following in zip(rows, np.roll(rows, -1), strict=True):
            assert not classes.conflict(row, following)
            if rule == "any":
                assert not (labels[row] & labels[following]).any()
        orders_seen.add(tuple(rows.tolist()))
    assert len(orders_seen) > 90


def test_a_batch_depends_on_seed_number_rank_and_world_size_alone(
    ontology: Ontology, unrelated: NDArray[np.int64]
) -> None:
    class_index = np.repeat(unrelated, 20)
    classes = active(ontology, one_hot(class_index), "specific")

    def batch(n: int, **key: int) -> list[int]:
        sampler = BalancedSampler(class_index, classes, 8, **key)
        return sampler.rows(sampler.generator(n)).tolist()

    key = {"seed": 3, "rank": 0, "world_size": 2}
    reference = batch(7, **key)
    used = BalancedSampler(class_index, classes, 8, **key)
    for n in (0, 1, 2):
        used.rows(used.generator(n))
    assert used.rows(used.generator(7)).tolist() == reference
    assert batch(7, **key) == reference
    assert batch(8, **key) != reference
    for change in ({"seed": 4}, {"rank": 1}, {"world_size": 3}):
        assert batch(7, **(key | change)) != reference


def test_a_class_without_anchors_is_not_drawn(
    ontology: Ontology, unrelated: NDArray[np.int64]
) -> None:
    class_index = unrelated[[0, 2, 5]]
    sampler = BalancedSampler(class_index, active(ontology, one_hot(class_index), "specific"), 3)
    assert sorted(sampler.rows(sampler.generator(0)).tolist()) == [0, 1, 2]


def test_too_few_classes(ontology: Ontology, unrelated: NDArray[np.int64]) -> None:
    class_index = np.repeat(unrelated[:3], 10)
    classes = active(ontology, one_hot(class_index), "specific")
    with pytest.raises(ValueError, match="batch of 4 needs as many classes, the shards hold 3"):
        BalancedSampler(class_index, classes, 4)


def test_no_anchors_at_all(ontology: Ontology) -> None:
    empty = np.zeros(0, np.int64)
    with pytest.raises(ValueError, match="the shards hold 0"):
        BalancedSampler(empty, active(ontology, one_hot(empty), "specific"), 2)


def test_a_batch_of_one_cannot_be_mixed(ontology: Ontology, unrelated: NDArray[np.int64]) -> None:
    classes = active(ontology, one_hot(unrelated), "specific")
    with pytest.raises(ValueError, match="batch of 1 cannot be mixed"):
        BalancedSampler(unrelated, classes, 1)


def test_impossible_disjointness_is_an_error_not_an_endless_loop(ontology: Ontology) -> None:
    labels = labels_of(ontology, ("Dog", "Speech"), ("Cat", "Speech"), ("Bird", "Speech"))
    class_index = labels_of(ontology, ("Dog",), ("Cat",), ("Bird",)).argmax(axis=1)
    sampler = BalancedSampler(class_index, active(ontology, labels, "specific"), 2)
    with pytest.raises(ValueError, match="found no batch of 2 anchors"):
        sampler.rows(sampler.generator(0))
