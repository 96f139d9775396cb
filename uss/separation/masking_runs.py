"""How a network is run for the masks of many pairs of segment and query."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from itertools import groupby
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from uss.core.arrays import Float32
from uss.core.runtime import Runtime
from uss.models import MaskModel
from uss.models.masking import MaskNetwork
from uss.separation.compiling import LazyCompiler

Encoded = tuple[Tensor, ...]


class Pair(NamedTuple):
    """A segment and what it is asked with.

    Attributes:
        encoded: the parts of the segment's encoding, without the axis B; the same object for all
            pairs of a segment.
        condition: (H,).
    """

    encoded: Encoded
    condition: Float32


class MaskingRuns(ABC):
    """Runs a network for its masks."""

    compiler: LazyCompiler | None = None

    @abstractmethod
    def __call__(self, pairs: Sequence[Pair]) -> Tensor:
        """(B, bins, F) masks of B pairs, in their order; complex, or real gains."""

    @classmethod
    def of(cls, model: MaskModel, runtime: Runtime) -> MaskingRuns:
        """Choose the way in which a model does its work."""
        if isinstance(model, MaskNetwork) and model.looks_once:
            return _BySegment(model, runtime)
        return _ByPair(model, runtime)


class _ByPair(MaskingRuns):
    """Where a query is the work: full batches of pairs, compiled if that pays.

    Conditions are often the same in neighbouring segments, so each distinct one is modulated once.
    """

    compiler: LazyCompiler

    def __init__(self, model: MaskModel, runtime: Runtime) -> None:
        self._model = model
        self._runtime = runtime
        self.compiler = LazyCompiler(model.mask, runtime.device)
        self._modulation_key = b""
        self._modulation: Any = None

    def __call__(self, pairs: Sequence[Pair]) -> Tensor:
        size = self._runtime.batch_size
        masks = []
        for start in range(0, len(pairs), size):
            some = pairs[start : start + size]
            modulation = self._modulate(np.stack([pair.condition for pair in some]))
            parts = zip(*(pair.encoded for pair in some), strict=True)
            encoded = _as_given(tuple(map(torch.stack, parts)))
            run = self.compiler.mask if len(some) == size else self._model.mask
            with self._runtime.autocast():
                masks.append(run(encoded, modulation))
        return torch.cat(masks)

    def _modulate(self, conditions: Float32) -> Any:
        distinct, rows = np.unique(conditions, axis=0, return_inverse=True)
        key = distinct.tobytes()
        if key != self._modulation_key:
            given = torch.from_numpy(distinct).to(self._runtime.device)
            self._modulation = self._model.modulate(given)
            self._modulation_key = key
        index = torch.from_numpy(rows.reshape(-1)).to(self._runtime.device)
        return tuple(part[index] for part in self._modulation)


class _BySegment(MaskingRuns):
    """Where the encoding was the work: all queries of a segment in one call."""

    def __init__(self, model: MaskNetwork, runtime: Runtime) -> None:
        self._model = model
        self._runtime = runtime

    def __call__(self, pairs: Sequence[Pair]) -> Tensor:
        masks = []
        for _, same in groupby(pairs, key=lambda pair: id(pair.encoded)):
            of_segment = list(same)
            conditions = torch.from_numpy(np.stack([pair.condition for pair in of_segment]))
            encoded = _as_given(tuple(part[None] for part in of_segment[0].encoded))
            with self._runtime.autocast():
                asked = conditions.to(self._runtime.device)[None]
                masks.append(self._model.masks(encoded, asked)[0])
        return torch.cat(masks)


def _as_given(parts: Encoded) -> Any:
    """Undo that an encoding of one tensor was taken for a tuple."""
    return parts if len(parts) > 1 else parts[0]
