"""Sources that are asked for together share every bin.

Asked one by one, a separator gives the same sound to every query that is like it. Where the masks
of several queries are known, their odds o = m / (1 - m) are compared: a query's share of a bin is
o_k / (1 + sum of o_j), a softmax over the queries and a residual if the masks are sigmoids of
logits. For one query that is its mask; for several, stems never hold more than the mixture.

Where one query is known to be more probable than another, its odds count for more. A network that
is surer of itself than it should be, as those are that know their training recordings by heart, has
``CompetitionRules`` that make less of its odds.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

_MAX_GAIN = 1.0 - 1e-5
_TINY = 1e-12


class CompetitionRules(NamedTuple):
    """What odds count for.

    Attributes:
        sharpness: the exponent of each query's odds, before priors; the inverse of a temperature.
        rest: the odds of the residual.
    """

    sharpness: float = 1.0
    rest: float = 1.0


PLAIN = CompetitionRules()


def compete(masks: Tensor, priors: Tensor | None = None, rules: CompetitionRules = PLAIN) -> Tensor:
    """Share the bins of a segment out among its queries and a residual.

    Args:
        masks: (..., K, bins, F) of K queries, complex or real and not negative; magnitudes above 1
            count as 1.
        priors: (..., K) above 0, how probable each query is; odds are multiplied by their ratio to
            the highest. None if all are alike.
        rules: what odds count for.

    Returns:
        The same shape, of the same phases. The magnitudes of a bin add up to less than 1, but for
        one query, whose mask stays as it is.
    """
    if masks.shape[-3] == 1:
        return masks
    magnitudes = masks.abs() if masks.is_complex() else masks
    gains = magnitudes.clamp(max=_MAX_GAIN)
    odds = gains / (1.0 - gains)
    if rules.sharpness != 1.0:
        odds = odds**rules.sharpness
    if priors is not None:
        odds = odds * (priors / priors.amax(dim=-1, keepdim=True))[..., None, None]
    shares = odds / (rules.rest + odds.sum(dim=-3, keepdim=True))
    if not masks.is_complex():
        return shares
    return masks * (shares / magnitudes.clamp(min=_TINY))


def compete_in_groups(
    masks: Tensor, sizes: list[int], priors: Tensor, rules: CompetitionRules = PLAIN
) -> Tensor:
    """Let the queries of each of several segments compete; see ``compete``.

    Args:
        masks: (sum of K, bins, F) complex.
        sizes: K of each segment.
        priors: (sum of K,).
        rules: what odds count for.
    """
    groups = zip(masks.split(sizes), priors.split(sizes), strict=True)
    return torch.cat([compete(group, prior, rules) for group, prior in groups])
