import numpy as np
import pytest

from uss.audio.segments import Segmentation
from uss.separation.stem_order import StemOrder, continuing


def tones(num_stems: int, num_samples: int) -> np.ndarray:
    """(M, 1, T) of different frequencies."""
    times = np.arange(num_samples) / 1_000.0
    frequencies_hz = 20.0 * (1 + np.arange(num_stems))
    return np.sin(2 * np.pi * frequencies_hz[:, None, None] * times).astype(np.float32)


def test_stems_go_on_in_whatever_order_the_segments_have_them() -> None:
    """Four tones over seven segments, each shuffled."""
    segmentation = Segmentation.of(4_000, 800, 0.25)
    whole = tones(4, 6_000)
    rng = np.random.default_rng(0)
    order = StemOrder(segmentation)
    for index, start in enumerate(segmentation.starts):
        segment = whole[..., start : start + 800]
        shuffle = np.arange(4) if index == 0 else rng.permutation(4)
        ordered = order(index, dict(enumerate(segment[shuffle])))
        assert list(ordered) == [0, 1, 2, 3]
        np.testing.assert_array_equal(np.stack(list(ordered.values())), segment)


def test_the_best_order_is_that_of_all_stems_together() -> None:
    """Taken one by one, the first would choose the second's: 1.0 is nearer to 0.9 than 0.5."""
    before = np.array([[[0.9]], [[1.0]]], np.float32)
    after = np.array([[[0.5]], [[1.0]]], np.float32)
    np.testing.assert_array_equal(continuing(before, after), [0, 1])
    np.testing.assert_array_equal(continuing(before, after[::-1]), [1, 0])


def test_where_nothing_sounds_stems_keep_their_places() -> None:
    silence = np.zeros((5, 2, 100), np.float32)
    np.testing.assert_array_equal(continuing(silence, silence), np.arange(5))
    # Three of five are silent: they stay, too.
    partly = silence.copy()
    partly[[1, 3]] = tones(2, 100)
    np.testing.assert_array_equal(continuing(partly, partly), np.arange(5))


def test_after_a_gap_stems_stay_as_the_model_has_them() -> None:
    segmentation = Segmentation.of(4_000, 800, 0.25)
    segment = tones(2, 800)
    order = StemOrder(segmentation)
    order(0, dict(enumerate(segment)))
    after = order(2, dict(enumerate(segment[::-1])))
    np.testing.assert_array_equal(after[0], segment[1])


def test_segments_must_overlap() -> None:
    with pytest.raises(ValueError, match="overlap above 0"):
        StemOrder(Segmentation.of(4_000, 800, 0.0))
