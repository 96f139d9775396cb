import logging
from collections import Counter
from collections.abc import Callable

import numpy as np
import pytest

from uss.benchmarks.mixed_rows import Source
from uss.benchmarks.pairs import PairDrawer, draw_files

Make = Callable[..., PairDrawer]

SOURCES = [Source(f"{name}{take}.wav", name) for name in "abc" for take in range(4)]


@pytest.fixture
def drawer() -> Make:
    def make(sources: list[Source] = SOURCES, **options: object) -> PairDrawer:
        options = {"sounds": lambda _: True, **options}
        return PairDrawer(sources, np.random.default_rng(7), **options)  # type: ignore[arg-type]

    return make


def test_each_class_is_the_target_so_often_and_mixed_with_others(drawer: Make) -> None:
    pairs = drawer().per_class(10)
    assert Counter(SOURCES[pair.target].class_name for pair in pairs) == dict.fromkeys("abc", 10)
    assert all(SOURCES[p.target].class_name != SOURCES[p.interferer].class_name for p in pairs)


def test_a_class_takes_its_sources_in_turn(drawer: Make) -> None:
    counts = Counter(pair.target for pair in drawer().per_class(10))
    assert sorted(counts.values()) == [2] * 6 + [3] * 6


def test_the_same_seed_draws_the_same_pairs(drawer: Make) -> None:
    assert drawer().per_class(5) == drawer().per_class(5)


def test_pairs_in_all_are_spread_over_the_classes(drawer: Make) -> None:
    pairs = drawer().in_all(10)
    counts = Counter(SOURCES[pair.target].class_name for pair in pairs)
    assert sorted(counts.values()) == [3, 3, 4]


def test_each_source_is_a_target_once(drawer: Make) -> None:
    assert [pair.target for pair in drawer().each_once()] == list(range(len(SOURCES)))


@pytest.mark.parametrize("partners", ["files", "classes"])
def test_silent_and_conflicting_sources_are_not_drawn(drawer: Make, partners: str) -> None:
    allowed = {("a", "b"), ("b", "a"), ("b", "c"), ("c", "b")}

    def conflict(first: int, second: int) -> bool:
        return (SOURCES[first].class_name, SOURCES[second].class_name) not in allowed

    pairs = drawer(
        sounds=lambda source: not source.file.endswith("0.wav"),
        conflict=conflict,
        partners=partners,
    ).per_class(20)
    assert {(SOURCES[p.target].class_name, SOURCES[p.interferer].class_name) for p in pairs} == (
        allowed
    )
    assert not {index for pair in pairs for index in pair} & {0, 4, 8}


def test_partners_are_drawn_from_files_or_from_classes_alike(drawer: Make) -> None:
    sources = [Source("a.wav", "a"), Source("b.wav", "b")]
    sources += [Source(f"c{take}.wav", "c") for take in range(98)]

    def share_of_b(partners: str) -> float:
        pairs = drawer(sources, partners=partners).per_class(300)
        of_a = [pair for pair in pairs if pair.target == 0]
        return sum(pair.interferer == 1 for pair in of_a) / len(of_a)

    assert share_of_b("files") < 0.1
    assert share_of_b("classes") == pytest.approx(0.5, abs=0.1)


def test_a_rare_partner_is_found(drawer: Make) -> None:
    sources = [Source(f"a{take}.wav", "a") for take in range(400)] + [Source("b.wav", "b")]
    assert {pair.interferer for pair in drawer(sources).each_once() if pair.target < 5} == {400}


def test_a_class_that_cannot_be_mixed_is_left_out_and_named(
    drawer: Make, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        pairs = drawer(sounds=lambda source: source.class_name != "b").per_class(3)
    assert {SOURCES[pair.target].class_name for pair in pairs} == {"a", "c"}
    assert caplog.text.count("class b is left out") == 1


@pytest.mark.parametrize("sources", [[], SOURCES[:4]], ids=["nothing", "one class"])
def test_without_two_classes_there_is_nothing_to_mix(drawer: Make, sources: list[Source]) -> None:
    for draw in (lambda: drawer(sources).per_class(2), lambda: drawer(sources).in_all(2)):
        with pytest.raises(ValueError, match="no two sources of different classes"):
            draw()


def test_files_are_drawn_without_repeats(rng: np.random.Generator) -> None:
    files = {"b": ["1", "2", "3"], "a": ["4"]}
    drawn = draw_files(files, 2, rng)
    assert drawn["a"] == ("4",)
    assert len(set(drawn["b"])) == 2
    assert set(drawn["b"]) < set(files["b"])
