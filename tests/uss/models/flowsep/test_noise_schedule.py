"""Diffusion's noises, and the way back, against closed forms."""

import itertools
import math

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.text_models import noise
from uss.models.flowsep.noise_schedule import NUM_NOISES, denoise, kept_power, noise_loss, noised

SHAPE = (2, 3, 4)


def kept(time: Tensor) -> Tensor:
    return torch.from_numpy(kept_power())[time.long()].float()[:, None, None]


def test_each_noise_leaves_less_of_the_data() -> None:
    power = kept_power()
    assert power.shape == (NUM_NOISES,) and (np.diff(power) < 0.0).all()
    # The first and the last beta of the configuration, and one in the middle of their roots.
    assert 1.0 - power[0] == pytest.approx(0.0015)
    assert 1.0 - power[-1] / power[-2] == pytest.approx(0.0195)
    root = math.sqrt(0.0015) + 300 / 999 * (math.sqrt(0.0195) - math.sqrt(0.0015))
    assert 1.0 - power[300] / power[299] == pytest.approx(root**2)


def test_noised_data_keep_their_power() -> None:
    data, added = noise(0, (4, 1, 20_000)), noise(1, (4, 1, 20_000))
    mixed = noised(data, added, torch.tensor([0, 200, 700, 999]))
    np.testing.assert_allclose(mixed.std(dim=2).flatten(), 1.0, atol=0.03)
    share = (mixed * added).mean(dim=2).flatten()
    np.testing.assert_allclose(share**2, 1.0 - kept_power()[[0, 200, 700, 999]], atol=0.03)


@pytest.mark.parametrize("num_steps", [1, 7, 50, 1000])
def test_who_knows_the_data_finds_them(num_steps: int) -> None:
    data = noise(2, SHAPE)

    def predict(state: Tensor, time: Tensor) -> Tensor:
        return (state - kept(time).sqrt() * data) / (1.0 - kept(time)).sqrt()

    found = denoise(predict, noise(3, SHAPE), num_steps)
    # The first step divides by the root of what is kept, 0.07.
    torch.testing.assert_close(found, data, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("num_steps", [2, 10])
def test_of_normal_data_the_way_turns_by_angles(num_steps: int) -> None:
    """The best guess of the noise is sqrt(1 - kept) x; each step then is cos(angle) x."""
    start = noise(4, SHAPE)
    seen: list[int] = []

    def predict(state: Tensor, time: Tensor) -> Tensor:
        seen.append(int(time[0]))
        return (1.0 - kept(time)).sqrt() * state

    found = denoise(predict, start, num_steps)
    assert len(seen) == num_steps and seen[0] == NUM_NOISES - 1
    assert seen == sorted(seen, reverse=True)
    angles = [math.acos(math.sqrt(kept_power()[number])) for number in seen] + [0.0]
    turned = math.prod(math.cos(a - b) for a, b in itertools.pairwise(angles))
    torch.testing.assert_close(found, turned * start)


def test_the_loss_is_that_of_the_noise() -> None:
    data, added, number = noise(5, SHAPE), noise(6, SHAPE), torch.tensor([3, 900])
    assert float(noise_loss(lambda x, t: added, data, added, number)) == 0.0
    told: list[Tensor] = []

    def silent(state: Tensor, time: Tensor) -> Tensor:
        told.extend([state, time])
        return torch.zeros_like(state)

    assert float(noise_loss(silent, data, added, number)) == pytest.approx(
        float(added.square().mean())
    )
    torch.testing.assert_close(told[0], noised(data, added, number))
    assert told[1].tolist() == [3.0, 900.0]


@pytest.mark.parametrize(("num_steps", "said"), [(0, "0 steps"), (1001, "1001 steps for 1000")])
def test_impossible_numbers_of_steps_are_refused(num_steps: int, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        denoise(lambda x, t: x, noise(7, SHAPE), num_steps)
