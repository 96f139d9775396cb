"""Adding the conditions of further encoders to shards that are there, without mining again."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import torch

from uss.checkpoints.loading import weight_hash
from uss.conditions.embedding import ConditionEncoder
from uss.conditions.text_towers import TextTower
from uss.core.arrays import Float32
from uss.core.errors import InputError
from uss.core.runtime import Runtime
from uss.mining.networks import load_encoders
from uss.mining.summary import write_class_queries
from uss.shards import (
    ShardEntry,
    ShardFiles,
    ShardIndex,
    StoredShard,
    has_sidecar,
    update_index,
    write_sidecar,
)

_BATCH_SIZE = 32

Progress = Callable[[int, int], None]
"""Told how many anchors are done, and of how many."""


def add_encoders(
    folder: Path,
    names: Sequence[str],
    *,
    device: str = "auto",
    trust_checkpoint: bool = False,
    progress: Progress | None = None,
) -> dict[str, int]:
    """Make a side-car of each shard and space that has none, then the index and class queries.

    An encoder hears the anchors as the shards hold them, in 16 bits. A text encoder reads the
    caption, or where there is none the names of the labels in the order of the classes, as a shard
    does not keep that of the manifest. A side-car is complete or absent, so that a run that was
    stopped is gone on with by the same call.

    Args:
        folder: of the shards.
        names: of the encoders, see ``uss.mining.networks.NetworkNames``.
        device: auto, cpu, cuda or mps.
        trust_checkpoint: load files that hold more than weights.
        progress: shows how far it is.

    Returns:
        H of each space that was asked for.

    Raises:
        OSError, ValueError: if there are no shards, an encoder cannot be loaded, or the shards
            themselves hold conditions in its space.
    """
    # Every shard's checksum must be known: its side-cars state it.
    index = update_index(ShardFiles(folder))
    where = Runtime.choose(device, "fp32").device
    encoders, readers = load_encoders(names, where, trust_checkpoint=trust_checkpoint)
    sizes = {encoder.space: encoder.size for encoder in encoders}
    sizes |= {space: tower.size for space, tower in readers.items()}
    for space in sizes:
        if space in index.settings.spaces:
            raise InputError(f"the shards of {folder} hold conditions in {space!r} already")
    adder = _Adder(folder, index, where, progress)
    for encoder in encoders:
        adder.add_audio(encoder)
    for space, tower in readers.items():
        adder.add_text(space, tower)
    write_class_queries(folder)
    return sizes


class _Adder:
    """Makes side-cars and counts the anchors."""

    def __init__(
        self, folder: Path, index: ShardIndex, device: torch.device, progress: Progress | None
    ) -> None:
        self.folder = folder
        self.index = index
        self.device = device
        self.progress = progress
        self.total = len(index.labels)
        self.done = 0

    def add_audio(self, encoder: ConditionEncoder) -> None:
        def encode(shard: StoredShard, first: int, end: int) -> Float32:
            heard = torch.from_numpy(shard.waveforms(first, end)).to(self.device)
            with torch.inference_mode():
                made: Float32 = encoder(heard).float().cpu().numpy()
            return made

        self._add(encoder.space, weight_hash(encoder.network), encode)

    def add_text(self, space: str, tower: TextTower) -> None:
        classes = self.index.settings.ontology.classes

        def encode(shard: StoredShard, first: int, end: int) -> Float32:
            said = [
                caption.strip() or ", ".join(classes[index].name for index in labels)
                for caption, labels in shard.said(first, end)
            ]
            # Most anchors of a clip are neighbours, and say the same.
            unique = list(dict.fromkeys(said))
            read = tower.encode(unique)
            return read[[unique.index(words) for words in said]]

        self._add(space, weight_hash(tower.network), encode)

    def _add(
        self, space: str, encoder_hash: str, encode: Callable[[StoredShard, int, int], Float32]
    ) -> None:
        self.done = 0
        for entry in self.index.entries:
            if not has_sidecar(self.folder, entry, space, encoder_hash):
                blocks = self._blocks(entry, encode)
                write_sidecar(self.folder, entry, space, blocks, encoder_hash)
            else:
                self._advance(entry.num_anchors)

    def _blocks(
        self, entry: ShardEntry, encode: Callable[[StoredShard, int, int], Float32]
    ) -> Iterator[Float32]:
        with StoredShard(self.folder / entry.name) as shard:
            for first in range(0, entry.num_anchors, _BATCH_SIZE):
                end = min(first + _BATCH_SIZE, entry.num_anchors)
                yield np.asarray(encode(shard, first, end))
                self._advance(end - first)

    def _advance(self, count: int) -> None:
        self.done += count
        if self.progress is not None:
            self.progress(self.done, self.total)
