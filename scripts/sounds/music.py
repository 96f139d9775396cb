"""Played and sung pitches: strings, synthesizer, drum machine, whistling, birds, crickets."""

from __future__ import annotations

import numpy as np

from sounds.signals import (
    SAMPLE_RATE,
    Waveform,
    add_at,
    band_pass,
    coloured_noise,
    decay,
    drift,
    harmonic_tone,
    ramps,
    sine,
    time_axis,
)

SCALES = ((0, 2, 4, 5, 7, 9, 11), (0, 2, 3, 5, 7, 8, 10), (0, 2, 4, 7, 9), (0, 3, 5, 7, 10))


def note_hz(midi: float) -> float:
    """Frequency of a MIDI note number."""
    return 440.0 * 2 ** ((midi - 69) / 12)


def plucked_string(
    frequency_hz: float, num_samples: int, damping: float, rng: np.random.Generator
) -> Waveform:
    """Karplus and Strong (1983), one period at a time."""
    period = max(2, round(SAMPLE_RATE / frequency_hz))
    wave = band_pass(rng.uniform(-1, 1, period), 0.0, 6000.0, order=1)
    wave -= wave.mean()
    string = np.empty((num_samples // period + 1, period))
    for row in string:
        row[:] = wave
        wave = damping * 0.5 * (wave + np.roll(wave, 1))
    return string.reshape(-1)[:num_samples]


def random_walk(scale: tuple[int, ...], count: int, rng: np.random.Generator) -> list[int]:
    """Semitones of a melody that moves mostly by steps through two octaves."""
    degrees = np.cumsum(rng.choice([-2, -1, -1, 0, 1, 1, 2, 3], count))
    folded = np.abs(np.mod(degrees + 2 * len(scale), 4 * len(scale)) - 2 * len(scale))
    return [12 * int(d // len(scale)) + scale[int(d % len(scale))] for d in folded]


def plucked_melody(num_samples: int, rng: np.random.Generator) -> Waveform:
    """A guitar-like melody, with a bass note or strummed chord now and then."""
    scale = SCALES[rng.integers(len(SCALES))]
    step_seconds = 60 / rng.uniform(80, 150) / 2
    base = int(rng.integers(45, 57))
    count = int(num_samples / SAMPLE_RATE / step_seconds) + 1
    melody = np.zeros(num_samples)
    for index, semitone in enumerate(random_walk(scale, count, rng)):
        start = round(index * step_seconds * SAMPLE_RATE)
        notes = [base + 12 + semitone] if rng.random() < 0.8 else []
        if index % 8 == 0:
            notes += [base - 12 + scale[0], base, base + scale[2], base + scale[-3]]
        elif index % 4 == 0:
            notes.append(base - 12 + scale[-3])
        for number, note in enumerate(notes):
            pluck = plucked_string(note_hz(note), round(1.8 * SAMPLE_RATE), 0.996, rng)
            fading = pluck * np.linspace(1, 0, len(pluck)) ** 0.5
            add_at(melody, rng.uniform(0.6, 1.0) * fading, start + number * 500)
    return body_resonance(melody, rng)


def body_resonance(waveform: Waveform, rng: np.random.Generator) -> Waveform:
    """Lifts the air and wood modes of a guitar body."""
    air_hz, wood_hz = rng.uniform(95, 120), rng.uniform(190, 260)
    lifted = waveform + 0.8 * band_pass(waveform, air_hz * 0.8, air_hz * 1.25)
    return lifted + 0.8 * band_pass(waveform, wood_hz * 0.8, wood_hz * 1.25)


def synthesizer(num_samples: int, rng: np.random.Generator) -> Waveform:
    """Detuned saw chords and an arpeggio over them."""
    base = int(rng.integers(48, 60))
    chord_seconds = rng.uniform(0.9, 2.0)
    saw = 1.0 / np.arange(1, int(rng.integers(8, 20)))
    piece = np.zeros(num_samples)
    for index in range(int(num_samples / SAMPLE_RATE / chord_seconds) + 1):
        root = base + int(rng.choice([0, 5, 7, 9, -3]))
        chord_samples = round(chord_seconds * SAMPLE_RATE)
        envelope = ramps(np.pad(np.ones(chord_samples - 1600), 800), 0.04)
        start = round(index * chord_seconds * SAMPLE_RATE)
        for semitone in (0, 4 if rng.random() < 0.6 else 3, 7):
            for detune in (0.997, 1.003):
                tone = harmonic_tone(note_hz(root + semitone) * detune, saw, chord_samples)
                add_at(piece, 0.4 * tone * envelope, start)
        for step in range(8):
            note = note_hz(root + 12 + int(rng.choice([0, 4, 7, 12])))
            blip_samples = chord_samples // 8
            blip = harmonic_tone(note, saw, blip_samples) * decay(blip_samples, chord_seconds / 6)
            add_at(piece, blip, start + step * blip_samples)
    return band_pass(piece, 40.0, rng.uniform(1500, 8000))


def drum_sounds(rng: np.random.Generator) -> dict[str, Waveform]:
    """Kick, snare and hi-hat of an analogue drum machine."""
    kick_samples = round(0.4 * SAMPLE_RATE)
    bend = rng.uniform(42, 60) * (1 + 4 * decay(kick_samples, 0.12))
    kick = 1.5 * sine(bend, kick_samples) * decay(kick_samples, rng.uniform(0.2, 0.5))
    snare_samples = round(0.25 * SAMPLE_RATE)
    rattle = band_pass(rng.standard_normal(snare_samples), 1000.0, 9000.0)
    snare = 0.6 * rattle * decay(snare_samples, rng.uniform(0.12, 0.3))
    snare += 0.7 * sine(rng.uniform(170, 220), snare_samples) * decay(snare_samples, 0.12)
    hat_samples = round(0.1 * SAMPLE_RATE)
    hat = 0.4 * band_pass(rng.standard_normal(hat_samples), 6500.0, 15000.0, order=4)
    return {"kick": kick, "snare": snare, "hat": hat * decay(hat_samples, rng.uniform(0.03, 0.1))}


def drum_machine(num_samples: int, rng: np.random.Generator) -> Waveform:
    """A one-bar pattern in sixteenths, repeated."""
    drums = drum_sounds(rng)
    step_seconds = 60 / rng.uniform(85, 140) / 4
    kicks = (rng.random(16) < 0.2) | (np.arange(16) % 8 == 0)
    snares = (rng.random(16) < 0.06) | (np.arange(16) % 8 == 4)
    hats = (rng.random(16) < 0.3) | (np.arange(16) % 2 == 0)
    beat = np.zeros(num_samples)
    for step in range(int(num_samples / SAMPLE_RATE / step_seconds) + 1):
        start = round(step * step_seconds * SAMPLE_RATE)
        for hits, name in ((kicks, "kick"), (snares, "snare"), (hats, "hat")):
            if hits[step % 16]:
                add_at(beat, drums[name] * rng.uniform(0.8, 1.0), start)
    return np.tanh(beat)


def whistling(num_samples: int, rng: np.random.Generator) -> Waveform:
    """A person whistling a tune: gliding sine, vibrato, breath."""
    scale = SCALES[rng.integers(2)]
    step_seconds = rng.uniform(0.22, 0.5)
    count = int(num_samples / SAMPLE_RATE / step_seconds) + 2
    notes = np.array(random_walk(scale, count, rng)) + rng.integers(80, 88)
    knots = (np.arange(count)[:, None] + [0.0, 0.7]).reshape(-1) * step_seconds
    time = time_axis(num_samples)
    semitones = np.interp(time, knots, np.repeat(notes, 2))
    semitones += 0.2 * np.sin(2 * np.pi * rng.uniform(4.5, 6.5) * time)
    frequency = 440 * 2 ** ((semitones - 69) / 12)
    tongue = np.interp(np.mod(time / step_seconds, 1), [0, 0.1, 0.75, 1], [0.15, 1, 0.9, 0.15])
    breath = band_pass(coloured_noise(num_samples, 0.0, rng), 1000.0, 6000.0)
    return tongue * (harmonic_tone(frequency, (1, 0.06, 0.02), num_samples) + 0.03 * breath)


def syllable(shape: int, rng: np.random.Generator) -> Waveform:
    """One chirp of a bird: up, down, arched or trilled."""
    num_samples = round(rng.uniform(0.05, 0.22) * SAMPLE_RATE)
    position = np.linspace(0, 1, num_samples)
    low, high = rng.uniform(2200, 4000), rng.uniform(4200, 7500)
    bends = (position, 1 - position, np.sin(np.pi * position), 0.5 + 0.5 * np.sin(40 * position))
    tone = harmonic_tone(low * (high / low) ** bends[shape], (1, 0.1), num_samples)
    return tone * np.sin(np.pi * position) ** 0.7


def bird_song(num_samples: int, rng: np.random.Generator) -> Waveform:
    """Phrases of two or three kinds of chirp, each repeated, with pauses."""
    song = np.zeros(num_samples)
    kinds = [syllable(int(rng.integers(4)), rng) for _ in range(3)]
    moment = rng.uniform(0.05, 0.3)
    while moment < num_samples / SAMPLE_RATE:
        chirp = kinds[rng.integers(3)]
        gap = len(chirp) / SAMPLE_RATE + rng.uniform(0.02, 0.12)
        for _ in range(int(rng.integers(2, 8))):
            add_at(song, rng.uniform(0.5, 1.0) * chirp, round(moment * SAMPLE_RATE))
            moment += gap
        moment += rng.uniform(0.1, 0.8)
    air = coloured_noise(num_samples, 0.5, rng)
    return song + 10 ** rng.uniform(-3, -1.8) * air


def cricket(num_samples: int, rng: np.random.Generator) -> Waveform:
    """Chirps of three to five wing strokes near 4.5 kHz."""
    time = time_axis(num_samples)
    stroke_hz = rng.uniform(25, 40)
    strokes = np.maximum(0, np.sin(2 * np.pi * stroke_hz * time)) ** 1.5
    chirp_seconds = int(rng.integers(3, 6)) / stroke_hz
    gate = np.mod(time, chirp_seconds * rng.uniform(1.8, 3.5)) < chirp_seconds
    pitch = rng.uniform(4000, 5200) * (0.995 + 0.01 * drift(num_samples, 5, rng))
    return sine(pitch, num_samples) * strokes * ramps(gate.astype(np.float64), 0.004)
