"""Parts of files that rows of a manifest mean: a log sheet has many rows of one film."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np

from uss.audio import AudioFile, resample
from uss.core.arrays import Float32
from uss.core.errors import InputError
from uss.data.audioset_lists import is_segment_list
from uss.data.text_tables import read_table


class Span(NamedTuple):
    """From when to when, in seconds; None is the file's end."""

    start: float
    end: float | None


WHOLE = Span(0.0, None)
_COLUMNS = ("start_seconds", "end_seconds")


def read_spans(manifest: str | Path) -> dict[str, Span]:
    """Read the columns ``start_seconds`` and ``end_seconds`` of a manifest.

    AudioSet's segment lists have none: their times are of videos, and their files hold the clips.

    Returns:
        Clip id -> span, of the rows that give any time.

    Raises:
        ValueError: if a time is none.
    """
    path = Path(manifest)
    if is_segment_list(path):
        return {}
    table = read_table(path)
    columns = [
        table[name].tolist() if name in table.columns else [""] * len(table) for name in _COLUMNS
    ]
    spans = {}
    for row, (clip_id, *times) in enumerate(zip(table["clip_id"].tolist(), *columns, strict=True)):
        start, end = (_seconds(path, row, text) for text in times)
        span = Span(start or 0.0, end)
        if span.end is not None and span.end <= span.start:
            raise InputError(
                f"{path}, row {row + 2}: end_seconds {span.end:g} is not after start_seconds "
                f"{span.start:g}; correct it"
            )
        if span != WHOLE:
            spans[clip_id] = span
    return spans


def read_part(path: Path, span: Span, sample_rate: int) -> Float32:
    """Decode a part of a file as the mean of its channels at the given rate.

    Returns:
        (T,) float32; the part ends where the file does.

    Raises:
        FileNotFoundError, ValueError: if the file cannot be read, or ends before the part starts.
    """
    file = AudioFile(path)
    first = round(span.start * file.sample_rate)
    wanted = None
    if span.end is not None:
        wanted = max(1, round(span.end * file.sample_rate) - first)
    pieces: list[Float32] = []
    count = 0
    for block in file.blocks_from(first):
        pieces.append(block.mean(axis=0))
        count += block.shape[1]
        if wanted is not None and count >= wanted:
            break
    if not count:
        raise InputError(
            f"{path} ends before {span.start:g} s, where a row of the manifest starts; correct its "
            "start_seconds"
        )
    return resample(np.concatenate(pieces)[:wanted], file.sample_rate, sample_rate)


def _seconds(path: Path, row: int, text: str) -> float | None:
    if not text.strip():
        return None
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0.0 <= seconds < float("inf"):
        raise InputError(f"{path}, row {row + 2}: {text!r} is no time in seconds; correct it")
    return seconds
