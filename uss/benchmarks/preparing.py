"""From a data set's folder to the rows of a benchmark's list."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from uss.benchmarks import BENCHMARKS, Benchmark, PrepareOptions, Track, manifest_of
from uss.core.errors import InputError
from uss.evaluation.lists.mixture_list import ListRow
from uss.mining.job import MiningJob, Progress, mine_manifest
from uss.mining.miner import MiningSettings
from uss.mining.networks import NetworkNames
from uss.mining.summary import MiningSummary

# As many clips are lost at most where mining is stopped.
_SHARD_SIZE = 256


def prepare(
    name: str,
    folder: Path,
    options: PrepareOptions | None = None,
    *,
    track: Track = list,
    mining_progress: Progress | None = None,
    on_mined: Callable[[MiningSummary], object] = lambda summary: None,
) -> list[ListRow]:
    """Make the rows of a benchmark's list; anchors are mined where it is made of them.

    Args:
        name: of the benchmark.
        folder: that the data set was unpacked into; the rows' paths start from it.
        options: what is chosen; None for the benchmark's defaults. A benchmark made of mined
            anchors needs ``shards``, the folder for them; what is there is not mined again.
        track: shows how far it is.
        mining_progress: shows how far the mining is.
        on_mined: is told what the shards hold then.

    Raises:
        OSError, ValueError: if there is no such benchmark, or the folder is not as published.
        KeyboardInterrupt: saying how to go on, if the mining was interrupted.
    """
    if name not in BENCHMARKS:
        raise InputError(f"unknown benchmark {name!r}; choose one of {', '.join(BENCHMARKS)}")
    benchmark = BENCHMARKS[name]
    options = options or benchmark.defaults
    if benchmark.mining is not None and options.pairs is None:
        job = _mining_job(folder, options, benchmark)
        try:
            on_mined(mine_manifest(job, mining_progress))
        except KeyboardInterrupt:
            raise KeyboardInterrupt(
                "started again, it goes on after the last whole shard"
            ) from None
    return benchmark.make_rows(folder, options, track)


def _mining_job(folder: Path, options: PrepareOptions, benchmark: Benchmark) -> MiningJob:
    """Say what is mined for a benchmark."""
    mining = benchmark.mining
    assert mining is not None, "nothing is mined for other benchmarks"
    if options.shards is None:
        raise InputError(
            f"{benchmark.name} is made of mined anchors; make its list with uss-prepare "
            f"{benchmark.name}, which keeps them beside it"
        )
    return MiningJob(
        manifest_of(folder, options, mining),
        folder,
        options.shards,
        split=options.split,
        settings=MiningSettings(labels=mining.labels),
        networks=NetworkNames(options.tagger),
        shard_size=_SHARD_SIZE,
    )
