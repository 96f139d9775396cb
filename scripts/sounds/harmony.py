"""Phrases of several voices: chords, pads, strums, broken chords, melodies over them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from sounds.music import random_walk
from sounds.phrases import (
    ARTICULATIONS,
    RHYTHMS,
    Note,
    Phrase,
    Pitches,
    draw_rhythm,
    into,
    loudness,
    melody,
    onsets,
)

CHORDS = ((0, 4, 7), (0, 3, 7), (0, 4, 7, 11), (0, 3, 7, 10), (0, 5, 7), (0, 7, 12), (0, 4, 9))
PIPE_SCALE = (0, 2, 4, 5, 7, 9, 10)
ROOTS = (0, 5, 7, 9, 2, -3)


def chord(base: int, pitches: Pitches, rng: np.random.Generator) -> list[int]:
    """Ascending notes of a chord on one of the common roots above ``base``."""
    root = base + int(rng.choice(ROOTS))
    shape = CHORDS[rng.integers(len(CHORDS))]
    return sorted({into(root + interval, pitches) for interval in shape})


def middle(pitches: Pitches, rng: np.random.Generator) -> int:
    """A base note for chords, in the lower half of the range."""
    return int(rng.integers(pitches[0], max(pitches[0] + 1, (pitches[0] + pitches[-1]) // 2)))


def chords(pitches: Pitches, seconds: float, rng: np.random.Generator) -> Phrase:
    """Block chords, struck together."""
    spans, base = draw_rhythm(seconds, rng), middle(pitches, rng)
    velocity, held = loudness(rng), float(rng.choice(ARTICULATIONS))
    notes, current = [], chord(base, pitches, rng)
    for start, length in spans:
        if rng.random() < 0.4:
            current = chord(base, pitches, rng)
        notes += [Note(start, length * held, pitch, velocity()) for pitch in current]
    return Phrase(tuple(notes))


def pads(pitches: Pitches, seconds: float, rng: np.random.Generator) -> Phrase:
    """Slow chords that run into each other."""
    spans, base = onsets(seconds, rng.uniform(1.0, 3.0), (1,)), middle(pitches, rng)
    velocity = loudness(rng)
    return Phrase(
        tuple(
            Note(start, length * 0.98, pitch, velocity())
            for start, length in spans
            for pitch in chord(base, pitches, rng)
        )
    )


def strums(pitches: Pitches, seconds: float, rng: np.random.Generator) -> Phrase:
    """Chords over four to six strings, one string after another, down and up."""
    beat_seconds = 60 / rng.uniform(70, 140)
    spans = onsets(seconds, beat_seconds, RHYTHMS[rng.integers(6)])
    base, velocity, spread = middle(pitches, rng), loudness(rng), rng.uniform(0.008, 0.03)
    notes, current = [], chord(base, pitches, rng)
    for index, (start, length) in enumerate(spans):
        if rng.random() < 0.25:
            current = chord(base, pitches, rng)
        doubled = sorted({*current, *(into(pitch + 12, pitches) for pitch in current)})
        strings = doubled if index % 2 == 0 else doubled[:1:-1]
        notes += [
            Note(start + number * spread, max(0.05, length * 0.95), pitch, velocity())
            for number, pitch in enumerate(strings)
        ]
    return Phrase(tuple(notes))


def arpeggio(pitches: Pitches, seconds: float, rng: np.random.Generator) -> Phrase:
    """Broken chords, up or up and down, the notes ringing on."""
    step_seconds, base = rng.uniform(0.09, 0.35), middle(pitches, rng)
    velocity, held = loudness(rng), float(rng.uniform(1.0, 4.0))
    there_and_back = rng.random() < 0.5
    run: list[int] = []
    while len(run) * step_seconds < seconds:
        current = chord(base, pitches, rng)
        current += [pitch + 12 for pitch in current if pitch + 12 <= pitches[-1]]
        run += current + (current[-2:0:-1] if there_and_back else [])
    return Phrase(
        tuple(
            Note(index * step_seconds, step_seconds * held, pitch, velocity())
            for index, pitch in enumerate(run)
            if index * step_seconds < seconds
        )
    )


def two_hands(pitches: Pitches, seconds: float, rng: np.random.Generator) -> Phrase:
    """A melody over chords."""
    split = (pitches[0] + pitches[-1]) // 2
    lower = [pitch for pitch in pitches if pitch <= split]
    upper = [pitch for pitch in pitches if pitch > split]
    left = pads(lower, seconds, rng) if rng.random() < 0.6 else arpeggio(lower, seconds, rng)
    return Phrase(melody(upper, seconds, rng).notes + left.notes)


def droned(pitches: Pitches, seconds: float, rng: np.random.Generator) -> Phrase:
    """A quick legato tune over a held tonic, as pipes play it."""
    tonic, velocity = pitches[0], loudness(rng)
    spans = draw_rhythm(seconds, rng)
    tune = [
        Note(start, length, into(tonic + 12 + step, pitches), velocity())
        for (start, length), step in zip(
            spans, random_walk(PIPE_SCALE, len(spans), rng), strict=True
        )
    ]
    return Phrase((*tune, Note(0.0, seconds, tonic, velocity())))


def ensemble(pitches: Pitches, seconds: float, rng: np.random.Generator) -> Phrase:
    """A melody in octaves over slow chords, as many players have it."""
    low, high = pitches[0], pitches[-1]
    upper = melody(range((low + high) // 2, high + 1), seconds, rng).notes
    doubled = [replace(note, pitch=note.pitch - 12) for note in upper]
    lower = pads(range(low, (low + high) // 2 + 1), seconds, rng).notes
    return Phrase((*upper, *doubled, *lower))
