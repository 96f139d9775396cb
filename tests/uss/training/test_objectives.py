"""The joint error, against the same computed bin by bin."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from uss.core.errors import InputError
from uss.data.dataset import Batch
from uss.data.joint import JointBatch
from uss.models import QueryUNet, ResUNet
from uss.models.competition import compete
from uss.training.objectives import JointError

SMALL: dict[str, Any] = {"channels": (2, 3), "fold": 2, "n_fft": 64, "hop_length": 16}
QUERY: dict[str, Any] = SMALL | {"query_size": 8, "num_heads": 2, "num_maps": 3, "ear_width": None}


def batch_of(num_mixtures: int = 3, num_queries: int = 4) -> JointBatch:
    generator = torch.Generator().manual_seed(0)
    targets = torch.randn(num_mixtures, num_queries, 640, generator=generator)
    targets[:, -1] = 0.0
    is_asked = torch.ones(num_mixtures, num_queries, dtype=torch.bool)
    is_asked[0, 1] = False
    conditions = torch.randn(num_mixtures, num_queries, 5, generator=generator)
    return JointBatch(targets.sum(dim=1, keepdim=True), targets, conditions, is_asked)


class Gains(ResUNet):
    """Masks are what the first number of the condition says, turned by the second."""

    def modulate(self, condition: Tensor) -> tuple[Tensor, ...]:
        return (condition[:, :2, None, None],)

    def mask(self, encoded: Tensor, modulation: Any) -> Tensor:
        (numbers,) = modulation
        ones = torch.ones(len(encoded), self.n_fft // 2 + 1, encoded.shape[-1])
        return torch.polar(ones * numbers[:, 0], ones * numbers[:, 1])


def test_a_perfect_answer_costs_the_floor() -> None:
    """One source, whose query takes all: no error is left but the floor's."""
    batch = batch_of(2, 2)
    targets = batch.targets.clone()
    targets[:, 0] = batch.mixture[:, 0]
    conditions = torch.tensor([1.0, 0.0, 0.0, 0.0, 0.0]).repeat(2, 2, 1)
    asked = torch.tensor([[True, False]] * 2)
    losses = JointError(floor=0.01)(
        Gains("s", 5, **SMALL), JointBatch(batch.mixture, targets, conditions, asked)
    )
    assert losses["loss"].item() == pytest.approx(-20.0, abs=0.01)
    assert losses["present"].item() < -60.0
    assert losses["absent"].item() == 0.0


def test_silence_costs_every_source_its_energy() -> None:
    batch = batch_of()
    conditions = torch.zeros_like(batch.conditions)
    losses = JointError(quiet=0.25, floor=0.01)(
        Gains("s", 5, **SMALL), batch._replace(conditions=conditions)
    )
    model = Gains("s", 5, **SMALL)
    energy = model.spectrogram(batch.targets).abs().square().sum(dim=(2, 3))
    total = model.spectrogram(batch.mixture[:, 0]).abs().square().sum(dim=(1, 2))[:, None]
    share = energy / total
    expected = (share / (share + 0.25) * batch.is_asked).sum(dim=1)
    assert losses["loss"].item() == pytest.approx(
        (10.0 * torch.log10(expected + 0.01)).mean().item(), rel=1e-4
    )
    assert losses["present"].item() == pytest.approx(0.0, abs=1e-3)


def test_real_and_complex_masks_are_measured_alike() -> None:
    batch = batch_of()
    real = QueryUNet("s", 5, **QUERY).eval()

    class AsComplex(QueryUNet):
        def shares(self, encoded: Any, conditions: Tensor, is_asked: Tensor) -> Tensor:
            gains = real.shares(encoded, conditions, is_asked)
            return torch.complex(gains, torch.zeros_like(gains))

    turned = AsComplex("s", 5, **QUERY).eval()
    turned.load_state_dict(real.state_dict())
    with torch.no_grad():
        first, second = JointError()(real, batch), JointError()(turned, batch)
    for name, value in first.items():
        assert second[name].item() == pytest.approx(value.item(), abs=1e-2), name


def test_who_is_not_asked_does_not_compete() -> None:
    batch = batch_of()
    model = QueryUNet("s", 5, **QUERY).eval()
    changed = batch.conditions.clone()
    changed[0, 1] += 3.0
    with torch.no_grad():
        first = JointError()(model, batch)["loss"]
        again = JointError()(model, batch._replace(conditions=changed))["loss"]
    assert torch.equal(first, again)


def test_the_error_is_that_of_the_shares() -> None:
    """Against the definition, on complex spectrograms."""
    batch = batch_of()._replace(is_asked=torch.ones(3, 4, dtype=torch.bool))
    model = QueryUNet("s", 5, **QUERY).eval()
    with torch.no_grad():
        mixture = model.spectrogram(batch.mixture[:, 0])
        targets = model.spectrogram(batch.targets)
        shares = compete(model.masks(model.encode(mixture), batch.conditions))
        error = (shares * mixture[:, None] - targets).abs().square().sum(dim=(2, 3))
        total = mixture.abs().square().sum(dim=(1, 2))[:, None]
        losses = JointError(absent=0.5)(model, batch)
    weight = 1.0 / (targets.abs().square().sum(dim=(2, 3)) / total + 0.25)
    weight[:, -1] = 0.5
    expected = 10.0 * torch.log10((error / total * weight).sum(dim=1) + 0.01).mean()
    assert losses["loss"].item() == pytest.approx(expected.item(), rel=1e-4)
    absent = 10.0 * torch.log10((error / total)[:, -1]).mean()
    assert losses["absent"].item() == pytest.approx(absent.item(), rel=1e-3)


def test_a_step_lowers_it() -> None:
    torch.manual_seed(0)
    batch = batch_of()
    model = QueryUNet("s", 5, **QUERY)
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-2)
    values = []
    for _ in range(12):
        loss = JointError()(model, batch)["loss"]
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        values.append(loss.item())
    assert math.isfinite(values[-1]) and values[-1] < values[0] - 0.1


def test_what_cannot_be_trained_jointly_is_refused() -> None:
    single = Batch(torch.zeros(1, 1, 64), torch.zeros(1, 1, 64), torch.zeros(1, 5))
    with pytest.raises(InputError, match=r"set data\.joint"):
        JointError()(QueryUNet("s", 5, **QUERY), single)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="all must be positive"):
        JointError(quiet=0.0)
