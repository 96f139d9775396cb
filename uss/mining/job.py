"""Mining a manifest into a folder of shards: what a command or a cluster runs."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn

from ontology import OwnClass
from uss.core.cluster import ClusterSettings
from uss.core.errors import InputError
from uss.data.own_class_files import own_classes_file, own_classes_of
from uss.mining.appending import check_existing
from uss.mining.clip_mining import usable_cores
from uss.mining.cluster_mining import ClusterMining
from uss.mining.miner import MiningSettings
from uss.mining.mining_plan import MiningPlan, ShardTask
from uss.mining.networks import NetworkNames
from uss.mining.shard_mining import MinerSetup, ShardMiner
from uss.mining.summary import SKIPPED_FILE, MiningSummary, write_class_queries, write_skipped
from uss.shards import INDEX_FILE, Selection, SkippedClip, list_shards, read_settings

_PRECISIONS = ("auto", "fp32", "bf16")
Progress = Callable[[int, int], None]
"""Told how many clips are done, and of how many; for the first time before the first one."""


@dataclass(frozen=True)
class MiningJob:
    """What is mined, from where, with what, to where.

    Attributes:
        manifest: CSV file, see ``uss.data.manifest.read_manifest``.
        audio_root: the folder its paths start from.
        output: folder for the shards; made if it is not there.
        split: only rows of the manifest whose column ``split`` says so.
        settings: how anchors are chosen.
        networks: what chooses, tags and encodes them.
        device: where the networks run: auto, cpu, cuda or mps.
        precision: of the taggers: auto, fp32 or bf16; auto takes that of the shards that are
            there, else bf16 where it is faster.
        workers: threads that decode, tag and encode.
        shard_size: manifest rows per shard.
        cluster: whose processes mine, one shard each at a time, and have ``workers`` of their own;
            None for this process alone.
        own_classes: CSV file of classes that AudioSet does not know; None for the one beside the
            manifest, if there is one, see ``uss.data.own_class_files``.
        append: the output may hold shards of other manifests, which these are added to.
        min_purity, keep_top: which anchors of the set are used from now on, see
            ``uss.shards.selection``; None leaves that as it was.
    """

    manifest: Path
    audio_root: Path
    output: Path
    split: str | None = None
    settings: MiningSettings = field(default_factory=MiningSettings)
    networks: NetworkNames = field(default_factory=NetworkNames)
    device: str = "auto"
    precision: str = "auto"
    workers: int = field(default_factory=usable_cores)
    shard_size: int = 4096
    cluster: ClusterSettings | None = None
    own_classes: Path | None = None
    append: bool = False
    min_purity: float | None = None
    keep_top: int | None = None

    def __post_init__(self) -> None:
        """Check the counts."""
        for name in ("workers", "shard_size"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} {getattr(self, name)}; choose 1 or more")
        if self.precision not in _PRECISIONS:
            raise InputError(f"precision {self.precision!r}; choose {', '.join(_PRECISIONS)}")
        Selection().changed(self.min_purity, self.keep_top)


def mine_manifest(job: MiningJob, progress: Progress | None = None) -> MiningSummary:
    """Mine the clips of a manifest that have not been mined yet.

    Shards that are there stay as they are, unless files have come since of clips that were skipped
    for want of one; then these are mined and the shard is written anew around them, with all its
    other anchors as they were. A shard is complete or absent, so that a run that was stopped, at
    any time, is gone on with by the same call.

    Args:
        job: what to mine.
        progress: shows how far it is.

    Raises:
        OSError, ValueError: if the manifest, a network or the shards in the folder are not as they
            should be, or if no clip gives an anchor. Then no shards are left, which would stand in
            the way of a corrected manifest.
    """
    plan = MiningPlan(
        job.manifest,
        job.audio_root,
        job.output,
        job.split,
        job.shard_size,
        append=job.append,
    )
    with _shard_miner(job, plan) as miner:
        job.output.mkdir(parents=True, exist_ok=True)
        check_existing(job.output, plan.paths, miner.settings, append=job.append)
        started = time.monotonic()
        count = _Count(plan.num_clips, progress)
        miner.mine(_to_do(plan, job.audio_root, count), count.advance)
    skipped = write_skipped(job.output)
    anchors_of_class = write_class_queries(job.output, job.min_purity, job.keep_top)
    if not anchors_of_class:
        _give_up(job, skipped)
    return MiningSummary(
        num_clips=plan.num_clips,
        skipped=skipped,
        num_anchors=sum(anchors_of_class.values()),
        anchors_of_class=dict(anchors_of_class.most_common()),
        seconds_of_audio=miner.seconds_of_audio,
        elapsed_seconds=time.monotonic() - started,
        cpu_seconds=miner.clock.seconds,
        own_classes=miner.settings.own_classes,
    )


@contextmanager
def _shard_miner(job: MiningJob, plan: MiningPlan) -> Iterator[ShardMiner | ClusterMining]:
    """Load the networks, in this process or in those of a cluster."""
    setup = MinerSetup(
        job.audio_root,
        job.settings,
        job.networks,
        job.device,
        _precision(job),
        job.workers,
        {
            "shard_size": job.shard_size,
            "manifest_hash": plan.manifest_hash,
            **({"first_row": plan.first_row} if plan.first_row else {}),
        },
        _own_classes(job, plan),
    )
    if job.cluster is None:
        yield ShardMiner(setup)
    else:
        with ClusterMining(setup, job.cluster) as mining:
            yield mining


def _own_classes(job: MiningJob, plan: MiningPlan) -> tuple[OwnClass, ...]:
    """Read them; labels that no file explains are refused before all their clips are skipped."""
    own = own_classes_of(job.manifest, job.own_classes)
    for mid in sorted(plan.own_labels().difference(each.mid for each in own)):
        raise InputError(
            f"{job.manifest} has clips of the class {mid}, which is none of AudioSet's; write it "
            f"into {job.own_classes or own_classes_file(job.manifest)} (id,name,parent), or name "
            "the file with --own-classes"
        )
    return own


def _precision(job: MiningJob) -> str:
    """Go on in the precision of the shards that are there, which may come of another machine."""
    shards = list_shards(job.output)
    if job.precision != "auto" or not shards:
        return job.precision
    return str(read_settings(shards[0]).mining.get("precision", "fp32"))


def _to_do(plan: MiningPlan, audio_root: Path, count: _Count) -> Iterator[ShardTask]:
    """Take the shards that are not up to date; the others' clips are counted as done."""
    for task in plan:
        if task.is_done(audio_root):
            count.advance(len(task.clips))
        else:
            yield task


def _give_up(job: MiningJob, skipped: Sequence[SkippedClip]) -> NoReturn:
    """Take away shards without any anchor, and say why there is none."""
    for path in list_shards(job.output):
        path.unlink()
    (job.output / INDEX_FILE).unlink(missing_ok=True)
    first = skipped[0]
    raise InputError(
        f"none of the {len(skipped)} clips of {job.manifest} gave an anchor; the first, "
        f"{first.clip_id!r}, did not because: {first.reason}; see {job.output / SKIPPED_FILE}"
    )


@dataclass
class _Count:
    """Counts the clips that are done."""

    total: int
    progress: Progress | None
    done: int = 0

    def __post_init__(self) -> None:
        self.advance(0)

    def advance(self, number: int = 1) -> None:
        self.done += number
        if self.progress is not None:
            self.progress(self.done, self.total)
