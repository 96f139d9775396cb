"""Phrases of instruments that keep time: drum kits, single drums, shakers, rolls, crashes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from sounds.phrases import Note, Phrase, Pitches, loudness

HIT_SECONDS = 0.2
# Sixteenths of one bar. Each style: bass drum, snare drum, hi-hat or ride.
GROOVES = (
    ("x.......x.......", "....x.......x...", "x.x.x.x.x.x.x.x."),
    ("x.......x.x.....", "....x.......x...", "x.x.x.x.x.x.x.x."),
    ("x..x..x.x..x....", "....x.......x..x", "xxxxxxxxxxxxxxxx"),
    ("x...x...x...x...", "....x.......x...", "..x...x...x...x."),
    ("x.....x...x.....", "....x..x.x..x...", "x.x.x.x.x.x.x.x."),
    ("x.........x.....", "........x.......", "x...x...x...x..."),
    ("x..............x", "....x.......x...", "x...x.xx...x.xx."),
)
BASS, SNARE, CLOSED_HAT, OPEN_HAT, RIDE, CRASH = 36, 38, 42, 46, 51, 49
TOMS = (50, 48, 47, 45, 43, 41)
KIT = (BASS, SNARE, CLOSED_HAT, OPEN_HAT, RIDE, CRASH, *TOMS)


def groove(pitches: Pitches, seconds: float, rng: np.random.Generator) -> Phrase:
    """A whole drum kit: bars of one groove, fills over the toms, crashes after them."""
    step_seconds, velocity = 60 / rng.uniform(75, 165) / 4, loudness(rng)
    lines = GROOVES[rng.integers(len(GROOVES))]
    keys = (BASS, SNARE, CLOSED_HAT if rng.random() < 0.7 else RIDE)
    notes = []
    for step in range(int(seconds / step_seconds)):
        start, place, bar = step * step_seconds, step % 16, step // 16
        if bar % 2 == 1 and place >= 12:
            pitch = TOMS[(place - 12 + int(rng.integers(3))) % len(TOMS)]
            notes.append(Note(start, HIT_SECONDS, pitch, velocity()))
            continue
        for key, line in zip(keys, lines, strict=True):
            if line[place] == "x" and rng.random() < 0.95:
                played = OPEN_HAT if key == CLOSED_HAT and place == 14 else key
                notes.append(Note(start, HIT_SECONDS, played, velocity()))
        if place == 0 and bar % 2 == 0:
            notes.append(Note(start, HIT_SECONDS, CRASH, velocity()))
    return Phrase(tuple(notes))


def rhythm(pitches: Pitches, seconds: float, rng: np.random.Generator) -> Phrase:
    """One drum or pair of drums: a bar drawn at random and repeated, with accents."""
    step_seconds, velocity = 60 / rng.uniform(80, 150) / 4, loudness(rng)
    bar = rng.random(16) < rng.uniform(0.25, 0.6)
    bar[0] = True
    keys = rng.choice(pitches, 16)
    return Phrase(
        tuple(
            Note(step * step_seconds, HIT_SECONDS, int(keys[step % 16]), velocity())
            for step in range(int(seconds / step_seconds))
            if bar[step % 16]
        )
    )


def steady(pitches: Pitches, seconds: float, rng: np.random.Generator) -> Phrase:
    """Even strokes with an accent on the beat, as shakers and hi-hats play."""
    step_seconds = rng.uniform(0.09, 0.24)
    velocity, key = loudness(rng), int(rng.choice(pitches))
    per_beat = int(rng.choice([2, 3, 4]))
    return Phrase(
        tuple(
            Note(
                step * step_seconds,
                HIT_SECONDS,
                key if rng.random() < 0.85 else int(rng.choice(pitches)),
                max(20, velocity() - (25 if step % per_beat else 0)),
            )
            for step in range(int(seconds / step_seconds))
        )
    )


def strokes(pitches: Pitches, seconds: float, rng: np.random.Generator) -> Phrase:
    """Single strokes that ring on, one to every one or two seconds."""
    velocity, start, notes = loudness(rng), 0.0, []
    while start < seconds:
        length = rng.uniform(0.5, 2.2)
        notes.append(Note(start, length, int(rng.choice(pitches)), velocity()))
        start += length
    return Phrase(tuple(notes))


def roll(pitches: Pitches, seconds: float, rng: np.random.Generator) -> Phrase:
    """Strokes so fast that they run together, swelling, then perhaps a last one."""
    key, start, notes = int(rng.choice(pitches)), 0.0, []
    rate_hz, top = rng.uniform(17, 26), rng.uniform(70, 120)
    length = seconds * rng.uniform(0.6, 1.0)
    while start < length:
        swell = 0.45 + 0.55 * start / length
        stroke = int(np.clip(top * swell + rng.normal(0, 6), 15, 127))
        notes.append(Note(start, HIT_SECONDS, key, stroke))
        start += rng.normal(1, 0.08) / rate_hz
    notes.append(Note(length, HIT_SECONDS, key, int(min(127, top + 10))))
    return Phrase(tuple(notes))


def shaken(pitches: Pitches, seconds: float, rng: np.random.Generator) -> Phrase:
    """Even strokes, each with the softer one before it as the grains are thrown back."""
    swish_seconds = rng.uniform(0.03, 0.07)
    notes = []
    for note in steady(pitches, seconds, rng).notes:
        start = note.start_seconds + swish_seconds
        notes.append(replace(note, velocity=max(15, note.velocity // 2)))
        notes.append(replace(note, start_seconds=start))
    return Phrase(tuple(notes))
