"""Loud signals of the street and the sea: sirens, horns, whistles."""

from __future__ import annotations

import numpy as np

from sounds.signals import (
    SAMPLE_RATE,
    Waveform,
    band_pass,
    cadence,
    coloured_noise,
    drift,
    harmonic_tone,
    ramps,
    square_spectrum,
    time_axis,
)


def horn_spectrum(num_harmonics: int, brightness: float, rng: np.random.Generator) -> Waveform:
    """Uneven harmonics that fall off as 1/n**brightness."""
    orders = np.arange(1, num_harmonics + 1)
    return orders**-brightness * rng.uniform(0.4, 1.0, num_harmonics)


def outdoors(waveform: Waveform, rng: np.random.Generator) -> Waveform:
    """Two or three late echoes from house fronts and a bed of far traffic."""
    echoed = waveform.copy()
    for _ in range(3):
        delay_samples = round(rng.uniform(0.04, 0.35) * SAMPLE_RATE)
        if delay_samples < len(waveform):
            echoed[delay_samples:] += rng.uniform(0.05, 0.3) * waveform[:-delay_samples]
    traffic = coloured_noise(len(waveform), 1.4, rng)
    return echoed + 10 ** rng.uniform(-2.5, -1.3) * float(waveform.std()) * traffic


def civil_defense_siren(num_samples: int, rng: np.random.Generator) -> Waveform:
    """A rotor siren: slow rise and fall, or a steady note after its rise."""
    time = time_axis(num_samples)
    top_hz = rng.uniform(420, 700)
    if rng.random() < 0.6:
        period = rng.uniform(3.0, 7.0)
        bend = 0.5 - 0.5 * np.cos(2 * np.pi * (time / period + rng.random()))
        frequency = top_hz * (0.55 + 0.45 * bend)
    else:
        frequency = top_hz * (1 - 0.7 * np.exp(-time / rng.uniform(0.8, 2.0)))
    spectrum = horn_spectrum(16, 1.0, rng)
    second = harmonic_tone(frequency * 6 / 5, spectrum, num_samples)
    return outdoors(harmonic_tone(frequency, spectrum, num_samples) + second, rng)


def police_siren(num_samples: int, rng: np.random.Generator) -> Waveform:
    """An electronic siren: wail (slow), yelp (quick), or one after the other."""
    time = time_axis(num_samples)
    wail_hz, yelp_hz = rng.uniform(0.18, 0.35), rng.uniform(2.5, 4.0)
    rate = np.where(drift(num_samples, 0.3, rng) < rng.uniform(0, 1), wail_hz, yelp_hz)
    position = np.cumsum(rate) / SAMPLE_RATE + rng.random()
    bend = 0.5 - 0.5 * np.cos(2 * np.pi * position)
    low, high = rng.uniform(500, 750), rng.uniform(1200, 1700)
    tone = harmonic_tone(low * (high / low) ** bend, square_spectrum(9), num_samples)
    tone *= 1 + 0.1 * np.sin(2 * np.pi * 0.5 * time)
    return outdoors(band_pass(np.tanh(1.5 * tone), 400.0, 5000.0), rng)


def ambulance_siren(num_samples: int, rng: np.random.Generator) -> Waveform:
    """The European two-tone horn."""
    low = rng.uniform(420, 650)
    high = low * rng.choice([4 / 3, 1.25, 1.35])
    position = np.mod(time_axis(num_samples) / rng.uniform(0.9, 1.5) + rng.random(), 1)
    frequency = low + (high - low) * ramps((position < 0.5).astype(np.float64), 0.05)
    tone = np.tanh(1.5 * harmonic_tone(frequency, square_spectrum(15), num_samples))
    return outdoors(band_pass(tone, 500.0, 4500.0), rng)


def foghorn(num_samples: int, rng: np.random.Generator) -> Waveform:
    """A long low blast with breath noise."""
    pattern = (rng.uniform(1.5, 3.5), rng.uniform(1.5, 3.0))
    envelope = ramps(cadence(num_samples, pattern), 0.15)
    frequency = rng.uniform(85, 190) * (0.94 + 0.06 * envelope)
    tone = harmonic_tone(frequency, horn_spectrum(20, 1.1, rng), num_samples)
    breath = band_pass(coloured_noise(num_samples, 1.0, rng), 100.0, 1500.0)
    return outdoors(envelope * (tone + 0.08 * breath), rng)


def car_horn(num_samples: int, rng: np.random.Generator) -> Waveform:
    """Two reeds a third apart, short or long blasts."""
    low = rng.uniform(330, 460)
    pattern = []
    for _ in range(6):
        blast_seconds = rng.choice([0.15, 0.3, 0.8, 1.5]) * rng.uniform(0.8, 1.2)
        pattern += [blast_seconds, rng.uniform(0.1, 0.8)]
    gate = cadence(num_samples, pattern)
    reeds = np.zeros(num_samples)
    for pitch in (low, low * rng.uniform(1.18, 1.27)):
        reeds += harmonic_tone(
            pitch * (0.985 + 0.015 * gate), horn_spectrum(24, 0.3, rng), num_samples
        )
    return outdoors(band_pass(reeds, 900.0, 4000.0) * gate, rng)


def truck_horn(num_samples: int, rng: np.random.Generator) -> Waveform:
    """Air horn: a lower, brassy chord with a soft start."""
    pitch = rng.uniform(150, 260)
    envelope = ramps(cadence(num_samples, (rng.uniform(0.6, 2.5), rng.uniform(0.3, 1.2))), 0.06)
    chord = np.zeros(num_samples)
    for ratio in (1.0, rng.choice([1.2, 1.25]), 1.5):
        bend = pitch * ratio * (0.97 + 0.03 * envelope)
        chord += harmonic_tone(bend, horn_spectrum(40, 0.2, rng), num_samples)
    return outdoors(band_pass(chord, 400.0, 4000.0) * envelope, rng)


def steam_whistle(num_samples: int, rng: np.random.Generator) -> Waveform:
    """A chord of pipes over escaping steam, the pitch sagging at the end of each blast."""
    envelope = ramps(cadence(num_samples, (rng.uniform(0.8, 2.5), rng.uniform(0.4, 1.2))), 0.12)
    bend = 0.9 + 0.1 * envelope
    pitch = rng.uniform(330, 620)
    chord = np.zeros(num_samples)
    for ratio in (1.0, 1.25, 1.5, 1.8):
        chord += harmonic_tone(pitch * ratio * bend, (1, 0.15, 0.35, 0.1, 0.12), num_samples)
    steam = band_pass(coloured_noise(num_samples, 0.0, rng), 1500.0, 9000.0)
    return outdoors(envelope * (chord + rng.uniform(0.3, 0.9) * steam), rng)
