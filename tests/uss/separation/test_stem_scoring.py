import numpy as np
import pytest

from ontology import Ontology
from tests.uss.evaluation.conftest import CAT, DOG, RATE, SPEECH, make_separator, tone
from uss.audio import Recording
from uss.separation.stem_scoring import StemScorer, foreign_classes

LOW, HIGH = 500.0, 8_000.0


def sound(*parts: np.ndarray) -> Recording:
    return Recording(np.concatenate(parts)[None], RATE)


def test_what_a_class_is_a_kind_of_is_not_foreign(ontology: Ontology) -> None:
    foreign = foreign_classes([DOG], ontology)

    def is_foreign(name: str) -> bool:
        index = ontology.find(name).class_index
        assert index is not None
        return bool(foreign[index])

    assert not any(map(is_foreign, ("Dog", "Domestic animals, pets", "Animal")))
    assert all(map(is_foreign, ("Cat", "Speech", "Bark", "Noise")))
    assert not any(map(is_foreign, ("Silence", "Inside, small room", "Outside, rural or natural")))


def test_all_classes_of_a_group_are_wanted(ontology: Ontology) -> None:
    foreign = foreign_classes(ontology.class_indexes(ontology.find("Dog")), ontology)
    barking = ontology.find("Bark").class_index
    assert not foreign[barking] and foreign[CAT] and foreign[SPEECH]


def test_a_stem_is_heard_and_so_is_what_is_left() -> None:
    low, high = tone(LOW, 2.0), tone(HIGH, 2.0)
    scorer = StemScorer(make_separator())
    perfect = scorer.score([DOG], sound(low), sound(high))
    both = scorer.score([DOG], sound(low + high), sound(0.0 * low))
    swapped = scorer.score([DOG], sound(high), sound(low))
    assert perfect is not None and both is not None and swapped is not None
    assert (perfect.precision, perfect.recall, perfect.f1) == (1.0, 1.0, 1.0)
    assert (both.precision, both.recall) == (pytest.approx(0.5, abs=0.02), 1.0)
    assert swapped.f1 == 0.0


def test_only_active_segments_count() -> None:
    """A dog in the first second and a cat in the second, asked for in the first alone."""
    separator = make_separator()
    stem, rest = sound(tone(LOW, 1.0), tone(HIGH, 1.0)), sound(0.0 * tone(LOW, 2.0))
    scorer = StemScorer(separator, overlap=0.0)
    starts = np.array(separator.analyse(stem, 0.0).starts_seconds)
    whole = scorer.score([DOG], stem, rest)
    first = scorer.score([DOG], stem, rest, starts < 1.0)
    assert whole is not None and whole.precision == pytest.approx(0.5, abs=0.01)
    assert first is not None and first.precision == 1.0


def test_what_is_no_class_has_no_score() -> None:
    low = sound(tone(LOW))
    assert StemScorer(make_separator()).score([], low, low) is None
