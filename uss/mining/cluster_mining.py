"""Mining shards on a cluster: every process holds the networks and writes whole shards."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import NamedTuple

from uss.core.cluster import Cluster, ClusterSettings
from uss.core.errors import InputError
from uss.core.stage_clock import StageClock
from uss.mining.mining_plan import ShardTask
from uss.mining.shard_mining import MinerSetup, ShardMiner
from uss.shards import ShardSettings

_CLIPS_PER_REPORT = 16


class ClusterTask(NamedTuple):
    """One shard, and what all shards of the job must be mined with."""

    shard: ShardTask
    settings: ShardSettings


@dataclass(frozen=True)
class MinedShard:
    """What a process has done for a shard.

    Attributes:
        path: of the shard.
        seconds_of_audio: that were decoded.
        cpu_seconds: per stage.
    """

    path: Path
    seconds_of_audio: float
    cpu_seconds: dict[str, float]


class ClusterMiner:
    """Mines shards in a process of a cluster.

    Args:
        setup: with what.
        num_cpus: of the process; as many threads decode, tag and encode.

    Attributes:
        settings: of the shards.

    Raises:
        OSError, ValueError: as ``ShardMiner``.
    """

    def __init__(self, setup: MinerSetup, num_cpus: int) -> None:
        self._root = setup.audio_root
        self._miner = ShardMiner(replace(setup, workers=num_cpus))
        self.settings = self._miner.settings

    def __call__(self, task: ClusterTask, report: Callable[[int], None]) -> MinedShard:
        """Mine a shard, unless it is there: whoever did so may have died before it could say so.

        Raises:
            ValueError: if the networks here are not those of the process that was asked first.
        """
        if self.settings != task.settings:
            raise InputError(
                f"the machines of the cluster do not mine alike: {self.settings} on one, "
                f"{task.settings} on another; give them the same files, and name a --precision"
            )
        num_clips = len(task.shard.clips)
        if task.shard.is_done(self._root):
            report(num_clips)
            return MinedShard(task.shard.path, 0.0, {})
        num_done = 0

        def advance(number: int) -> None:
            nonlocal num_done
            num_done += number
            if num_done == num_clips or num_done % _CLIPS_PER_REPORT == 0:
                report(num_done)

        before, clock = self._miner.seconds_of_audio, self._miner.clock.seconds
        self._miner.mine([task.shard], advance)
        return MinedShard(
            task.shard.path,
            self._miner.seconds_of_audio - before,
            {
                stage: seconds - clock.get(stage, 0.0)
                for stage, seconds in self._miner.clock.seconds.items()
            },
        )


class ClusterMining:
    """What ``ShardMiner`` does, by the processes of a cluster; a context, with which they end.

    Args:
        setup: with what; where the processes have no GPU, ``auto`` is the CPU.
        cluster: where, and how many.

    Attributes:
        settings, seconds_of_audio, clock: see ``ShardMiner``.

    Raises:
        OSError, ValueError: as ``Cluster`` and ``ShardMiner``.
    """

    def __init__(self, setup: MinerSetup, cluster: ClusterSettings) -> None:
        if setup.device == "auto" and not cluster.gpus_per_worker:
            setup = replace(setup, device="cpu")
        self._cluster: Cluster[ClusterTask, MinedShard] = Cluster(
            cluster, partial(ClusterMiner, setup)
        )
        self.seconds_of_audio = 0.0
        self.clock = StageClock()

    def __enter__(self) -> ClusterMining:
        self._cluster.__enter__()
        try:
            self.settings: ShardSettings = self._cluster.ask("settings")
        except BaseException as error:
            self._cluster.__exit__(type(error), error, error.__traceback__)
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._cluster.__exit__(kind, error, trace)

    def mine(self, tasks: Iterable[ShardTask], advance: Callable[[int], None]) -> None:
        """Mine and write shards, each exactly once; see ``ShardMiner.mine``.

        Raises:
            OSError: if a process dies again and again, or its shards do not lie here.
        """
        given = (ClusterTask(task, self.settings) for task in tasks)
        for mined in self._cluster.run(given, advance):
            if not mined.path.exists():
                raise OSError(
                    f"{mined.path} was written on another machine and is not here; name an output "
                    "folder that all machines of the cluster share"
                )
            self.seconds_of_audio += mined.seconds_of_audio
            self.clock.add(mined.cpu_seconds)
