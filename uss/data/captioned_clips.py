"""Clips that words are said of: rows of a manifest, and the audio they speak of."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ontology import Ontology, OntologyError
from uss.audio import AudioFile, resample
from uss.core.arrays import Float32
from uss.core.errors import InputError
from uss.data.audioset_lists import is_segment_list
from uss.data.caption_phrases import phrases_of
from uss.data.locating import locate
from uss.data.manifest import Clip, read_manifest
from uss.data.text_tables import read_table

logger = logging.getLogger(__name__)

_SPAN = ("start_seconds", "end_seconds")


@dataclass(frozen=True, slots=True)
class CaptionedClip:
    """A recording, or a part of one, and what is said of it.

    Attributes:
        clip_id: of the manifest's row.
        path: of the file.
        caption: what is said of all of it; of a clip with labels alone, their names.
        phrases: of it, each of one source; at least one.
        start_seconds, end_seconds: the part of the file that is meant; None for its end.
    """

    clip_id: str
    path: Path
    caption: str
    phrases: tuple[str, ...]
    start_seconds: float = 0.0
    end_seconds: float | None = None


def read_captioned(
    manifest: str | Path, audio_root: str | Path, ontology: Ontology, split: str | None = None
) -> list[CaptionedClip]:
    """Read the rows of a manifest that say something, and whose file is there.

    A caption is cut into phrases by ``phrases_of``. A row without one is spoken of by the names of
    its labels, without those that another of its labels lies below. ``start_seconds`` and
    ``end_seconds``, where the manifest has these columns, say which part of the file a row means.
    The log says how many rows are left out.

    Raises:
        FileNotFoundError, ValueError: as ``read_manifest``; if a time is none, or no row is left.
    """
    clips = read_manifest(manifest, split, labelled=False)
    spans = _spans(Path(manifest))
    root = Path(audio_root)
    found: list[CaptionedClip] = []
    silent = missing = 0
    for clip in locate(clips, root):
        caption, phrases = _said(clip, ontology)
        if not phrases:
            silent += 1
        elif not clip.path or not (root / clip.path).is_file():
            missing += 1
        else:
            span = spans.get(clip.clip_id, (0.0, None))
            found.append(CaptionedClip(clip.clip_id, root / clip.path, caption, phrases, *span))
    if not found:
        raise InputError(
            f"{manifest} has no row to learn from: {silent} of {len(clips)} have neither caption "
            f"nor labels, {missing} no file in {audio_root}; check both"
        )
    if silent or missing:
        logger.warning(
            "%s: %d rows have neither caption nor labels, %d no file in %s; %d are left",
            *(manifest, silent, missing, audio_root, len(found)),
        )
    return found


def read_excerpt(clip: CaptionedClip, sample_rate: int, num_samples: int, place: float) -> Float32:
    """Read an excerpt of a clip, as the mean of its channels.

    Args:
        clip: whose.
        sample_rate: in Hz, to which it is brought.
        num_samples: T; a shorter clip has silence around it.
        place: in [0, 1): where in the clip, or in the silence, of all places there are.

    Returns:
        (T,) float32.

    Raises:
        FileNotFoundError, ValueError: if the file cannot be read, or ends before the clip starts.
    """
    file = AudioFile(clip.path)
    waveform = resample(_decoded(file, clip), file.sample_rate, sample_rate)
    free = len(waveform) - num_samples
    if free >= 0:
        first = int(place * free)
        return waveform[first : first + num_samples]
    padded = np.zeros(num_samples, np.float32)
    first = int(place * (1 - free))
    padded[first : first + len(waveform)] = waveform
    return padded


def _decoded(file: AudioFile, clip: CaptionedClip) -> Float32:
    """(n,) mean of the channels, from the clip's start to its end, or the file's."""
    first = round(clip.start_seconds * file.sample_rate)
    wanted = None
    if clip.end_seconds is not None:
        wanted = max(1, round(clip.end_seconds * file.sample_rate) - first)
    pieces: list[Float32] = []
    count = 0
    for block in file.blocks_from(first):
        pieces.append(block.mean(axis=0))
        count += block.shape[1]
        if wanted is not None and count >= wanted:
            break
    if not count:
        raise InputError(
            f"{clip.path} ends before {clip.start_seconds:g} s, where the clip {clip.clip_id} "
            "starts; correct its start_seconds"
        )
    whole: Float32 = np.concatenate(pieces)[:wanted]
    return whole


def _said(clip: Clip, ontology: Ontology) -> tuple[str, tuple[str, ...]]:
    phrases = phrases_of(clip.caption)
    if phrases:
        return " ".join(clip.caption.split()), phrases
    names = _label_names(clip.mids, ontology)
    return " and ".join(names), names


def _label_names(mids: Sequence[str], ontology: Ontology) -> tuple[str, ...]:
    """Names of labels, the most specific ones; those that the ontology does not know are none."""
    nodes = []
    for mid in mids:
        try:
            nodes.append(ontology.find(mid))
        except OntologyError:
            continue
    above = {node for each in nodes for node in ontology.ancestors(each)}
    return tuple(node.name for node in dict.fromkeys(nodes) if node not in above)


def _spans(path: Path) -> dict[str, tuple[float, float | None]]:
    """Times of the rows that give any."""
    if is_segment_list(path):
        return {}
    table = read_table(path)
    columns = [table[name].tolist() if name in table.columns else None for name in _SPAN]
    if columns == [None, None]:
        return {}
    spans = {}
    for row, clip_id in enumerate(table["clip_id"].tolist()):
        start, end = (
            None if column is None else _seconds(path, row, column[row]) for column in columns
        )
        if end is not None and end <= (start or 0.0):
            raise InputError(
                f"{path}, row {row + 2}: end_seconds {end:g} is not after start_seconds "
                f"{start or 0.0:g}; correct it"
            )
        spans[clip_id] = (start or 0.0, end)
    return spans


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
