"""Scenes drawn from labelled clips: a random but repeatable test of detection and separation."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from ontology import load_ontology
from uss.core.arrays import Waveform
from uss.core.errors import InputError
from uss.data.manifest import Clip
from uss.evaluation.excerpts import load_excerpt
from uss.evaluation.scenes.rendering import faded, render
from uss.evaluation.scenes.scene import (
    DEFAULT_SAMPLE_RATE,
    DEFAULT_SCENE_SECONDS,
    Background,
    Scene,
    SceneEvent,
)

MAX_EVENTS = 5
MAX_EVENT_SECONDS = 5.0
EVENT_LEVELS_DBFS = (-32.0, -20.0)
BACKGROUND_BELOW_DB = (15.0, 30.0)
"""Below the middle of the events' levels."""
BACKGROUND_EXPONENTS = (0.0, 2.0)
BACKGROUND_PROBABILITY = 0.5
MAX_PEAK = 0.95
_SEARCH_SECONDS = 0.05
# A list is read by people: rounding is finer than a sample at 192 kHz, and far below hearing.
_TIME_DIGITS = 6
_GAIN_DIGITS = 3


def draw_scenes(
    clips: Sequence[Clip],
    root: Path,
    *,
    seed: int,
    num_scenes: int,
    seconds: float = DEFAULT_SCENE_SECONDS,
    sample_rate: int = DEFAULT_SAMPLE_RATE,
    track: Callable[[Sequence[int]], Iterable[int]] = list,
) -> list[Scene]:
    """Draw scenes of 0 to 5 overlapping events, with or without background noise.

    An event is the loudest excerpt of its clip, of 5 s or the whole clip. Classes are drawn
    uniformly, whatever the number of their clips; no event's class lies above or below another's.
    Scene n depends on the seed, the clips and n alone.

    Args:
        clips: of a manifest; those without a path or labels are left out.
        root: the folder their paths start from.
        seed: of all scenes.
        num_scenes: how many.
        seconds: how long each is.
        sample_rate: of the scenes, in Hz.
        track: passes on the numbers of the scenes, and may show how far they are.

    Returns:
        Scenes whose samples never exceed 0.95.

    Raises:
        OSError: if a clip is missing or cannot be read.
        InputError: if no clip has labels, a label is unknown, or a clip drawn is silent.
    """
    by_class = clips_by_class(clips)
    if not by_class:
        raise InputError("no clip has both a path and labels; scenes are made of labelled clips")
    scenes = []
    for number in track(range(num_scenes)):
        rng = np.random.default_rng([seed, number])
        chosen = _choose_clips(by_class, rng)
        events = tuple(_draw_event(clip, root, seconds, sample_rate, rng) for clip in chosen)
        background = None
        if not events or rng.random() < BACKGROUND_PROBABILITY:
            background = _draw_background(rng)
        scene = Scene(f"scene-{number:04d}", events, background, seconds, sample_rate, seed)
        scenes.append(limit_peak(scene, root))
    return scenes


def clips_by_class(clips: Sequence[Clip]) -> dict[str, list[Clip]]:
    """Sort clips by their most specific class: the first label with no other label below it.

    Labels that are no classes of the taggers do not count.

    Raises:
        InputError: if a label is unknown.
    """
    ontology = load_ontology("graph")
    by_class: dict[str, list[Clip]] = {}
    for clip in clips:
        if not clip.path:
            continue
        unknown = [mid for mid in clip.mids if mid not in ontology.nodes]
        if unknown:
            raise InputError(
                f"clip {clip.clip_id}: {unknown[0]!r} is not an AudioSet mid; correct the manifest"
            )
        for mid in clip.mids:
            below = {node.mid for node in ontology.descendants(mid)}
            if below.isdisjoint(clip.mids) and ontology.nodes[mid].class_index is not None:
                by_class.setdefault(mid, []).append(clip)
                break
    return by_class


