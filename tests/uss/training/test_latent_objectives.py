"""Errors of generative separators, against networks that know the answer."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.flowsep_files import small
from tests.text_models import noise
from tests.uss.models.flowsep.test_latent_separator import diffusion
from uss.data.dataset import Batch
from uss.data.validation_mixtures import ValidationBatch
from uss.models import FlowSep
from uss.models.flowsep.magnitude_mel import levelled
from uss.models.flowsep.noise_schedule import noised
from uss.models.flowsep.rectified_flow import on_the_way, velocity_of
from uss.training.latent_objectives import Draws, FlowError, NoiseError

SEGMENT, SHAPE = 5_120, (8, 8, 16)
SEEDS = torch.tensor([5, 2**62, 7])


def batch_of(size: int = 3) -> Batch:
    target = noise(1, (size, 1, SEGMENT), 0.05)
    mixture = target + noise(2, (size, 1, SEGMENT), 0.05)
    return Batch(mixture, target, noise(3, (size, 6)), SEEDS[:size])


def rows_of(batch: Batch, rows: slice) -> Batch:
    return Batch(*(part[rows] for part in batch if part is not None))


@pytest.fixture
def network() -> FlowSep:
    return small()


def latents(model: Any, batch: Batch, draws: Draws) -> tuple[Tensor, Tensor]:
    """Of mixtures and targets, as they must be heard."""
    mixture, gain = levelled(batch.mixture[:, 0])
    target = batch.target[:, 0]
    target = (target - target.mean(dim=1, keepdim=True)) * gain[:, None]
    first, second = draws.posteriors
    return model.latent(mixture, first), model.latent(target, second)


def test_draws_are_each_seeds_own() -> None:
    draws = Draws.of(SEEDS, SHAPE)
    assert draws.posteriors.shape == (2, 3, *SHAPE) and draws.noise.shape == (3, *SHAPE)
    alone = Draws.of(SEEDS[1:2], SHAPE)
    assert torch.equal(draws.posteriors[:, 1:2], alone.posteriors)
    for part, own in zip(draws[1:], alone[1:], strict=True):
        assert torch.equal(part[1:2], own)
    assert bool(((draws.time >= 0) & (draws.time < 1)).all())
    every = torch.cat([*draws.posteriors, draws.noise])
    assert abs(float(every.mean())) < 0.02 and float(every.std()) == pytest.approx(1.0, abs=0.02)
    # Nothing is drawn twice.
    assert len(every.flatten(1).unique(dim=0)) == 9


@pytest.mark.parametrize("kind", ["flow", "noise"])
def test_a_network_that_knows_has_no_error(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model: Any = small() if kind == "flow" else diffusion()
    objective: Any = FlowError() if kind == "flow" else NoiseError()
    batch, draws = batch_of(), Draws.of(SEEDS, SHAPE)
    with torch.no_grad():
        heard, wanted = latents(model, batch, draws)
    number = (1000 * draws.time).long()

    def knows(state: Tensor, time: Tensor, mixture: Tensor, condition: Tensor) -> Tensor:
        torch.testing.assert_close(mixture, heard)
        if kind == "flow":
            torch.testing.assert_close(time, draws.time)
            torch.testing.assert_close(state, on_the_way(wanted, draws.noise, time))
            return velocity_of(wanted, draws.noise)
        assert time.tolist() == number.tolist()
        torch.testing.assert_close(state, noised(wanted, draws.noise, number))
        return draws.noise

    monkeypatch.setattr(model, "predict", knows)
    assert float(objective(model, batch)["loss"]) == pytest.approx(0.0, abs=1e-10)


@torch.no_grad()
def test_the_loss_of_a_batch_is_the_mean_of_its_rows(network: FlowSep) -> None:
    """So several processes compute what one would."""
    batch = batch_of()
    whole = float(FlowError()(network, batch)["loss"])
    each = [float(FlowError()(network, rows_of(batch, slice(i, i + 1)))["loss"]) for i in range(3)]
    assert whole == pytest.approx(np.mean(each), rel=1e-5)
    assert whole == float(FlowError()(network, batch)["loss"])
    assert whole != float(FlowError()(network, batch._replace(seeds=SEEDS + 1))["loss"])


@torch.no_grad()
def test_some_rows_are_asked_for_nothing(network: FlowSep, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Tensor] = []
    predict = network.predict

    def noted(state: Tensor, time: Tensor, mixture: Tensor, condition: Tensor) -> Tensor:
        asked.append(condition)
        return predict(state, time, mixture, condition)

    monkeypatch.setattr(network, "predict", noted)
    network.tokens.mean.fill_(0.25)
    batch, chance = batch_of(), Draws.of(SEEDS, SHAPE).chance
    half = float(chance.median()) + 1e-6
    for unasked in (0.0, half, 1.0):
        FlowError(unasked)(network, batch)
    assert torch.equal(asked[0], batch.condition)
    is_dropped = chance < half
    assert int(is_dropped.sum()) == 2
    assert bool((asked[1][is_dropped] == 0.25).all())
    assert torch.equal(asked[1][~is_dropped], batch.condition[~is_dropped])
    assert bool((asked[2] == 0.25).all())


def test_the_level_of_the_mixture_does_not_matter(network: FlowSep) -> None:
    batch = batch_of()
    louder = batch._replace(mixture=4.0 * batch.mixture, target=4.0 * batch.target)
    with torch.no_grad():
        first, second = (float(FlowError()(network, each)["loss"]) for each in (batch, louder))
    assert first == pytest.approx(second, rel=1e-4)


@torch.no_grad()
def test_validation_asks_rightly_and_wrongly(network: FlowSep) -> None:
    batch = batch_of()
    conditions = [noise(seed, (3, 6)) for seed in range(10, 15)]
    given = ValidationBatch(
        batch.mixture,
        batch.target,
        batch.mixture - batch.target,
        *conditions,
        torch.zeros(3, 3, dtype=torch.int64),
    )
    figures = FlowError().measured(network, given, SEEDS)
    names = ["oracle", "class average", "asked for the other"]
    assert list(figures) == [f"error {name}" for name in names]
    for value, condition in zip(figures.values(), conditions, strict=False):
        alone = FlowError(0.0)(network, batch._replace(condition=condition))["loss"]
        assert float(value) == pytest.approx(float(alone))
    assert len({float(value) for value in figures.values()}) == 3


def test_only_the_unet_learns(network: FlowSep) -> None:
    assert FlowError().trained(network) == [network.unet]


def test_what_does_not_fit_is_refused(network: FlowSep) -> None:
    with pytest.raises(ValueError, match="FlowError trains a FlowSep, not a DiffusionSep"):
        FlowError()(diffusion(), batch_of())
    with pytest.raises(ValueError, match=r"with one target; leave out data\.joint"):
        FlowError()(network, ("a", "joint", "batch"))
    with pytest.raises(ValueError, match=r"unasked -0.1"):
        FlowError(-0.1)
