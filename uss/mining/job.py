"""Mining a manifest into a folder of shards: what a command or a cluster runs."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import astuple, dataclass, field
from pathlib import Path
from typing import NoReturn

from ontology import OWN_PREFIX, Ontology, load_ontology, with_own_classes
from uss.checkpoints.loading import weight_hash
from uss.core.errors import InputError
from uss.core.hashes import short_hash
from uss.core.runtime import Runtime
from uss.data.locating import locate
from uss.data.manifest import Clip, read_manifest
from uss.data.own_class_files import own_classes_file, own_classes_of
from uss.mining.appending import check_existing, first_row_of
from uss.mining.clip_reading import ClipReader, has_file
from uss.mining.miner import AnchorMiner, MiningSettings
from uss.mining.networks import MiningNetworks, NetworkNames
from uss.mining.shard_mining import ShardMiner, is_up_to_date
from uss.mining.summary import SKIPPED_FILE, MiningSummary, write_class_queries, write_skipped
from uss.shards import (
    INDEX_FILE,
    Selection,
    ShardSettings,
    SkippedClip,
    list_shards,
    shard_path,
)

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
        workers: threads that read clips.
        shard_size: manifest rows per shard.
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
    workers: int = 2
    shard_size: int = 4096
    own_classes: Path | None = None
    append: bool = False
    min_purity: float | None = None
    keep_top: int | None = None

    def __post_init__(self) -> None:
        """Check the counts."""
        for name in ("workers", "shard_size"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} {getattr(self, name)}; choose 1 or more")
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
    clips = read_manifest(job.manifest, job.split)
    if not clips:
        raise InputError(f"{job.manifest} has no rows; nothing to mine")
    if not job.audio_root.is_dir():
        raise InputError(f"{job.audio_root} is not a folder; name the clips' --audio-root")
    located = locate(clips, job.audio_root)
    if not list_shards(job.output):
        _check_files(job, located)
    first_row = first_row_of(job.output, _manifest_hash(clips), clips, append=job.append)
    shard_miner = _shard_miner(job, clips, first_row)
    clips_of = {
        shard_path(
            job.output, first_row + start, first_row + min(start + job.shard_size, len(clips))
        ): located[start : start + job.shard_size]
        for start in range(0, len(clips), job.shard_size)
    }
    job.output.mkdir(parents=True, exist_ok=True)
    check_existing(job.output, list(clips_of), shard_miner.settings, append=job.append)
    started = time.monotonic()
    count = _Count(len(clips), progress)
    for path, of_shard in clips_of.items():
        if is_up_to_date(path, of_shard, job.audio_root):
            count.advance(len(of_shard))
        else:
            shard_miner.mine(path, of_shard, count.advance)
    skipped = write_skipped(job.output)
    anchors_of_class = write_class_queries(job.output, job.min_purity, job.keep_top)
    if not anchors_of_class:
        _give_up(job, skipped)
    return MiningSummary(
        num_clips=len(clips),
        skipped=skipped,
        num_anchors=sum(anchors_of_class.values()),
        anchors_of_class=dict(anchors_of_class.most_common()),
        seconds_of_audio=shard_miner.seconds_of_audio,
        elapsed_seconds=time.monotonic() - started,
        own_classes=shard_miner.settings.own_classes,
    )


def _shard_miner(job: MiningJob, clips: Sequence[Clip], first_row: int) -> ShardMiner:
    """Load the networks, and say what the shards are mined with."""
    own = own_classes_of(job.manifest, job.own_classes)
    ontology = with_own_classes(load_ontology(), own, indexed=True)
    _check_own_labels(job, clips, ontology)
    networks = MiningNetworks.load(job.networks, Runtime.choose(job.device, "fp32").device)
    tagger = networks.tagger
    miner = AnchorMiner(
        tagger,
        networks.encoders,
        ontology,
        job.settings,
        networks.anchor_tagger,
        networks.readers,
    )
    settings = ShardSettings(
        sample_rate=tagger.sample_rate,
        segment_samples=miner.segment_samples,
        num_classes=len(ontology.classes),
        tagger=tagger.name,
        tagger_hash=weight_hash(tagger),
        spaces=networks.spaces,
        mining={
            **job.settings.attributes(),
            "shard_size": job.shard_size,
            "manifest_hash": _manifest_hash(clips),
            **({"first_row": first_row} if first_row else {}),
            **networks.attributes(),
            **({"own_classes": [list(astuple(each)) for each in own]} if own else {}),
        },
    )
    return ShardMiner(miner, settings, ClipReader(job.audio_root, tagger.sample_rate, job.workers))


def _check_own_labels(job: MiningJob, clips: Sequence[Clip], ontology: Ontology) -> None:
    """Refuse labels of somebody's own that no file explains, before all their clips are skipped."""
    labels = {mid for clip in clips for mid in clip.mids if mid.startswith(OWN_PREFIX)}
    for mid in sorted(labels.difference(ontology.own)):
        raise InputError(
            f"{job.manifest} has clips of the class {mid}, which is none of AudioSet's; write it "
            f"into {job.own_classes or own_classes_file(job.manifest)} (id,name,parent), or name "
            "the file with --own-classes"
        )


def _manifest_hash(clips: Sequence[Clip]) -> str:
    """Identify what is mined, by all rows."""
    return short_hash(repr(clips).encode())


def _check_files(job: MiningJob, clips: Sequence[Clip]) -> None:
    """Find out before the work whether there is any file at all."""
    if any(has_file(clip, job.audio_root) for clip in clips):
        return
    named = next((clip.path for clip in clips if clip.path), None)
    if named is None:
        raise InputError(f"{job.manifest} names no file of any clip; fill in the column path")
    raise InputError(
        f"there is no audio file of any of the {len(clips)} clips of {job.manifest}; the first "
        f"would be {job.audio_root / named}; name another --audio-root or correct the paths"
    )


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
