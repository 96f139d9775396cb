"""How each kind of separator is run on pairs: one that masks, draws, or makes waveforms."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain, groupby
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from uss.core.arrays import Float32
from uss.core.lanes import Lanes
from uss.core.runtime import Runtime
from uss.models import GenerativeModel, MaskModel, SeparationModel, SeparatorNetwork
from uss.models.competition import PLAIN, compete_in_groups
from uss.separation.chunk_drawing import Chunk, Drawing, DrawingRuns
from uss.separation.compiling import LazyCompiler
from uss.separation.masking_runs import MaskingRuns, Pair

Deliver = Callable[[Float32], None]


class Owner(Protocol):
    """What asks for pairs, such as the stream of a recording."""

    def fail(self, error: Exception) -> None:
        """Take note that some of the pairs asked for will not come, and why."""


@dataclass(frozen=True)
class Segment:
    """What all stems of a segment share, computed once.

    Attributes:
        waveform: (C, S) float32.
        spectrogram: (C, bins, F) complex; None for models that offer no masks.
        encoded: the parts of the model's encoding of the channels' mean; none likewise. Of a
            generative model, what ``DrawingRuns.listen`` gives.
    """

    waveform: Tensor
    spectrogram: Tensor | None = None
    encoded: tuple[Tensor, ...] = ()


@dataclass(frozen=True)
class WaitingPair:
    """A pair that waits for its batch, and the number of the contest that it takes part in."""

    segment: Segment
    condition: Float32
    deliver: Deliver
    prior: float
    owner: Owner | None
    contest: int


class ModelRuns(ABC):
    """Runs one separator.

    Attributes:
        compiler: of its network, where that pays.
        drawing_runs: of a generative model.
    """

    compiler: LazyCompiler | None = None
    drawing_runs: DrawingRuns | None = None

    @abstractmethod
    def prepare(self, waveforms: Tensor, chunks: Sequence[Chunk]) -> list[Segment]:
        """Transform and encode (N, C, S) segments, each once for all its stems."""

    @abstractmethod
    def separate(self, pairs: Sequence[WaitingPair]) -> Tensor:
        """Separate B pairs; gives the channels of all of them, (sum of C, ...)."""


def lanes_of(model: SeparationModel, runtime: Runtime) -> Lanes:
    """Choose how many parts of a batch are separated side by side.

    Several where the encoding is nearly all of the work. Networks whose work are the queries fill
    all cores by themselves, and onnxruntime has threads of its own.
    """
    if not isinstance(model, SeparatorNetwork) or not model.looks_once:
        return Lanes(1)
    runs_here = next(model.parameters(), None) is not None
    return Lanes.on(runtime.device) if runs_here else Lanes(1)


def runs_of(model: SeparationModel, runtime: Runtime, drawing: Drawing | None) -> ModelRuns:
    """Choose how a model is run."""
    if isinstance(model, GenerativeModel):
        return _Drawings(model, runtime, drawing or Drawing())
    if isinstance(model, MaskModel):
        return _Masks(model, runtime)
    return _Waveforms(model, runtime)


class _Waveforms(ModelRuns):
    """Channels are separated one by one."""

    def __init__(self, model: SeparationModel, runtime: Runtime) -> None:
        self._model = model
        self._runtime = runtime

    def prepare(self, waveforms: Tensor, chunks: Sequence[Chunk]) -> list[Segment]:
        return [Segment(waveform) for waveform in waveforms]

    def separate(self, pairs: Sequence[WaitingPair]) -> Tensor:
        conditions = np.stack([pair.condition for pair in pairs])
        mixture = torch.cat([pair.segment.waveform for pair in pairs])
        given = torch.from_numpy(conditions).to(mixture.device)
        repeated = given.repeat_interleave(_channels(pairs, mixture.device), 0)
        with self._runtime.autocast():
            return self._model(mixture[:, None], repeated)[:, 0]


class _Masks(ModelRuns):
    """One mask serves all channels; in contests it is shared out."""

    def __init__(self, model: MaskModel, runtime: Runtime) -> None:
        self._model = model
        self._rules = model.competition if isinstance(model, SeparatorNetwork) else PLAIN
        self._run = MaskingRuns.of(model, runtime)
        self.compiler = self._run.compiler
        self._lanes = lanes_of(model, runtime)

    def prepare(self, waveforms: Tensor, chunks: Sequence[Chunk]) -> list[Segment]:
        parts = [part for part in waveforms.tensor_split(self._lanes.count) if len(part)]
        return list(chain.from_iterable(self._lanes.map(self._prepare, parts)))

    def separate(self, pairs: Sequence[WaitingPair]) -> Tensor:
        contests = [list(same) for _, same in groupby(pairs, key=lambda pair: pair.contest)]
        size = -(-len(contests) // self._lanes.count)
        parts = [
            list(chain.from_iterable(contests[start : start + size]))
            for start in range(0, len(contests), size)
        ]
        return torch.cat(self._lanes.map(self._separate, parts))

    def _prepare(self, waveforms: Tensor) -> list[Segment]:
        spectrograms = self._model.spectrogram(waveforms)
        encoded = self._model.encode(spectrograms.mean(dim=1))
        parts = encoded if isinstance(encoded, tuple) else (encoded,)
        each = zip(waveforms, spectrograms, zip(*parts, strict=True), strict=True)
        return [Segment(*shared) for shared in each]

    def _separate(self, pairs: Sequence[WaitingPair]) -> Tensor:
        masks = self._masks(pairs)
        spectrograms = torch.cat([_of(pair.segment.spectrogram) for pair in pairs])
        masked = spectrograms * masks.repeat_interleave(_channels(pairs, masks.device), dim=0)
        return self._model.waveform(masked, pairs[0].segment.waveform.shape[-1])

    def _masks(self, pairs: Sequence[WaitingPair]) -> Tensor:
        """(B, bins, F) masks, shared out in contests."""
        masks = self._run([Pair(pair.segment.encoded, pair.condition) for pair in pairs])
        contests = groupby(pairs, key=lambda pair: pair.contest)
        priors = torch.tensor([pair.prior for pair in pairs], device=masks.device)
        sizes = [len(list(members)) for _, members in contests]
        return compete_in_groups(masks, sizes, priors, self._rules)


class _Drawings(ModelRuns):
    """What is given are latents, which are decoded when their neighbours are there."""

    drawing_runs: DrawingRuns

    def __init__(self, model: GenerativeModel, runtime: Runtime, drawing: Drawing) -> None:
        self.drawing_runs = DrawingRuns(model, runtime, drawing)

    def prepare(self, waveforms: Tensor, chunks: Sequence[Chunk]) -> list[Segment]:
        heard = self.drawing_runs.listen(waveforms, chunks)
        return [
            Segment(waveform, encoded=each) for waveform, each in zip(waveforms, heard, strict=True)
        ]

    def separate(self, pairs: Sequence[WaitingPair]) -> Tensor:
        conditions = np.stack([pair.condition for pair in pairs])
        return self.drawing_runs.draw([pair.segment.encoded for pair in pairs], conditions)


def _channels(pairs: Sequence[WaitingPair], device: torch.device) -> Tensor:
    return torch.tensor([len(pair.segment.waveform) for pair in pairs], device=device)


def _of(part: Tensor | None) -> Tensor:
    assert part is not None, "mask models fill it"
    return part
