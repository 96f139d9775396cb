"""Reading shards: all of a folder or a URL as one table."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from types import TracebackType

import h5py
import numpy as np
from numpy.typing import NDArray

from uss.core.arrays import Bools, Float32, Indexes
from uss.core.errors import InputError
from uss.shards.averaging import averages_of
from uss.shards.checking import open_index
from uss.shards.class_lists import ClassLists
from uss.shards.column_tables import column_rows, space_rows
from uss.shards.index import INDEX_FILE, TAG_FLOOR, Averages, load_index
from uss.shards.indexing import kept_rows, settings_of
from uss.shards.layout import ShardSettings, shard_names
from uss.shards.rows import LabelRows, Rows, StoredRows
from uss.shards.selection import Selection
from uss.shards.shard_files import ShardFiles
from uss.shards.stored_shard import FULL_SCALE
from uss.taggers import ONE_HOT_SPACE, PROBABILITY_SPACE


def set_settings(place: str | Path) -> ShardSettings | None:
    """Read the settings of a set, from its index if it has one; None where there are no shards.

    Raises:
        ValueError: if they cannot be read.
    """
    files = ShardFiles(place)
    states = files.states()
    if INDEX_FILE in states:
        return load_index(files).settings
    names = shard_names(states)
    if not names:
        return None
    with files.opened(names[0]) as raw, h5py.File(raw, "r") as file:
        return settings_of(file, files.address(names[0]))


class ShardReader:
    """All shards of a folder or a URL as one table, drawn from by what their index says.

    Waveforms, tags and conditions are read row by row when asked for; see ``StoredRows``. A folder
    of an earlier release has no index, which is then made in memory.

    Args:
        place: a folder, or any URL that fsspec knows.
        selection: which anchors the table holds; None takes what the index says.

    Attributes:
        settings: shared by all shards.
        class_index: (N,) int64, the class each anchor was mined for.
        valid_samples, start_seconds, score, purity: (N,).
        clip_number, group_number: (N,) int32, equal for anchors of one clip, of one group.
        label_lists: all labels of each anchor's clip.
        tags: (N, K) rows of tag probabilities; 0 for own classes.

    Raises:
        FileNotFoundError: if the folder has no shards.
        ValueError: if shards differ in their settings or are unreadable, or are not what the index
            says; see ``uss.shards.checking``.
    """

    def __init__(self, place: str | Path, selection: Selection | None = None) -> None:
        self._files = ShardFiles(place)
        self._index = open_index(self._files)
        self._is_indexed_selection = selection in (None, self._index.selection)
        self._rows = kept_rows(self._index, selection)
        self.settings = self._index.settings
        columns = self._index.columns
        self.label_lists = self._index.labels
        if len(self._rows) < len(self.label_lists):
            columns = {name: values[self._rows] for name, values in columns.items()}
            self.label_lists = self.label_lists.taken(self._rows)
        self.class_index = columns["class_index"].astype(np.int64)
        self.valid_samples = columns["valid_samples"]
        self.start_seconds = columns["start_seconds"]
        self.score = columns["score"]
        self.purity = columns["purity"]
        self.clip_number = columns["clip_number"]
        self.group_number = columns["group_number"]
        self.tags = self._column("tag_probabilities")
        self._waveforms = self._column("waveform")

    def __len__(self) -> int:
        return len(self._rows)

    def __enter__(self) -> ShardReader:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    @cached_property
    def clip_id(self) -> NDArray[np.object_]:
        """(N,) of str; an object each, which small sets alone should ask for."""
        return self._index.clips.of_rows(self.clip_number)

    @cached_property
    def group(self) -> NDArray[np.object_]:
        """(N,) of str, likewise."""
        return self._index.groups.of_rows(self.group_number)

    @cached_property
    def labels(self) -> Bools:
        """(N, K) bool, half a kilobyte an anchor; ``label_lists`` take a fiftieth."""
        return self.label_lists.dense()

    @cached_property
    def tag_probabilities(self) -> Float32:
        """(N, K) float32, two kilobytes an anchor; ``tags`` reads those that are asked for."""
        return _all_of(self.tags)

    @property
    def place(self) -> str:
        """Where the shards lie."""
        return self._files.place

    @property
    def spaces(self) -> dict[str, int]:
        """H of each space the anchors have conditions in, side-cars included."""
        return self._index.spaces

    def waveform(self, row: int) -> Float32:
        """Read one anchor: (S,) float32 in [-1, 1]."""
        waveform: Float32 = self.waveforms(np.array([row]))[0]
        return waveform

    def waveforms(self, rows: Indexes) -> Float32:
        """Read anchors, from a URL all at the same time: (n, S) float32 in [-1, 1]."""
        waveforms = self._waveforms[rows]
        waveforms /= FULL_SCALE
        return waveforms

    def rows_of(self, space: str) -> Rows:
        """Open the conditions of a space, to be read row by row: (N, H).

        The tags of AudioSet's classes are the space ``audioset-527``; the labels of each anchor's
        clip, as 0 and 1, are the space ``audioset-527-one-hot`` (the hard condition of section
        3.4.1).

        Raises:
            ValueError: if the shards do not hold that space.
        """
        if space == PROBABILITY_SPACE:
            return self._space(space) if self.settings.own_classes else self.tags
        if space == ONE_HOT_SPACE:
            if self.settings.own_classes:
                raise InputError(
                    f"the space {space!r} has no dimensions for classes of your own; train in a "
                    "space of embeddings"
                )
            return LabelRows(self.label_lists)
        if space not in self.spaces:
            known = ", ".join(self.spaces) or "none"
            raise InputError(
                f"the shards hold no conditions in the space {space!r} (they hold "
                f"{known}); mine with the encoder of that space, or add its conditions with "
                "uss-mine-anchors --add-encoder"
            )
        return self._space(space)

    def conditions(self, space: str) -> Float32:
        """Read all conditions of a space into memory: (N, H) float32; see ``rows_of``."""
        return _all_of(self.rows_of(space))

    def averages(self, space: str) -> Averages:
        """Average the conditions of a space over all anchors with a class's label (eq. 9).

        Raises:
            ValueError: if the shards do not hold that space.
        """
        if self._is_indexed_selection and space in self._index.averages:
            return self._index.averages[space]
        return averages_of(self.rows_of(space), self.label_lists)

    def active_lists(self, threshold: float) -> ClassLists:
        """List the classes that are among each anchor's labels or tagged with more than that."""
        if threshold >= TAG_FLOOR:
            index = self._index
            loud = index.tag_values.astype(np.float32) > threshold
            counts = np.bincount(index.tags.rows[loud], minlength=len(index.tags))
            tagged = ClassLists.counted(counts, index.tags.classes[loud], index.tags.num_classes)
            if len(self._rows) < len(tagged):
                tagged = tagged.taken(self._rows)
            return self.label_lists.united(tagged)
        # The index does not hold such faint tags.
        blocks = [ClassLists.of(block > threshold) for _, block in self.tags.blocks()]
        return self.label_lists.united(ClassLists.joined(blocks)) if blocks else self.label_lists

    def close(self) -> None:
        """Close the files; they are opened again when asked for."""
        self._files.close()
        self.tags.close()
        self._waveforms.close()

    def _column(self, column: str) -> StoredRows:
        return column_rows(self._files, self._index, column, self._rows)

    def _space(self, space: str) -> StoredRows:
        return space_rows(self._files, self._index, space, self._rows)


def _all_of(rows: Rows) -> Float32:
    result: Float32 = np.empty(rows.shape, np.float32)
    for first, block in rows.blocks():
        result[first : first + len(block)] = block
    return result
