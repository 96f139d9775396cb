"""Clips in, anchors out: chunks of clips that threads decode, tag and encode side by side."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from types import TracebackType

import torch

from uss.data.manifest import Clip
from uss.mining.clip_reading import ClipReader
from uss.mining.miner import AnchorMiner, LabelledWaveform, SkippedClipError
from uss.shards import Anchor, SkippedClip

_CPU_CHUNK = 8
_GPU_CHUNK = 32
_CHUNKS_AHEAD_PER_WORKER = 2


@dataclass(frozen=True)
class MinedClip:
    """What became of a clip.

    Attributes:
        anchors: none if it was skipped.
        skipped: why there are none.
        seconds: of audio that were decoded.
    """

    anchors: Sequence[Anchor] = field(default_factory=list)
    skipped: SkippedClip | None = None
    seconds: float = 0.0


class ClipMiner:
    """Mines chunks of clips in threads, ahead of their use and in their order.

    A thread takes a chunk from its files to its anchors. So no stage waits for another, and what
    shares a batch follows from the chunk, not from how many threads there are. On a CPU each
    thread computes alone: networks of this size do not fill several cores at once.

    It is a context: the threads end with the block, which may be left early.

    Args:
        miner: finds the anchors.
        reader: decodes the clips.
        workers: how many threads.
    """

    def __init__(self, miner: AnchorMiner, reader: ClipReader, workers: int) -> None:
        self.miner = miner
        self.reader = reader
        self.workers = workers
        is_cpu = miner.networks.runtime.device.type == "cpu"
        self.chunk_size = _CPU_CHUNK if is_cpu else _GPU_CHUNK

    def __enter__(self) -> ClipMiner:
        self._num_threads = torch.get_num_threads()
        self._pool = ThreadPoolExecutor(
            self.workers, initializer=torch.set_num_threads, initargs=(1,)
        )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._pool.shutdown(cancel_futures=True)
        # What one thread sets counts for those that are started later.
        torch.set_num_threads(self._num_threads)

    def chunks(self, clips: Sequence[Clip]) -> Iterator[Sequence[Clip]]:
        """Cut clips into what one thread does at a time."""
        for start in range(0, len(clips), self.chunk_size):
            yield clips[start : start + self.chunk_size]

    def __call__(self, chunks: Iterable[Sequence[Clip]]) -> Iterator[MinedClip]:
        """Mine every clip of every chunk."""
        pending: deque[Future[list[MinedClip]]] = deque()
        for chunk in chunks:
            pending.append(self._pool.submit(self._mine, chunk))
            if len(pending) > _CHUNKS_AHEAD_PER_WORKER * self.workers:
                yield from pending.popleft().result()
        while pending:
            yield from pending.popleft().result()

    def _mine(self, chunk: Sequence[Clip]) -> list[MinedClip]:
        """Decode, tag and encode one chunk."""
        clock, sample_rate = self.reader.clock, self.reader.sample_rate
        mined: list[MinedClip] = [MinedClip()] * len(chunk)
        heard: dict[int, LabelledWaveform] = {}
        for row, clip in enumerate(chunk):
            try:
                labels = self.miner.labels(clip.mids)
            except SkippedClipError as reason:
                mined[row] = _skipped(clip, str(reason))
                continue
            decoded = self.reader(clip)
            if decoded.waveform is None:
                mined[row] = _skipped(clip, decoded.error, missing=decoded.missing)
            else:
                heard[row] = LabelledWaveform(clip, decoded.waveform, labels)
        found = self.miner.mine_together(list(heard.values()), clock)
        for (row, each), anchors in zip(heard.items(), found, strict=True):
            seconds = len(each.waveform) / sample_rate
            if isinstance(anchors, SkippedClipError):
                mined[row] = _skipped(each.clip, str(anchors), seconds=seconds)
            else:
                mined[row] = MinedClip(anchors, seconds=seconds)
        return mined


def usable_cores() -> int:
    """How many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _skipped(clip: Clip, reason: str, *, missing: bool = False, seconds: float = 0.0) -> MinedClip:
    return MinedClip(skipped=SkippedClip(clip.clip_id, reason, missing), seconds=seconds)
