"""Notes in complete files of libsndfile's: tags and Broadcast Wave in WAV, comments in FLAC.

libsndfile writes its comment between the format and the samples. One of the right length keeps room
there, so that notes which are known last, such as the loudness, need not be known first.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

from uss.audio.broadcast_wave import bext_chunk, cue_chunks, info_chunk
from uss.audio.file_notes import FileNotes, Mark
from uss.audio.flac_comments import (
    MAX_CHAPTERS,
    Comments,
    add_comments,
    chapters_of,
    comments_of,
    num_bytes_of,
)
from uss.audio.layouts import ChannelLayout, note_layout
from uss.audio.loudness import loudness_of
from uss.audio.wave_chunks import append_chunks, replace_chunk

logger = logging.getLogger(__name__)

_MASK_OF_FLAC = "WAVEFORMATEXTENSIBLE_CHANNEL_MASK"
# Of the comment: LIST, its size, INFO, ICMT and its size, and the zero at its end.
_COMMENT_BYTES = 21
_FLAC_PADDING_BYTES = 4_096


def placeholder(suffix: str, notes: FileNotes | None, layout: ChannelLayout | None) -> str | None:
    """Make the comment that keeps room for what ``note`` writes; None where it needs none.

    Args:
        suffix: ``wav`` or ``flac``.
        notes: of the file.
        layout: of its channels, if the file is to note it.
    """
    if suffix == "flac":
        comments = _comments(notes, layout)
        padding = _FLAC_PADDING_BYTES if notes else 0
        return "x" * (num_bytes_of(comments) + padding) if comments else None
    if notes is None:
        return None
    return "x" * (len(bext_chunk(notes) + info_chunk(notes)) - _COMMENT_BYTES)


def note(path: Path, suffix: str, notes: FileNotes | None, layout: ChannelLayout | None) -> None:
    """Write notes, and the layout, into a complete file that has the placeholder.

    Args:
        path: the file.
        suffix: as ``placeholder``.
        notes: likewise.
        layout: likewise; has a mask.

    Raises:
        OSError: if the disk is full.
    """
    if suffix == "flac":
        if comments := _comments(notes, layout):
            add_comments(path, comments, replaced=True)
        return
    if layout is not None:
        note_layout(path, layout)
    if notes is not None:
        measured = loudness_of(path, layout)
        replace_chunk(path, b"LIST", bext_chunk(notes, measured) + info_chunk(notes))


def add_marks(path: Path, marks: Sequence[Mark], sample_rate: int) -> None:
    """Write places into a complete file: cue points with lengths in WAV, chapters in FLAC.

    Raises:
        OSError: if the disk is full; the file is as it was then.
    """
    if not marks:
        return
    if path.suffix == ".flac":
        if len(marks) > MAX_CHAPTERS:
            logger.info(
                "%s: FLAC has chapters for the first %d of %d events; detections.json has all",
                path.name,
                MAX_CHAPTERS,
                len(marks),
            )
        add_comments(path, chapters_of(marks, sample_rate))
    else:
        append_chunks(path, cue_chunks(marks))


def _comments(notes: FileNotes | None, layout: ChannelLayout | None) -> Comments:
    mask = None if layout is None else layout.mask
    masks = [] if mask is None else [(_MASK_OF_FLAC, f"0x{mask:08X}")]
    return [*masks, *([] if notes is None else comments_of(notes))]
