"""What is marked in a recording, once it is open: its spans become queries."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from uss.audio.excerpting import Excerpt
from uss.core.errors import InputError
from uss.core.spans import Span, listed_spans
from uss.detection.analysis import Analysis
from uss.interchange.marks import MarkedFile, read_marks, spans_of
from uss.results.file_settings import FileSettings
from uss.results.recordings import Input
from uss.separation.plan import Wanted
from uss.separation.separator import Separator


def listed_marks(marked: Any, recording: str) -> tuple[Span | MarkedFile, ...]:
    """Take spans, texts as ``NAME@1.2-3.5``, and paths of label files; one, or several.

    Args:
        marked: what a program gives.
        recording: name of the file that is separated.

    Raises:
        OSError, ValueError: as ``read_marks``; or if a text holds no times.
    """
    listed = [marked] if isinstance(marked, (Span, MarkedFile, str, Path)) else marked
    found: list[Span | MarkedFile] = []
    for each in listed:
        if isinstance(each, (Path, MarkedFile)):
            marks = read_marks(each) if isinstance(each, Path) else each
            found.append(marks.of_recording(recording))
        else:
            found += listed_spans(each)
    return tuple(found)


def with_marked(
    wanted: Wanted,
    settings: FileSettings,
    separator: Separator,
    source: Excerpt,
    analysis: Analysis,
) -> Wanted:
    """Want what is marked too.

    Spans may lie anywhere in the recording, also where only a part of it is separated.

    Args:
        wanted: what else is.
        settings: hold what is marked.
        separator: makes the queries.
        source: what is separated.
        analysis: tells how long that is.

    Raises:
        OSError, ValueError: if something is marked that the recording does not have, all that is
            marked is silent, or a label file is of another recording's length.
    """
    if not settings.marked:
        return wanted
    start = source.start_seconds
    end = start + analysis.num_samples / source.sample_rate
    is_whole = settings.end_seconds is None
    late = source.file.film_offset_seconds
    duration = end
    if not is_whole:
        duration = max(end, source.file_seconds() + (late if settings.is_aligned else 0.0))
    # Spans in the time of the film stay in it where the stems begin with it.
    late = 0.0 if settings.is_aligned else late
    try:
        spans = spans_of(settings.marked, late, duration, is_whole=is_whole)
    except InputError as error:
        raise InputError(f"{source.file.path}: {error}") from error

    def read(first: float, last: float) -> Excerpt:
        return Excerpt(source.file, first, last, is_aligned=settings.is_aligned)

    queries = separator.span_queries(spans, read, (start, end), only=settings.span_only)
    return replace(wanted, queries=[*wanted.queries, *queries])


def check_marked(separator: Separator, settings: FileSettings, inputs: Sequence[Input]) -> None:
    """Refuse spans of several recordings, and separators that cannot be asked with audio.

    Raises:
        ValueError: naming what is wrong.
    """
    if not settings.marked:
        return
    check_one_recording(list(dict.fromkeys(each.path for each in inputs)))
    separator.audio_encoder()


def check_one_recording(paths: Sequence[Path]) -> None:
    """Refuse spans of several recordings.

    Raises:
        ValueError: if there are more than one.
    """
    if len(paths) > 1:
        raise InputError(
            f"spans are times of one recording, and {len(paths)} are to be separated; separate "
            f"each by itself, {paths[0]} first"
        )


def marked_files(marked: Sequence[Span | MarkedFile]) -> list[Path]:
    """Name the label files, which no result may remove."""
    return [Path(each.path) for each in marked if isinstance(each, MarkedFile)]
