"""Contrast of estimates and phrases: by hand, and in several processes."""

import math
import os
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.multiprocessing as mp
import torch.nn.functional as F
from torch import Tensor

from uss.training.contrast import Contrast, Pairs

SCALE = 2.0
EVERYTHING = Contrast(mask_duplicates=True, symmetric=True, gather=True)


def pairs(numbers: list[int] | None = None, count: int = 4, seed: int = 0) -> Pairs:
    generator = torch.Generator().manual_seed(seed)
    heard, said = (
        F.normalize(torch.randn(count, 3, generator=generator), dim=-1) for _ in range(2)
    )
    phrases = torch.tensor(range(count) if numbers is None else numbers)
    return Pairs(heard, said, phrases, torch.ones(count, dtype=torch.bool))


def by_hand(made: Pairs, rows: list[list[int]], columns: list[list[int]] | None = None) -> float:
    """Mean of log-sum-exp over those that count, less the own score."""
    scores = SCALE * made.heard @ made.said.T
    found = [
        float(torch.logsumexp(scores[row, others], 0) - scores[row, row])
        for row, others in enumerate(rows)
    ]
    if columns is not None:
        found = [
            0.5 * each + 0.5 * float(torch.logsumexp(scores[others, row], 0) - scores[row, row])
            for row, (each, others) in enumerate(zip(found, columns, strict=True))
        ]
    return sum(found) / len(found)


def test_as_published_all_others_are_negatives() -> None:
    every = [[0, 1, 2, 3]] * 4
    for numbers in (None, [7, 7, 7, 7]):
        made = pairs(numbers)
        assert float(Contrast()(made, SCALE)) == pytest.approx(by_hand(made, every), rel=1e-6)
        both = Contrast(symmetric=True)(made, SCALE)
        assert float(both) == pytest.approx(by_hand(made, every, every), rel=1e-6)


def test_the_same_phrase_is_no_negative_of_itself() -> None:
    made = pairs([5, 6, 5, 7])
    others = [[0, 1, 3], [0, 1, 2, 3], [1, 2, 3], [0, 1, 2, 3]]
    masked = Contrast(mask_duplicates=True)
    assert float(masked(made, SCALE)) == pytest.approx(by_hand(made, others), rel=1e-6)
    both = Contrast(mask_duplicates=True, symmetric=True)
    assert float(both(made, SCALE)) == pytest.approx(by_hand(made, others, others), rel=1e-6)


def test_all_alike_gives_zero_and_no_gradient() -> None:
    made = pairs([5, 5, 5, 5])
    heard = made.heard.clone().requires_grad_(True)
    loss = EVERYTHING(made._replace(heard=heard), SCALE)
    loss.backward()
    assert float(loss.detach()) == 0.0 and not heard.grad.any()  # type: ignore[union-attr]


def test_what_is_not_understood_is_no_negative_and_has_no_loss() -> None:
    made = pairs()
    known = torch.tensor([True, True, False, True])
    rows = [[0, 1, 3], [0, 1, 3], [2], [0, 1, 3]]
    got = Contrast()(made._replace(is_understood=known), SCALE)
    assert float(got) == pytest.approx(by_hand(made, rows), rel=1e-6)


def test_one_pair_has_nothing_to_be_told_from() -> None:
    assert float(Contrast()(pairs(count=1), SCALE)) == 0.0


def test_a_perfect_judge_leaves_what_the_scale_leaves() -> None:
    same = torch.eye(4)
    made = Pairs(same, same, torch.arange(4), torch.ones(4, dtype=torch.bool))
    expected = math.log(math.exp(SCALE) + 3.0) - SCALE
    for contrast in (Contrast(), EVERYTHING):
        assert float(contrast(made, SCALE)) == pytest.approx(expected, rel=1e-6)


def _trained(heard: Tensor, made: Pairs, contrast: Contrast) -> tuple[float, Any]:
    weight = torch.eye(3).requires_grad_(True)
    loss = contrast(made._replace(heard=F.normalize(heard @ weight, dim=-1)), SCALE)
    loss.backward()
    return float(loss.detach()), weight.grad


def _process(rank: int, folder: str, contrast: Contrast) -> None:
    torch.distributed.init_process_group(
        "gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2
    )
    made = pairs([1, 2, 1, 3])
    share = Pairs(*(each[2 * rank : 2 * rank + 2] for each in made))
    torch.save(_trained(share.heard, share, contrast), f"{folder}/{rank}.pt")
    torch.distributed.barrier()
    torch.distributed.destroy_process_group()
    # Threads of the group may still run, which ends a process that leaves the usual way.
    os._exit(0)


@pytest.mark.slow
def test_two_processes_compute_what_one_would(tmp_path: Path) -> None:
    made = pairs([1, 2, 1, 3])
    loss, gradient = _trained(made.heard, made, EVERYTHING)
    mp.spawn(_process, (str(tmp_path), EVERYTHING), nprocs=2)  # type: ignore[no-untyped-call]
    parts = [torch.load(tmp_path / f"{rank}.pt") for rank in range(2)]
    assert sum(each for each, _ in parts) / 2 == pytest.approx(loss, rel=1e-6)
    torch.testing.assert_close((parts[0][1] + parts[1][1]) / 2, gradient)
