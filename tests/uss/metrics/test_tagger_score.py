import numpy as np
import pytest

from uss.metrics.tagger_score import TaggerScore, tagger_score

# Two wanted classes, one above them that counts as nothing, two foreign ones.
WANTED = np.array([True, True, False, False, False])
FOREIGN = np.array([False, False, False, True, True])


def heard(*rows: list[float]) -> np.ndarray:
    return np.array(rows, np.float32)


def test_by_hand() -> None:
    """Hits 0.8 and 0.4, foreign sounds 0.2 and 0.2, left behind 0.1 and 0.3."""
    stem = heard([0.8, 0.3, 0.9, 0.2, 0.1], [0.1, 0.4, 0.9, 0.0, 0.2])
    rest = heard([0.1, 0.0, 0.9, 0.9, 0.0], [0.3, 0.2, 0.0, 0.9, 0.0])
    found = tagger_score(stem, rest, WANTED, FOREIGN)
    assert found.precision == pytest.approx(1.2 / 1.6)
    assert found.recall == pytest.approx(1.2 / 1.6)
    assert found.f1 == pytest.approx(2.0 * 1.2 / (2.0 * 1.2 + 0.4 + 0.4))


def test_f1_is_the_harmonic_mean() -> None:
    stem, rest = heard([0.6, 0.0, 0.0, 0.5, 0.0]), heard([0.1, 0.0, 0.0, 0.9, 0.0])
    found = tagger_score(stem, rest, WANTED, FOREIGN)
    assert found.precision != pytest.approx(found.recall, abs=0.1)
    assert found.f1 == pytest.approx(2.0 / (1.0 / found.precision + 1.0 / found.recall))


def test_a_perfect_stem_a_silent_one_and_the_mixture() -> None:
    silence, alone = heard([0.0] * 5), heard([1.0, 0.0, 0.0, 0.0, 0.0])
    other = heard([0.0, 0.0, 0.0, 1.0, 0.0])
    both = np.maximum(alone, other)
    assert tagger_score(alone, other, WANTED, FOREIGN) == TaggerScore(1.0, 1.0, 1.0)
    assert tagger_score(silence, both, WANTED, FOREIGN) == TaggerScore(0.0, 0.0, 0.0)
    mixture = tagger_score(both, silence, WANTED, FOREIGN)
    assert (mixture.precision, mixture.recall) == (0.5, 1.0)
    assert tagger_score(other, alone, WANTED, FOREIGN).f1 == 0.0


def test_no_segment_scores_zero() -> None:
    none = np.zeros((0, 5), np.float32)
    assert tagger_score(none, none, WANTED, FOREIGN).f1 == 0.0


def test_other_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match=r"give \(I, K\) twice"):
        tagger_score(heard([0.0] * 5), heard([0.0] * 5, [0.0] * 5), WANTED, FOREIGN)
