"""Mining shards: what one process does, alone or as one of a cluster's."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import astuple, dataclass
from itertools import tee
from pathlib import Path
from typing import Any

from ontology import OwnClass, load_ontology, with_own_classes
from uss.checkpoints.loading import weight_hash
from uss.core.runtime import Runtime
from uss.core.stage_clock import StageClock
from uss.data.manifest import Clip
from uss.mining.clip_mining import ClipMiner, MinedClip
from uss.mining.clip_reading import ClipReader
from uss.mining.miner import AnchorMiner, MiningSettings
from uss.mining.mining_plan import ShardTask, is_settled
from uss.mining.networks import MiningNetworks, NetworkNames
from uss.shards import ShardSettings, ShardWriter, StoredShard


@dataclass(frozen=True)
class MinerSetup:
    """What a process needs to know before it can mine any shard of a job.

    Attributes:
        audio_root, settings, networks, device, precision: see ``MiningJob``.
        workers: threads of the process.
        recorded: what else the shards say they were mined with.
        own_classes: that AudioSet does not know.
    """

    audio_root: Path
    settings: MiningSettings
    networks: NetworkNames
    device: str
    precision: str
    workers: int
    recorded: Mapping[str, Any]
    own_classes: tuple[OwnClass, ...] = ()


class ShardMiner:
    """Mines one shard after another.

    Args:
        setup: with what; the networks are loaded.

    Attributes:
        settings: of the shards.
        seconds_of_audio: how much has been decoded so far.
        clock: the CPU seconds of the stages decode, resample, tag, encode and write.

    Raises:
        OSError, ValueError: if a network cannot be loaded or does not run as it should.
    """

    def __init__(self, setup: MinerSetup) -> None:
        device = Runtime.choose(setup.device, "fp32").device
        networks = MiningNetworks.load(setup.networks, device)
        runtime = networks.choose_runtime(device, setup.precision)
        tagger = networks.tagger
        ontology = with_own_classes(load_ontology(), setup.own_classes, indexed=True)
        miner = AnchorMiner(
            tagger,
            networks.encoders,
            ontology,
            setup.settings,
            networks.anchor_tagger,
            networks.readers,
            runtime,
        )
        self.settings = ShardSettings(
            sample_rate=tagger.sample_rate,
            segment_samples=miner.segment_samples,
            num_classes=len(ontology.classes),
            tagger=tagger.name,
            tagger_hash=weight_hash(tagger),
            spaces=networks.spaces,
            mining={
                **setup.settings.attributes(),
                **setup.recorded,
                **networks.attributes(),
                **recorded_precision(runtime),
                **_recorded_classes(setup.own_classes),
            },
        )
        self.seconds_of_audio = 0.0
        self.clock = StageClock()
        reader = ClipReader(setup.audio_root, tagger.sample_rate, self.clock)
        self._clip_miner = ClipMiner(miner, reader, setup.workers)

    def mine(self, tasks: Iterable[ShardTask], advance: Callable[[int], None]) -> None:
        """Mine and write shards; from older ones of the same clips, anchors are taken over.

        The calling thread writes, while others mine what comes next, also of the next shard.

        Args:
            tasks: the shards, taken one by one as threads come free.
            advance: told after each of their clips that there is one more.
        """
        with self._clip_miner as miner:
            to_mine, to_write = tee(tasks)
            mined = miner(chunk for task in to_mine for chunk in miner.chunks(task.clips_to_mine()))
            for task in to_write:
                self._write(task, mined, advance)

    def _write(
        self, task: ShardTask, mined: Iterator[MinedClip], advance: Callable[[int], None]
    ) -> None:
        with ExitStack() as stack:
            shard = stack.enter_context(ShardWriter(task.path, self.settings))
            # Closed before the new shard takes its place.
            older = stack.enter_context(StoredShard(task.path)) if task.path.exists() else None
            for clip in task.clips:
                if older is not None and is_settled(older, clip):
                    _take_over(older, clip, shard)
                else:
                    self._append(next(mined), shard)
                advance(1)

    def _append(self, mined: MinedClip, shard: ShardWriter) -> None:
        self.seconds_of_audio += mined.seconds
        with self.clock("write"):
            if mined.skipped is not None:
                shard.skip(mined.skipped)
            for anchor in mined.anchors:
                shard.append(anchor)


def recorded_precision(runtime: Runtime) -> dict[str, str]:
    """Name the precision in what shards record; older ones, all in float32, do not say it."""
    name = runtime.precision
    return {} if name == "fp32" else {"precision": name}


def _recorded_classes(own: Sequence[OwnClass]) -> dict[str, list[list[str]]]:
    return {"own_classes": [list(astuple(each)) for each in own]} if own else {}


def _take_over(older: StoredShard, clip: Clip, shard: ShardWriter) -> None:
    if clip.clip_id in older.skipped:
        shard.skip(older.skipped[clip.clip_id])
    else:
        for row in older.anchors_of(clip.clip_id):
            shard.append_stored(row)
