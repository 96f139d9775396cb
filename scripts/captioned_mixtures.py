"""Recordings of several sounds with a caption, made of clips of single ones.

What a film archive has, and clips for training have not: nobody hears one sound alone. Two clips of
classes that exclude each other are mixed, at up to 5 dB around equal level, and what is said of
them is joined by "and". What is said of one is a caption of somebody's that has just its label, if
there is one, else the name of its class.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from ontology import load_ontology
from uss.audio import read_mono, write_audio
from uss.core.errors import InputError
from uss.core.files import written_whole
from uss.data.caption_phrases import phrases_of
from uss.data.manifest import Clip, read_manifest

SAMPLE_RATE = 32_000
SECONDS = 10.0
_LEVEL_DB = 5.0
_MAX_PEAK = 0.99
_SILENCE = 1e-6

Captions = Mapping[str, Sequence[str]]


def make_mixtures(
    audio: Path, folder: Path, captions: Captions, num_mixtures: int, seed: int
) -> Path:
    """Write mixtures of two training clips each, and their manifest.

    Args:
        audio: folder with ``clips.csv``, which has a column ``split``, and its clips.
        folder: gets ``captions.csv`` and the mixtures.
        captions: of a class, by its mid; see ``captions_of_classes``.
        num_mixtures: how many.
        seed: of the drawing.

    Returns:
        The manifest; one that is there already is not made again.
    """
    manifest = folder / "captions.csv"
    if manifest.exists():
        return manifest
    rng = np.random.default_rng(seed)
    clips = [clip for clip in read_manifest(audio / "clips.csv", "train") if _family(clip)]
    families = [_family(clip) for clip in clips]
    (folder / "mixtures").mkdir(parents=True, exist_ok=True)
    rows = []
    for number in range(num_mixtures):
        first, second = _pair(families, rng)
        said = [_said_of(clips[each], captions, rng) for each in (first, second)]
        waveform = _mixed(*(_read(audio / clips[k].path) for k in (first, second)), rng)
        path = f"mixtures/{number:05d}.flac"
        write_audio(folder / path, waveform[None], SAMPLE_RATE, "PCM_16")
        mids = dict.fromkeys((*clips[first].mids, *clips[second].mids))
        rows.append([f"{number:05d}", path, ";".join(mids), " and ".join(said)])
    with written_whole(manifest) as part, part.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["clip_id", "path", "mids", "caption"])
        writer.writerows(rows)
    return manifest


def captions_of_classes(path: Path | None) -> dict[str, list[str]]:
    """Find captions, of a CSV file with ``caption``, ``mids`` and ``split``, that speak of a class.

    Args:
        path: the file; None for no captions.

    Returns:
        Mid -> captions of the split ``train`` of one phrase each that have this label, and beside
        it at most labels above it.

    Raises:
        InputError: if the file lacks a column.
    """
    found: dict[str, list[str]] = {}
    if path is None:
        return found
    with path.open(newline="", encoding="utf-8") as file:
        table = csv.DictReader(file)
        if not {"caption", "mids", "split"} <= set(table.fieldnames or ()):
            raise InputError(f"{path} lacks a column; captions need caption, mids and split")
        for row in table:
            phrases, mid = phrases_of(row["caption"]), _only_label(row["mids"].split(";"))
            if row["split"] == "train" and mid is not None and len(phrases) == 1:
                found.setdefault(mid, []).append(phrases[0].lower())
    return found


def _only_label(mids: Sequence[str]) -> str | None:
    """Find the label that all others lie above; None if there is none."""
    ontology = load_ontology()
    for mid in mids:
        if mid in ontology.nodes:
            above = {node.mid for node in ontology.ancestors(ontology.nodes[mid])}
            if above.issuperset(set(mids) - {mid}):
                return mid
    return None


def _said_of(clip: Clip, captions: Captions, rng: np.random.Generator) -> str:
    """What is said of a clip: of its most specific label, which comes first."""
    known = captions.get(clip.mids[0])
    if known:
        return str(rng.choice(known))
    # The commas of "Chink, clink" would cut it.
    return load_ontology().nodes[clip.mids[0]].name.lower().split(",")[0]


def _family(clip: Clip) -> set[str]:
    """The labels, and all nodes above and below them; empty where the first is not known."""
    ontology = load_ontology()
    if not clip.mids or clip.mids[0] not in ontology.nodes:
        return set()
    nodes = [ontology.nodes[mid] for mid in clip.mids if mid in ontology.nodes]
    above = {node.mid for each in nodes for node in ontology.ancestors(each)}
    below = {node.mid for each in nodes for node in ontology.descendants(each)}
    return {node.mid for node in nodes} | above | below


def _pair(families: Sequence[set[str]], rng: np.random.Generator) -> tuple[int, int]:
    """Draw two clips that share no class, nor one above or below."""
    for _ in range(1000):
        first, second = (int(each) for each in rng.choice(len(families), 2, replace=False))
        if not families[first] & families[second]:
            return first, second
    raise InputError("found no two clips of foreign classes; use clips of more classes")


def _read(path: Path) -> np.ndarray:
    return read_mono(path, SAMPLE_RATE)[: round(SECONDS * SAMPLE_RATE)]


def _mixed(first: np.ndarray, second: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Mix two waveforms; the shorter one begins anywhere that lets it end in time."""
    if len(first) < len(second):
        first, second = second, first
    level = 10.0 ** (rng.uniform(-_LEVEL_DB, _LEVEL_DB) / 20.0)
    rms = [max(float(np.sqrt(np.square(each).mean())), _SILENCE) for each in (first, second)]
    start = int(rng.integers(len(first) - len(second) + 1))
    mixed = first.copy()
    mixed[start : start + len(second)] += level * rms[0] / rms[1] * second
    return (mixed * min(1.0, _MAX_PEAK / max(float(np.abs(mixed).max()), _SILENCE))).astype(
        np.float32
    )
