"""Clips that words are said of: rows of a manifest, and the audio they speak of."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ontology import Ontology, OntologyError
from uss.core.arrays import Float32
from uss.core.errors import InputError
from uss.data.caption_phrases import phrases_of
from uss.data.clip_spans import WHOLE, Span, read_part, read_spans
from uss.data.locating import locate
from uss.data.manifest import Clip, read_manifest

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class CaptionedClip:
    """A recording, or a part of one, and what is said of it.

    Attributes:
        clip_id: of the manifest's row.
        path: of the file.
        caption: what is said of all of it; of a clip with labels alone, their names.
        phrases: of it, each of one source; at least one.
        span: the part of the file that is meant.
    """

    clip_id: str
    path: Path
    caption: str
    phrases: tuple[str, ...]
    span: Span = WHOLE


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
    spans = read_spans(manifest)
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
            span = spans.get(clip.clip_id, WHOLE)
            found.append(CaptionedClip(clip.clip_id, root / clip.path, caption, phrases, span))
    if not found:
        raise InputError(
            f"{manifest} has no row to learn from: {silent} of {len(clips)} have neither caption "
            f"nor labels, {missing} no file in {audio_root}; check both"
        )
    if silent or missing:
        logger.warning(
            "%s: rows without caption or labels: %d, without a file in %s: %d; rows left: %d",
            *(manifest, silent, audio_root, missing, len(found)),
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
    waveform = read_part(clip.path, clip.span, sample_rate)
    free = len(waveform) - num_samples
    if free >= 0:
        first = int(place * free)
        return waveform[first : first + num_samples]
    padded = np.zeros(num_samples, np.float32)
    first = int(place * (1 - free))
    padded[first : first + len(waveform)] = waveform
    return padded


def _said(clip: Clip, ontology: Ontology) -> tuple[str, tuple[str, ...]]:
    # What is said twice is one source: asked for twice, it would have to be half of itself.
    phrases = tuple(dict.fromkeys(phrases_of(clip.caption)))
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
