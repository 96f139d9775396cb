import math
from itertools import product

import pytest
import torch

from uss.data.clip_mixtures import MixtureOfMixtures
from uss.models import BlindUNet
from uss.training.mixit import MixIT, assignments, best_assignment

THRESHOLD = 1e-3


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.manual_seed(seed))


def test_there_are_2_to_the_m_ways_each_stem_in_one_mixture() -> None:
    ways = assignments(3)
    assert ways.shape == (8, 2, 3)
    assert torch.equal(ways.sum(dim=1), torch.ones(8, 3))
    assert len({tuple(way.flatten().tolist()) for way in ways}) == 8


@pytest.mark.parametrize("num_stems", [2, 4, 8])
def test_the_best_way_is_that_of_a_search_one_by_one(num_stems: int) -> None:
    stems, parts = noise(5, num_stems, 50), noise(5, 2, 50, seed=1)
    # Parts that some of the stems make up nearly, so that losses differ by a lot.
    parts[0, 0] = stems[0, 0] + 0.1 * parts[0, 0]
    found = best_assignment(stems, parts, THRESHOLD)
    for row in range(5):
        losses = {}
        for chosen in product((1.0, 0.0), repeat=num_stems):
            weights = torch.tensor([chosen, [1.0 - each for each in chosen]])
            errors = (weights @ stems[row] - parts[row]).square().sum(dim=1)
            energies = parts[row].square().sum(dim=1)
            losses[chosen] = torch.log10(errors / energies + THRESHOLD).sum().item()
        assert tuple(found[row, 0].tolist()) == min(losses, key=losses.__getitem__)
        assert torch.equal(found[row].sum(dim=0), torch.ones(num_stems))


class Given(BlindUNet):
    """Gives the stems that it was told."""

    def __init__(self, given: torch.Tensor) -> None:
        super().__init__(given.shape[1], channels=(4,), n_fft=256)
        self.given = torch.nn.Parameter(given)

    def stems(self, mixture: torch.Tensor) -> torch.Tensor:
        return self.given


def test_stems_that_make_up_the_mixtures_reach_the_threshold_and_learn_no_more() -> None:
    sources = noise(3, 4, 200)
    parts = torch.stack([sources[:, 1] + sources[:, 3], sources[:, 0] + sources[:, 2]], dim=1)
    batch = MixtureOfMixtures(parts.sum(dim=1, keepdim=True), parts)
    model = Given(sources)
    losses = MixIT()(model, batch)
    assert losses["loss"].item() == pytest.approx(-30.0, abs=1e-3)
    losses["loss"].backward()
    assert model.given.grad is not None
    assert model.given.grad.abs().max() < 1e-3


def test_the_loss_is_the_ratio_of_error_and_mixture_in_decibels() -> None:
    """Both stems at 0.9 of their mixture: an error of a tenth, -20 dB."""
    parts = noise(2, 2, 300)
    batch = MixtureOfMixtures(parts.sum(dim=1, keepdim=True), parts)
    losses = MixIT(max_snr_db=200.0)(Given(0.9 * parts), batch)
    assert losses["loss"].item() == pytest.approx(-20.0, abs=1e-3)
    # The mixture itself has the other one as its error.
    energies = parts.square().sum(dim=2)
    before = 10.0 * torch.log10(energies.flip(1) / energies).mean().item()
    assert losses["improvement"].item() == pytest.approx(before + 20.0, abs=1e-3)
    expected = 10.0 * math.log10(0.01 + THRESHOLD)
    assert MixIT()(Given(0.9 * parts), batch)["loss"].item() == pytest.approx(expected, abs=1e-3)


def test_a_silent_mixture_does_not_break_the_loss() -> None:
    parts = torch.stack([noise(2, 300), torch.zeros(2, 300)], dim=1)
    batch = MixtureOfMixtures(parts.sum(dim=1, keepdim=True), parts)
    model = Given(0.5 * parts)
    loss = MixIT()(model, batch)["loss"]
    loss.backward()
    assert math.isfinite(loss.item())
    assert model.given.grad is not None and model.given.grad.isfinite().all()


def test_it_is_refused_for_other_models_and_batches() -> None:
    with pytest.raises(ValueError, match="BlindUNet on mixtures of mixtures"):
        MixIT()(torch.nn.Identity(), None)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="max_snr_db 0"):
        MixIT(max_snr_db=0.0)


def test_under_autocast_the_loss_is_as_exact() -> None:
    parts = noise(2, 2, 300)
    batch = MixtureOfMixtures(parts.sum(dim=1, keepdim=True), parts)
    model, objective = Given(0.9999 * parts), MixIT(max_snr_db=200.0)
    with torch.autocast("cpu", torch.bfloat16):
        assert objective(model, batch)["loss"].item() == pytest.approx(-80.0, abs=0.1)


def test_it_learns_to_take_mixtures_apart() -> None:
    """Tones of two bands, never alone: after some steps the loss is far below its beginning."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = BlindUNet(2, channels=(8, 8), fold=1, n_fft=128, hop_length=64)
        optimiser = torch.optim.Adam(model.parameters(), 1e-2)
        first = last = 0.0
        for step in range(60):
            times = torch.arange(2_000) / 8_000.0
            hz = torch.stack(
                [torch.empty(8).uniform_(*band) for band in ((200, 900), (1800, 3500))]
            )
            parts = torch.sin(2 * math.pi * hz.T[:, :, None] * times)
            losses = MixIT()(model, MixtureOfMixtures(parts.sum(dim=1, keepdim=True), parts))
            optimiser.zero_grad()
            losses["loss"].backward()
            optimiser.step()
            first, last = (losses["loss"].item() if step == 0 else first), losses["loss"].item()
    assert last < first - 6.0
