"""Running a separator on pairs of segment and condition, in full batches (Algorithm 3)."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

import torch
from torch import Tensor

from uss.core.arrays import Float32
from uss.core.runtime import Runtime
from uss.models import SeparationModel, SeparatorNetwork
from uss.separation.chunk_drawing import Chunk, Drawing, DrawingRuns
from uss.separation.model_runs import Deliver, Owner, Segment, WaitingPair, lanes_of, runs_of


class Asked(NamedTuple):
    """One stem of a segment.

    Attributes:
        condition: (H,).
        deliver: called with the (C, S) float32 estimate, when its batch has run; with the
            (C, channels, F, bins) latents of what a generative model draws.
        prior: how probable it is; it counts beside those of others that it competes with.
    """

    condition: Float32
    deliver: Deliver
    prior: float = 1.0


class Batcher:
    """Collects pairs of segment and condition until a batch is full.

    A pair is asked by itself, or takes part in a contest with others of its segment.

    The pairs may be of different classes, segments and recordings, and of recordings with
    different numbers of channels. What fails for one owner, fails for this one alone: a batch that
    fails is run again in parts, one for each.

    Args:
        model: the separator.
        runtime: where it runs; also the batch size, unless the model wants less on a CPU.
        drawing: how a generative model draws; others ignore it.
    """

    def __init__(
        self, model: SeparationModel, runtime: Runtime, drawing: Drawing | None = None
    ) -> None:
        self.model = model
        if runtime.device.type == "cpu" and isinstance(model, SeparatorNetwork):
            size = model.cpu_batch_size * lanes_of(model, runtime).count
            runtime = replace(runtime, batch_size=min(runtime.batch_size, size))
        self.runtime = runtime
        self._pairs: list[WaitingPair] = []
        self._num_contests = 0
        self._runs = runs_of(model, runtime, drawing)
        self._compiler = self._runs.compiler

    @property
    def drawing_runs(self) -> DrawingRuns | None:
        """What runs a generative model; None for others."""
        return self._runs.drawing_runs

    @property
    def is_compiled(self) -> bool:
        """Whether the job was long enough to compile the network."""
        return self._compiler is not None and self._compiler.is_compiled

    def expect(self, num_pairs: int) -> None:
        """Announce pairs to come, so that the network is compiled if that pays."""
        if self._compiler is not None:
            self._compiler.expect(num_pairs)

    def compile(self) -> None:
        """Compile the network whether it pays or not, where it computes masks."""
        if self._compiler is not None:
            self._compiler.compile()

    @torch.inference_mode()
    def prepare(self, segments: Float32, chunks: Sequence[Chunk] = ()) -> list[Segment]:
        """Transform and encode (N, C, S) segments, each once for all its stems.

        Args:
            segments: of one recording.
            chunks: where they lie in it; generative models alone need to know.
        """
        waveforms = torch.from_numpy(segments).to(self.runtime.device)
        return self._runs.prepare(waveforms, chunks)

    def submit(self, segment: Segment, asked: Sequence[Asked], owner: Owner | None = None) -> None:
        """Ask for stems of one segment, each by itself.

        Args:
            segment: from ``prepare``.
            asked: the stems.
            owner: is told if there will be none; None to have the error raised.
        """
        for each in asked:
            self._wait(segment, [each], owner)

    def submit_together(
        self, segment: Segment, asked: Sequence[Asked], owner: Owner | None = None
    ) -> None:
        """Ask for stems that share the segment's bins (``uss.models.competition``).

        Args:
            segment: from ``prepare``, of a model that offers masks.
            asked: the stems, of one batch, however many they are.
            owner: see ``submit``.
        """
        self._wait(segment, asked, owner)

    def submit_all(
        self,
        segment: Segment,
        asked: Mapping[int, Asked],
        contests: Sequence[Sequence[int]],
        owner: Owner | None = None,
    ) -> None:
        """Ask for stems of one segment, some of which compete.

        Args:
            segment: from ``prepare``.
            asked: the stems by number.
            contests: numbers of those that share bins, as far as they are asked for; the others
                are asked for by themselves.
            owner: see ``submit``.
        """
        alone = dict(asked)
        for contest in contests:
            together = [alone.pop(number) for number in contest if number in alone]
            if together:
                self.submit_together(segment, together, owner)
        self.submit(segment, list(alone.values()), owner)

    def _wait(self, segment: Segment, asked: Sequence[Asked], owner: Owner | None) -> None:
        self._num_contests += 1
        self._pairs += [WaitingPair(segment, *each, owner, self._num_contests) for each in asked]
        if len(self._pairs) >= self.runtime.batch_size:
            self.flush()

    def forget(self, owner: Owner) -> None:
        """Drop what waits for an owner that is not interested any more."""
        self._pairs = [pair for pair in self._pairs if pair.owner is not owner]

    def flush(self) -> None:
        """Separate what is waiting, though it fills no batch."""
        pairs, self._pairs = self._pairs, []
        owners = list({id(pair.owner): pair.owner for pair in pairs}.values())
        try:
            self._run(pairs)
        except Exception as error:
            for owner in owners:
                own = [pair for pair in pairs if pair.owner is owner]
                self._run_for(owner, own, error if len(owners) == 1 else None)

    def _run_for(
        self, owner: Owner | None, pairs: list[WaitingPair], error: Exception | None
    ) -> None:
        """Run the part of a failed batch that belongs to one owner, unless that was all of it."""
        try:
            if error is not None:
                raise error
            self._run(pairs)
        except Exception as failure:
            if owner is None:
                raise
            self.forget(owner)
            owner.fail(failure)

    def _run(self, pairs: list[WaitingPair]) -> None:
        """Separate a batch and deliver it."""
        if not pairs:
            return
        start = time.perf_counter()
        is_full = len(pairs) % self.runtime.batch_size == 0
        try:
            with torch.inference_mode():
                estimates = self._separate(pairs).float().cpu().numpy()
        except KeyboardInterrupt:
            # They may still be separated for those who were not interrupted.
            self._pairs = [*pairs, *self._pairs]
            raise
        if self._compiler is not None:
            self._compiler.note(len(pairs), time.perf_counter() - start, is_full)
        self._deliver(pairs, estimates)

    def _deliver(self, pairs: Sequence[WaitingPair], estimates: Float32) -> None:
        """Hand out (sum of C, S) estimates; what fails for one owner stops none of the others."""
        waiting = deque(pairs)
        position = 0
        try:
            while waiting:
                pair = waiting.popleft()
                end = position + len(pair.segment.waveform)
                try:
                    pair.deliver(estimates[position:end])
                except Exception as error:
                    if pair.owner is None:
                        raise
                    pair.owner.fail(error)
                position = end
        except KeyboardInterrupt:
            # Contests are run again as a whole: with fewer in it, each would get more.
            open_contests = {pair.contest for pair in waiting}
            self._pairs = [pair for pair in pairs if pair.contest in open_contests] + self._pairs
            raise

    def _separate(self, pairs: list[WaitingPair]) -> Tensor:
        """Separate B pairs; returns the channels of all of them, (sum of C, ...)."""
        return self._runs.separate(pairs)
