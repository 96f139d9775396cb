"""What there is to mine: a manifest cut into shards, with the files of its clips."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ontology import OWN_PREFIX
from uss.core.errors import InputError
from uss.data.locating import ClipLocator
from uss.data.manifest import Clip, read_manifest
from uss.mining.appending import first_row_of
from uss.mining.clip_reading import has_file
from uss.shards import StoredShard, list_shards, read_skipped, shard_path


@dataclass(frozen=True)
class ShardTask:
    """One shard that is to be written.

    Attributes:
        path: of the shard.
        clips: its manifest rows, with their files.
    """

    path: Path
    clips: Sequence[Clip]

    def clips_to_mine(self) -> list[Clip]:
        """Those of which an older shard of the same rows does not say what became of them."""
        if not self.path.exists():
            return list(self.clips)
        with StoredShard(self.path) as older:
            return [clip for clip in self.clips if not is_settled(older, clip)]

    def is_done(self, audio_root: Path) -> bool:
        """Whether the shard is there and no file has come since of a clip that had none."""
        if not self.path.exists():
            return False
        missing = {entry.clip_id for entry in read_skipped(self.path) if entry.missing}
        return not any(
            clip.clip_id in missing and has_file(clip, audio_root) for clip in self.clips
        )


class MiningPlan:
    """The shards of a manifest; the files of a shard's clips are found when it is asked for.

    Args:
        manifest, audio_root, output, split, shard_size, append: see ``uss.mining.job.MiningJob``.

    Attributes:
        num_clips: rows of the manifest.
        manifest_hash: identifies what is mined, by all rows.
        first_row: of the manifest in the set of shards.
        paths: of all its shards, in order.

    Raises:
        OSError, ValueError: if the manifest is not as it should be, there is no such folder of
            audio, nothing was mined yet and no clip has a file, or it cannot be appended.
    """

    def __init__(
        self,
        manifest: Path,
        audio_root: Path,
        output: Path,
        split: str | None,
        shard_size: int,
        *,
        append: bool = False,
    ) -> None:
        self._manifest, self._root, self._shard_size = manifest, audio_root, shard_size
        self._clips = read_manifest(manifest, split)
        self.num_clips = len(self._clips)
        if not self.num_clips:
            raise InputError(f"{manifest} has no rows; nothing to mine")
        if not audio_root.is_dir():
            raise InputError(f"{audio_root} is not a folder; name the clips' --audio-root")
        self._located = ClipLocator(self._clips, audio_root)
        if not list_shards(output):
            self._check_files()
        self.manifest_hash = _hash_of(self._clips)
        self.first_row = first_row_of(output, self.manifest_hash, self._clips, append=append)
        end = self.first_row + self.num_clips
        self.paths = [
            shard_path(output, start, min(start + shard_size, end))
            for start in range(self.first_row, end, shard_size)
        ]

    def __iter__(self) -> Iterator[ShardTask]:
        for number, path in enumerate(self.paths):
            start = number * self._shard_size
            yield ShardTask(path, self._located(self._clips[start : start + self._shard_size]))

    def own_labels(self) -> set[str]:
        """Collect the labels that are none of AudioSet's."""
        return {mid for clip in self._clips for mid in clip.mids if mid.startswith(OWN_PREFIX)}

    def _check_files(self) -> None:
        """Find out before the work whether there is any file at all."""
        clips = self._clips
        if any(has_file(each, self._root) for clip in clips for each in self._located([clip])):
            return
        named = next((clip.path for clip in clips if clip.path), None)
        if named is None:
            raise InputError(f"{self._manifest} names no file of any clip; fill in the column path")
        raise InputError(
            f"there is no audio file of any of the {len(clips)} clips of {self._manifest}; the "
            f"first would be {self._root / named}; name another --audio-root or correct the paths"
        )


def _hash_of(clips: Sequence[Clip]) -> str:
    digest = hashlib.sha256(b"[")
    for number, clip in enumerate(clips):
        # As a list of millions would be written, which need not be held.
        digest.update((f", {clip!r}" if number else repr(clip)).encode())
    digest.update(b"]")
    return digest.hexdigest()[:16]


def is_settled(older: StoredShard, clip: Clip) -> bool:
    """Whether mining the clip again would give what the older shard says of it."""
    skipped = older.skipped.get(clip.clip_id)
    return not skipped.missing if skipped is not None else clip.clip_id in older