def limit_peak(scene: Scene, root: Path) -> Scene:
    """Lower all gains alike where the mixture would exceed 0.95."""
    peak = float(np.abs(render(scene, root).mixture).max())
    if peak <= MAX_PEAK:
        return scene
    step = 10.0**-_GAIN_DIGITS
    change_db = math.floor(20.0 * math.log10(MAX_PEAK / peak) / step) * step

    def lowered(gain_db: float) -> float:
        return round(gain_db + change_db, _GAIN_DIGITS)

    noise = scene.background
    return replace(
        scene,
        events=tuple(replace(event, gain_db=lowered(event.gain_db)) for event in scene.events),
        background=noise and replace(noise, level_dbfs=lowered(noise.level_dbfs)),
    )


def loudest_start(waveform: Waveform, num_samples: int, step_samples: int) -> int:
    """Find where the loudest excerpt of (1, T) starts, to a step.

    Args:
        waveform: not shorter than the excerpt.
        num_samples: length of the excerpt.
        step_samples: starts are multiples of it.
    """
    energy = np.concatenate([[0.0], np.cumsum(np.square(waveform[0], dtype=np.float64))])
    starts = np.arange(0, waveform.shape[1] - num_samples + 1, step_samples)
    return int(starts[np.argmax(energy[starts + num_samples] - energy[starts])])


def _choose_clips(by_class: Mapping[str, Sequence[Clip]], rng: np.random.Generator) -> list[Clip]:
    """Draw up to five clips whose classes do not contain one another."""
    ontology = load_ontology("graph")
    wanted = int(rng.integers(MAX_EVENTS + 1))
    mids = sorted(by_class)
    chosen: list[Clip] = []
    related: set[str] = set()
    for index in rng.permutation(len(mids)):
        if len(chosen) == wanted:
            break
        mid = mids[index]
        if mid not in related:
            candidates = by_class[mid]
            chosen.append(candidates[int(rng.integers(len(candidates)))])
            family = (*ontology.ancestors(mid), *ontology.descendants(mid))
            related |= {mid, *(node.mid for node in family)}
    return chosen


def _draw_event(
    clip: Clip, root: Path, scene_seconds: float, sample_rate: int, rng: np.random.Generator
) -> SceneEvent:
    waveform = load_excerpt(clip.path, root, sample_rate=sample_rate).waveform
    scene_samples = round(scene_seconds * sample_rate)
    longest = min(round(MAX_EVENT_SECONDS * sample_rate), scene_samples)
    num_samples = min(longest, waveform.shape[1])
    start = loudest_start(waveform, num_samples, max(1, round(_SEARCH_SECONDS * sample_rate)))
    excerpt = faded(waveform[:, start : start + num_samples], sample_rate, fade_in=start > 0)
    rms = float(np.sqrt(np.mean(np.square(excerpt, dtype=np.float64))))
    if rms == 0.0:
        raise InputError(f"{clip.path} is silent; leave clip {clip.clip_id} out of the manifest")
    onset = int(rng.integers(scene_samples - num_samples + 1))
    gain_db = rng.uniform(*EVENT_LEVELS_DBFS) - 20.0 * math.log10(rms)
    return SceneEvent(
        path=clip.path,
        mids=clip.mids,
        onset_seconds=round(onset / sample_rate, _TIME_DIGITS),
        start_seconds=round(start / sample_rate, _TIME_DIGITS),
        seconds=round(num_samples / sample_rate, _TIME_DIGITS),
        gain_db=round(gain_db, _GAIN_DIGITS),
    )


def _draw_background(rng: np.random.Generator) -> Background:
    below_db = rng.uniform(*BACKGROUND_BELOW_DB)
    return Background(
        level_dbfs=round(sum(EVENT_LEVELS_DBFS) / 2.0 - below_db, _GAIN_DIGITS),
        exponent=round(rng.uniform(*BACKGROUND_EXPONENTS), _GAIN_DIGITS),
        seed=int(rng.integers(2**31)),
    )
