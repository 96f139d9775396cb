"""Sharing bins: a softmax over the queries and a residual."""

import pytest
import torch

from uss.models.competition import CompetitionRules, compete, compete_in_groups


def masks_of(gains: torch.Tensor, angle: float = 0.7) -> torch.Tensor:
    return torch.polar(gains, torch.full_like(gains, angle))


def test_it_is_the_softmax_of_the_logits_and_a_zero() -> None:
    logits = 2.0 * torch.randn(3, 5, 7, generator=torch.Generator().manual_seed(0))
    shared = compete(masks_of(torch.sigmoid(logits)))
    with_residual = torch.cat([logits, torch.zeros(1, 5, 7)])
    expected = torch.softmax(with_residual, dim=0)[:3]
    torch.testing.assert_close(shared.abs(), expected, rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(shared.angle(), torch.full((3, 5, 7), 0.7), rtol=1e-4, atol=1e-4)


def test_one_query_keeps_its_mask() -> None:
    mask = masks_of(torch.tensor([[[0.0, 0.5, 1.0, 1.5]]]))
    assert compete(mask) is mask


@pytest.mark.parametrize(
    "gains, expected",
    [
        ([0.5, 0.5], [1 / 3, 1 / 3]),
        ([0.9, 0.0], [0.9, 0.0]),
        ([0.75, 0.5], [3 / 5, 1 / 5]),
        ([1.0, 1.0], [0.5, 0.5]),
        ([2.0, 0.0], [1.0, 0.0]),
    ],
)
def test_shares_by_hand(gains: list[float], expected: list[float]) -> None:
    """Odds of 1, 1 and the residual's 1; of 9; of 3 and 1; of endless ones; above 1."""
    shared = compete(masks_of(torch.tensor(gains)[:, None, None]))
    torch.testing.assert_close(shared.abs().flatten(), torch.tensor(expected), rtol=1e-4, atol=1e-4)


def test_nothing_is_given_twice() -> None:
    gains = torch.rand(6, 9, 4, generator=torch.Generator().manual_seed(1))
    assert compete(masks_of(gains)).abs().sum(dim=0).max() < 1.0


def test_groups_do_not_touch_each_other() -> None:
    gains = torch.rand(5, 3, 2, generator=torch.Generator().manual_seed(2))
    masks = masks_of(gains)
    priors = torch.tensor([0.5, 0.5, 0.1, 0.2, 0.8])
    together = compete_in_groups(masks, [2, 1, 2], priors)
    claims = torch.tensor([0.25, 1.0])
    apart = torch.cat([compete(masks[:2]), masks[2:3], compete(masks[3:], claims)])
    assert torch.equal(together, apart)


@pytest.mark.parametrize(
    "gains, priors, expected",
    [
        ([0.5, 0.5], [0.8, 0.4], [2 / 5, 1 / 5]),
        ([0.5, 0.5], [0.01, 0.01], [1 / 3, 1 / 3]),
        ([0.75, 0.75], [0.2, 0.6], [1 / 5, 3 / 5]),
        ([1.0, 1.0], [0.1, 0.9], [0.1, 0.9]),
    ],
)
def test_the_more_probable_query_claims_more(
    gains: list[float], priors: list[float], expected: list[float]
) -> None:
    """Odds of 1, and half of 1; both alike; of 3, and a third of 3; of endless ones."""
    masks = masks_of(torch.tensor(gains)[:, None, None])
    shared = compete(masks, torch.tensor(priors))
    torch.testing.assert_close(shared.abs().flatten(), torch.tensor(expected), rtol=1e-4, atol=1e-4)


def test_less_is_made_of_odds_by_rules() -> None:
    """Odds of 9 and 1 count as 3 and 1 at half the sharpness, against half a residual."""
    masks = masks_of(torch.tensor([0.9, 0.5])[:, None, None])
    shared = compete(masks, rules=CompetitionRules(sharpness=0.5, rest=0.5))
    expected = torch.tensor([3 / 4.5, 1 / 4.5])
    torch.testing.assert_close(shared.abs().flatten(), expected, rtol=1e-4, atol=1e-4)
    alone = masks_of(torch.tensor([[[0.9]]]))
    assert compete(alone, rules=CompetitionRules(0.5, 0.5)) is alone


def test_the_rules_are_the_softmax_at_another_temperature() -> None:
    logits = 2.0 * torch.randn(3, 5, 7, generator=torch.Generator().manual_seed(3))
    shared = compete(torch.sigmoid(logits), rules=CompetitionRules(sharpness=0.5))
    expected = torch.softmax(torch.cat([0.5 * logits, torch.zeros(1, 5, 7)]), dim=0)[:3]
    torch.testing.assert_close(shared, expected, rtol=1e-3, atol=1e-4)
