"""Bi-modal contrast: every estimate is to be told from the others by what was asked for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor


class Pairs(NamedTuple):
    """What was separated, and what was asked for.

    Attributes:
        heard: (M, D) of unit length, of the estimates; with a gradient.
        said: (M, D) of unit length, of the phrases.
        phrases: (M,) int64, the same for the same phrase.
        is_understood: (M,) bool; the others count as nothing.
    """

    heard: Tensor
    said: Tensor
    phrases: Tensor
    is_understood: Tensor


@dataclass(frozen=True)
class Contrast:
    """Cross-entropy of scores with what belongs together (Mahmud et al. 2024).

    As published, all other phrases of the batch are negatives, even the same phrase asked for
    twice; estimates choose among phrases, and not the other way round; every process for itself.

    Attributes:
        mask_duplicates: the same phrase is no negative.
        symmetric: phrases also choose among estimates; the mean of both counts.
        gather: the phrases and estimates of all processes are negatives, so that these compute what
            one would with the whole batch.
    """

    mask_duplicates: bool = False
    symmetric: bool = False
    gather: bool = False

    def __call__(self, pairs: Pairs, scale: float) -> Tensor:
        """Score all phrases for every estimate, and compare.

        Args:
            pairs: of this process.
            scale: of scores, which are cosines times this.

        Returns:
            A scalar, the mean over M; 0 where no phrase has another to be told from.
        """
        every, first = pairs, 0
        if self.gather and dist.is_available() and dist.is_initialized():
            every, first = _gathered(pairs), dist.get_rank() * len(pairs.heard)
        numbers = torch.arange(len(every.phrases), device=pairs.heard.device)
        own = numbers[first : first + len(pairs.heard)]
        loss = _chosen(scale * pairs.heard @ every.said.T, self._excluded(every, own), own)
        loss = (loss * pairs.is_understood).mean()
        if self.symmetric:
            scores = scale * every.said @ every.heard.T
            backward = _chosen(scores, self._excluded(every, numbers), numbers)
            loss = 0.5 * (loss + (backward * every.is_understood).mean())
        return loss

    def _excluded(self, every: Pairs, own: Tensor) -> Tensor:
        """(rows, all) bool, what is no negative of the rows ``own``; they choose themselves."""
        excluded = ~every.is_understood[None].expand(len(own), -1)
        if self.mask_duplicates:
            excluded = excluded | (every.phrases[own, None] == every.phrases[None])
        return excluded & ~F.one_hot(own, len(every.phrases)).bool()


def _chosen(scores: Tensor, excluded: Tensor, own: Tensor) -> Tensor:
    return F.cross_entropy(scores.masked_fill(excluded, -torch.inf), own, reduction="none")


def _gathered(pairs: Pairs) -> Pairs:
    """Join the pairs of all processes, by rank.

    Only this process's estimates have a gradient, as many times as there are processes: each
    computes the whole sum over phrases, and what they find is averaged.
    """
    heard, said, phrases, understood = (_all(each) for each in pairs)
    own = pairs.heard
    heard[dist.get_rank()] = own + (dist.get_world_size() - 1) * (own - own.detach())
    return Pairs(torch.cat(heard), torch.cat(said), torch.cat(phrases), torch.cat(understood))


def _all(tensor: Tensor) -> list[Tensor]:
    found = [torch.empty_like(tensor) for _ in range(dist.get_world_size())]
    dist.all_gather(found, tensor.detach().contiguous())
    return found
