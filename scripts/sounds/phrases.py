"""What an instrument plays: notes in time, the controllers that shape them, single voices.

A phrase maker is a function ``(pitches, seconds, rng) -> Phrase``; ``pitches`` are the MIDI
notes that the instrument may play, ascending.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from sounds.music import SCALES, random_walk

MODULATION, EXPRESSION = 1, 11
# Note lengths in beats, repeated until the phrase is full.
RHYTHMS: tuple[tuple[float, ...], ...] = (
    (1, 1, 0.5, 0.5, 1),
    (1.5, 0.5, 1, 1),
    (0.5, 0.5, 0.5, 0.5, 1, 1),
    (2, 1, 1),
    (1, 1, 2),
    (0.25, 0.25, 0.5, 0.5, 0.5, 1, 1),
    (1 / 3, 1 / 3, 1 / 3, 1, 1 / 3, 1 / 3, 1 / 3, 1),
    (0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5),
    (0.25, 0.25, 0.25, 0.25, 0.25, 0.25, 0.25, 0.25),
)
# How long a note sounds, as a part of the time to the next: staccato, detached, legato.
ARTICULATIONS = (0.3, 0.55, 0.85, 0.95, 1.05)


@dataclass(frozen=True)
class Note:
    """One key that is struck and let go."""

    start_seconds: float
    duration_seconds: float
    pitch: int
    velocity: int


@dataclass(frozen=True)
class Control:
    """A controller that is set at a time."""

    seconds: float
    controller: int
    value: int


@dataclass(frozen=True)
class Phrase:
    """Notes and controllers, in any order."""

    notes: tuple[Note, ...]
    controls: tuple[Control, ...] = ()


Pitches: TypeAlias = Sequence[int]
PhraseMaker: TypeAlias = Callable[[Pitches, float, np.random.Generator], Phrase]


def into(pitch: int, pitches: Pitches) -> int:
    """Moves a note by octaves into the range; one that no octave brings there goes to its edge."""
    low, high = pitches[0], pitches[-1]
    while pitch > high:
        pitch -= 12
    while pitch < low:
        pitch += 12
    return min(pitch, high)


def loudness(rng: np.random.Generator) -> Callable[[], int]:
    """Draws a dynamic from soft to loud; each call gives the velocity of one note around it."""
    level = rng.uniform(45, 112)
    return lambda: int(np.clip(round(level + rng.normal(0, 8)), 20, 127))


def onsets(
    seconds: float, beat_seconds: float, rhythm: Sequence[float]
) -> list[tuple[float, float]]:
    """Start and length of the notes of a rhythm until the time is over."""
    spans, start, index = [], 0.0, 0
    while start < seconds:
        length = rhythm[index % len(rhythm)] * beat_seconds
        spans.append((start, length))
        start, index = start + length, index + 1
    return spans


def draw_rhythm(seconds: float, rng: np.random.Generator) -> list[tuple[float, float]]:
    """A rhythm at a tempo between adagio and presto, no note under 70 ms."""
    rhythm = RHYTHMS[rng.integers(len(RHYTHMS))]
    beat_seconds = max(60 / rng.uniform(58, 172), 0.07 / min(rhythm))
    return onsets(seconds, beat_seconds, rhythm)


def melody(pitches: Pitches, seconds: float, rng: np.random.Generator) -> Phrase:
    """One voice that moves mostly by steps; a rest now and then, but not at the start."""
    spans = draw_rhythm(seconds, rng)
    steps = random_walk(SCALES[rng.integers(len(SCALES))], len(spans), rng)
    base = int(rng.integers(pitches[0], max(pitches[0] + 1, pitches[-1] - 18)))
    velocity, held = loudness(rng), float(rng.choice(ARTICULATIONS))
    return Phrase(
        tuple(
            Note(start, length * held, into(base + step, pitches), velocity())
            for (start, length), step in zip(spans, steps, strict=True)
            if rng.random() < 0.93 or start == 0
        ),
        vibrato(rng),
    )


def vibrato(rng: np.random.Generator) -> tuple[Control, ...]:
    """The modulation wheel, in one phrase of three."""
    return (Control(0.0, MODULATION, int(rng.integers(15, 60))),) if rng.random() < 0.33 else ()


def sustained(pitches: Pitches, seconds: float, rng: np.random.Generator) -> Phrase:
    """One to three long notes that swell and fade."""
    count = int(rng.integers(1, 4))
    base = int(rng.integers(pitches[0], pitches[-1] + 1))
    length = seconds / count
    velocity = loudness(rng)
    notes = [
        Note(
            index * length,
            length * rng.uniform(0.8, 1.0),
            into(base + int(rng.choice([0, 2, 4, 5, 7, -1, -3, -5])), pitches),
            velocity(),
        )
        for index in range(count)
    ]
    times = np.arange(0.0, seconds, 0.05)
    swell = 1 - rng.uniform(0.1, 0.6) * np.cos(np.pi * times / length + rng.uniform(-1, 1)) ** 2
    swells = [
        Control(float(time), EXPRESSION, int(127 * value))
        for time, value in zip(times, swell, strict=True)
    ]
    return Phrase(tuple(notes), (*swells, *vibrato(rng)))


def bass_line(pitches: Pitches, seconds: float, rng: np.random.Generator) -> Phrase:
    """Roots, fifths and octaves under a pulse."""
    beat_seconds, velocity = 60 / rng.uniform(70, 150), loudness(rng)
    rhythm = ((1,), (0.5,), (0.75, 0.75, 0.5), (1, 0.5, 0.5), (2,), (1.5, 0.5))[rng.integers(6)]
    held = float(rng.choice(ARTICULATIONS))
    root = int(rng.integers(pitches[0], pitches[0] + 12))
    notes = []
    for index, (start, length) in enumerate(onsets(seconds, beat_seconds, rhythm)):
        if index % 8 == 7:
            root += int(rng.choice([-5, -2, 2, 3, 5]))
        pitch = into(root + int(rng.choice([0, 0, 0, 7, 12, 10, 3])), pitches)
        notes.append(Note(start, length * held, pitch, velocity()))
    return Phrase(tuple(notes))


def tremolo(pitches: Pitches, seconds: float, rng: np.random.Generator) -> Phrase:
    """Notes struck again and again, as mallets and mandolins do to hold them."""
    rate_seconds, velocity = 1 / rng.uniform(9, 15), loudness(rng)
    long = melody(pitches, seconds, rng).notes if rng.random() < 0.5 else ()
    held = long or sustained(pitches, seconds, rng).notes
    return Phrase(
        tuple(
            Note(note.start_seconds + start, rate_seconds, note.pitch, velocity())
            for note in held
            for start, _ in onsets(note.duration_seconds, rate_seconds, (1,))
        )
    )
