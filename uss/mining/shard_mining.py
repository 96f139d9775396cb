"""Mining the clips of one shard, or those that an older shard of them lacks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path

from uss.data.manifest import Clip
from uss.mining.clip_reading import ClipReader, DecodedClip, has_file
from uss.mining.miner import AnchorMiner, SkippedClipError
from uss.shards import ShardSettings, ShardWriter, SkippedClip, StoredShard, read_skipped


def is_up_to_date(path: Path, clips: Sequence[Clip], root: Path) -> bool:
    """Whether a shard is there and no file has come since of a clip that had none.

    Args:
        path: of the shard.
        clips: its manifest rows.
        root: the folder the clips' paths start from.
    """
    if not path.exists():
        return False
    missing = {entry.clip_id for entry in read_skipped(path) if entry.missing}
    return not any(clip.clip_id in missing and has_file(clip, root) for clip in clips)


class ShardMiner:
    """Mines one shard after another.

    Args:
        miner: finds the anchors.
        settings: of the shards.
        reader: decodes the clips.

    Attributes:
        seconds_of_audio: how much has been decoded so far.
    """

    def __init__(self, miner: AnchorMiner, settings: ShardSettings, reader: ClipReader) -> None:
        self.miner = miner
        self.settings = settings
        self.reader = reader
        self.seconds_of_audio = 0.0

    def mine(self, path: Path, clips: Sequence[Clip], advance: Callable[[], None]) -> None:
        """Mine and write a shard; from an older one of the same clips, anchors are taken over.

        Args:
            path: of the shard.
            clips: its manifest rows.
            advance: called after each of them.
        """
        with ExitStack() as stack:
            shard = stack.enter_context(ShardWriter(path, self.settings))
            # Closed before the new shard takes its place.
            older = stack.enter_context(StoredShard(path)) if path.exists() else None
            decoded = self.reader([clip for clip in clips if not _is_settled(older, clip)])
            for clip in clips:
                if older is not None and _is_settled(older, clip):
                    _take_over(older, clip, shard)
                else:
                    self._mine_clip(clip, next(decoded), shard)
                advance()

    def _mine_clip(self, clip: Clip, decoded: DecodedClip, shard: ShardWriter) -> None:
        try:
            labels = self.miner.labels(clip.mids)
            if decoded.waveform is None:
                shard.skip(SkippedClip(clip.clip_id, decoded.error, decoded.missing))
                return
            self.seconds_of_audio += len(decoded.waveform) / self.settings.sample_rate
            for anchor in self.miner.mine(clip, decoded.waveform, labels):
                shard.append(anchor)
        except SkippedClipError as reason:
            shard.skip(SkippedClip(clip.clip_id, str(reason)))


def _is_settled(older: StoredShard | None, clip: Clip) -> bool:
    """Whether mining the clip again would give what the older shard says of it."""
    if older is None:
        return False
    skipped = older.skipped.get(clip.clip_id)
    return not skipped.missing if skipped is not None else clip.clip_id in older


def _take_over(older: StoredShard, clip: Clip, shard: ShardWriter) -> None:
    if clip.clip_id in older.skipped:
        shard.skip(older.skipped[clip.clip_id])
    else:
        for row in older.anchors_of(clip.clip_id):
            shard.append_stored(row)
