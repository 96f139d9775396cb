import numpy as np
import pytest

from uss.audio.remixing import remix


def test_one_channel_becomes_several_alike() -> None:
    block = np.array([[1.0, -2.0]], np.float32)
    assert remix(block, 3).tolist() == [[1.0, -2.0]] * 3


@pytest.mark.parametrize("num_channels", [2, 3, 9])
def test_several_become_their_mean(num_channels: int) -> None:
    block = np.arange(2.0 * num_channels, dtype=np.float32).reshape(num_channels, 2)
    assert remix(block, 1).tolist() == [[num_channels - 1.0, float(num_channels)]]


def test_the_same_number_is_left_alone() -> None:
    block = np.zeros((2, 5), np.float32)
    assert remix(block, 2) is block


def test_the_front_of_surround_sound_stays_at_its_side() -> None:
    block = np.zeros((6, 100), np.float32)
    block[0] = 0.5
    mixed = remix(block, 2)
    assert mixed.shape == (2, 100)
    assert (mixed[0] > 0.1).all() and not mixed[1].any()
    assert remix(block[:2], 6).shape == (6, 100)


def test_channels_that_nobody_can_name_get_the_mean() -> None:
    block = np.arange(24, dtype=np.float32).reshape(12, 2)
    assert remix(block, 2).tolist() == [[11.0, 12.0]] * 2
