import itertools
from typing import NamedTuple, get_args

import numpy as np
import pytest
from numpy.typing import NDArray

from ontology import Ontology
from uss.data.active_classes import ActiveClasses, Disjointness
from uss.data.sampler import BalancedSampler, SameClipSampler
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
        [class_index[sampler.rows(sampler.generator(n))[:, 0]] for n in range(num_batches)]
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
    rows = np.concatenate([sampler.rows(sampler.generator(n))[:, 0] for n in range(500)])
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
        drawn = sampler.rows(sampler.generator(n))
        assert drawn.shape == (6, 2)
        rows = drawn[:, 0]
        assert drawn[:, 1].tolist() == np.roll(rows, -1).tolist()
        assert len(set(class_index[rows].tolist())) == 6
        for row, following in drawn:
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
    assert sorted(sampler.rows(sampler.generator(0))[:, 0].tolist()) == [0, 1, 2]


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


def overlapping(ontology: Ontology) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Three anchors for each of twelve classes; of every third class with a hiss as well."""
    names = ("Dog", "Cat", "Speech", "Music", "Engine", "Bell")
    names += ("Siren", "Bird", "Horse", "Pig", "Whistle", "Thunder")
    anchors = [
        (name, "Hiss") if number % 3 == 0 else (name,)
        for number, name in enumerate(names)
        for _ in range(3)
    ]
    firsts = labels_of(ontology, *((first[0],) for first in anchors)).argmax(axis=1)
    return firsts, labels_of(ontology, *anchors)


@pytest.mark.parametrize(("num_sources", "batch_size"), [(3, 8), (3, 3), (4, 8), (4, 5), (2, 8)])
def test_any_neighbours_of_the_ring_are_disjoint(
    ontology: Ontology, num_sources: int, batch_size: int
) -> None:
    class_index, labels = overlapping(ontology)
    classes = active(ontology, labels, "specific")
    sampler = BalancedSampler(class_index, classes, batch_size, num_sources=num_sources)
    for n in range(30):
        rows = sampler.rows(sampler.generator(n))
        assert rows.shape == (batch_size, num_sources)
        ring = rows[:, 0]
        assert len(set(class_index[ring].tolist())) == batch_size
        for shift in range(num_sources):
            assert rows[:, shift].tolist() == np.roll(ring, -shift).tolist()
        for mixed in rows.tolist():
            for first, second in itertools.combinations(mixed, 2):
                assert not classes.conflict(first, second)
    pairs = itertools.combinations(range(len(labels)), 2)
    assert any(
        classes.conflict(*pair) and class_index[pair[0]] != class_index[pair[1]] for pair in pairs
    )


def test_the_ring_of_two_sources_is_the_one_models_were_trained_with(ontology: Ontology) -> None:
    class_index, labels = overlapping(ontology)
    sampler = BalancedSampler(class_index, active(ontology, labels, "specific"), 6, seed=5)
    assert [sampler.rows(sampler.generator(n))[:, 0].tolist() for n in (0, 9)] == [
        [29, 21, 2, 6, 5, 32],
        [0, 24, 11, 33, 13, 7],
    ]


def test_a_batch_smaller_than_its_mixtures(
    ontology: Ontology, unrelated: NDArray[np.int64]
) -> None:
    classes = active(ontology, one_hot(unrelated), "specific")
    with pytest.raises(ValueError, match=r"batch of 3 cannot be mixed .* use 4 or more"):
        BalancedSampler(unrelated, classes, 3, num_sources=4)
    with pytest.raises(ValueError, match="1 sources are no mixture; use 2 or more"):
        BalancedSampler(unrelated, classes, 3, num_sources=1)


def test_impossible_disjointness_of_many_sources_names_fewer_as_a_remedy(
    ontology: Ontology,
) -> None:
    labels = labels_of(ontology, ("Dog", "Speech"), ("Cat",), ("Bird", "Speech"), ("Pig",))
    class_index = labels_of(ontology, ("Dog",), ("Cat",), ("Bird",), ("Pig",)).argmax(axis=1)
    classes = active(ontology, labels, "specific")
    sampler = BalancedSampler(class_index, classes, 4)
    assert sampler.rows(sampler.generator(0)).shape == (4, 2)
    sampler = BalancedSampler(class_index, classes, 4, num_sources=3)
    with pytest.raises(ValueError, match=r"any 3 neighbours .* use fewer sources"):
        sampler.rows(sampler.generator(0))


class SameClip(NamedTuple):
    class_index: NDArray[np.int64]
    clip_id: NDArray[np.object_]


@pytest.fixture
def in_clip() -> SameClip:
    """Class 0: clips of 2, 3 and 1 anchors; 1: of 2; 2: two of 1; 3: of 4. Clip b is shared."""
    clips = {0: "aa bbb c", 1: "bb", 2: "d e", 3: "ffff"}
    pairs = [(k, clip) for k, text in clips.items() for clip in text if clip != " "]
    pairs = [pairs[i] for i in np.random.default_rng(0).permutation(len(pairs))]
    return SameClip(
        np.array([k for k, _ in pairs]), np.array([clip for _, clip in pairs], dtype=object)
    )


def test_mixtures_of_one_clip_share_clip_and_class(in_clip: SameClip) -> None:
    sampler = SameClipSampler(*in_clip, 3)
    seen = set()
    for n in range(100):
        rows = sampler.rows(sampler.generator(n))
        assert rows.shape == (3, 2)
        # Class 2 has no clip with two anchors and is not drawn.
        assert sorted(in_clip.class_index[rows[:, 0]].tolist()) == [0, 1, 3]
        for first, second in rows.tolist():
            assert first != second
            assert in_clip.clip_id[first] == in_clip.clip_id[second] != "c"
            assert in_clip.class_index[first] == in_clip.class_index[second]
            seen.add((first, second))
    # All ordered pairs: 2 + 6 of class 0, 2 of class 1, 12 of class 3.
    assert len(seen) == 22


def test_clips_of_a_class_come_equally_often(in_clip: SameClip) -> None:
    sampler = SameClipSampler(*in_clip, 3)
    rows = np.concatenate([sampler.rows(sampler.generator(n)) for n in range(400)])
    clips = in_clip.clip_id[rows[:, 0]][in_clip.class_index[rows[:, 0]] == 0]
    # Five standard deviations of a binomial with 400 draws.
    assert np.mean(clips == "a") == pytest.approx(0.5, abs=0.125)


def test_three_sources_of_one_clip(in_clip: SameClip) -> None:
    sampler = SameClipSampler(*in_clip, 2, num_sources=3)
    for n in range(20):
        rows = sampler.rows(sampler.generator(n))
        assert all(len(set(row)) == 3 for row in rows.tolist())
        assert sorted(set(in_clip.clip_id[rows].ravel())) == ["b", "f"]


def test_batches_of_one_clip_depend_on_their_key_alone(in_clip: SameClip) -> None:
    def batch(n: int, **key: int) -> list[list[int]]:
        sampler = SameClipSampler(*in_clip, 3, **key)
        return sampler.rows(sampler.generator(n)).tolist()

    key = {"seed": 3, "rank": 0, "world_size": 2}
    assert batch(7, **key) == batch(7, **key)
    others = [batch(7, **key | change) for change in ({"seed": 4}, {"rank": 1}, {"world_size": 3})]
    assert all(other != batch(7, **key) for other in [*others, batch(8, **key)])


@pytest.mark.parametrize(("batch_size", "num_sources", "found"), [(4, 2, 3), (1, 5, 0), (3, 3, 2)])
def test_too_few_clips_with_several_anchors(
    in_clip: SameClip, batch_size: int, num_sources: int, found: int
) -> None:
    remedy = f"shards hold {found}; .* in-clip-random --anchors-per-clip {num_sources}"
    with pytest.raises(ValueError, match=remedy):
        SameClipSampler(*in_clip, batch_size, num_sources=num_sources)
