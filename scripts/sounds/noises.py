"""Noise, weather, machines and bodies: everything without a pitch."""

from __future__ import annotations

import numpy as np

from sounds.signals import (
    SAMPLE_RATE,
    Waveform,
    add_at,
    band_pass,
    coloured_noise,
    convolve,
    decay,
    drift,
    impulses,
    sine,
    time_axis,
)


def white_noise(num_samples: int, rng: np.random.Generator) -> Waveform:
    """Equal power at all frequencies."""
    return coloured_noise(num_samples, 0.0, rng)


def pink_noise(num_samples: int, rng: np.random.Generator) -> Waveform:
    """Equal power in every octave."""
    return coloured_noise(num_samples, 1.0, rng)


def static(num_samples: int, rng: np.random.Generator) -> Waveform:
    """Radio static: hiss that comes and goes, with crackles."""
    hiss = band_pass(coloured_noise(num_samples, 0.3, rng), 200.0, rng.uniform(3000, 9000))
    crackle = rng.standard_normal(num_samples) * (rng.random(num_samples) < 0.002) * 12
    crackle = band_pass(crackle, 500.0, 8000.0)
    return hiss * (0.3 + drift(num_samples, 6.0, rng)) + rng.uniform(0.2, 1.0) * crackle


def wind(num_samples: int, rng: np.random.Generator) -> Waveform:
    """Gusts: dark noise and a wandering, louder-when-brighter band."""
    gust = drift(num_samples, rng.uniform(0.4, 1.2), rng) ** 1.5
    low = band_pass(coloured_noise(num_samples, 1.6, rng), 40.0, 350.0)
    middle = band_pass(coloured_noise(num_samples, 1.0, rng), 250.0, 900.0)
    high = band_pass(coloured_noise(num_samples, 1.0, rng), 700.0, 2500.0)
    return low * (0.3 + gust) + 1.2 * middle * gust + rng.uniform(0.2, 0.6) * high * gust**2


def rain(num_samples: int, rng: np.random.Generator) -> Waveform:
    """Thousands of droplets of many sizes over a bed of hiss."""
    seconds = num_samples / SAMPLE_RATE
    shower = 0.5 * band_pass(coloured_noise(num_samples, 0.5, rng), 500.0, 12000.0)
    for _ in range(8):
        drop_samples = round(rng.uniform(0.002, 0.02) * SAMPLE_RATE)
        drop = rng.standard_normal(drop_samples) * decay(drop_samples, drop_samples / SAMPLE_RATE)
        drop += 0.5 * sine(rng.uniform(900, 6000), drop_samples) * decay(drop_samples, 0.01)
        count = rng.poisson(seconds * rng.uniform(40, 250)) + 1
        sizes = rng.exponential(0.5, count)
        hits = impulses(num_samples, rng.uniform(0, seconds, count), sizes)
        shower += 0.4 * convolve(hits, drop, num_samples)
    return band_pass(shower, 300.0, 11000.0, order=1)


def waves(num_samples: int, rng: np.random.Generator) -> Waveform:
    """Surf: noise that swells and breaks every few seconds."""
    position = time_axis(num_samples) / rng.uniform(3.0, 6.0) + rng.random()
    swell = np.mod(position, 1)
    breaking = np.where(swell < 0.4, (swell / 0.4) ** 2, np.exp(-(swell - 0.4) * 4))
    rumble = band_pass(coloured_noise(num_samples, 1.3, rng), 60.0, 900.0)
    spray = band_pass(coloured_noise(num_samples, 0.5, rng), 900.0, 8000.0)
    return rumble * (0.25 + breaking) + 0.8 * spray * (0.1 + breaking**2)


def clap(rng: np.random.Generator) -> Waveform:
    """One pair of hands."""
    num_samples = round(0.06 * SAMPLE_RATE)
    burst = rng.standard_normal(num_samples) * decay(num_samples, rng.uniform(0.02, 0.05))
    centre_hz = rng.uniform(900, 2600)
    return band_pass(burst, centre_hz * 0.6, centre_hz * 1.8)


def clapping(num_samples: int, rng: np.random.Generator) -> Waveform:
    """One to three people clapping in their own time."""
    heard = np.zeros(num_samples)
    for _ in range(int(rng.integers(1, 4))):
        period = rng.uniform(0.2, 0.45)
        moment = rng.uniform(0, period)
        while moment < num_samples / SAMPLE_RATE:
            add_at(heard, rng.uniform(0.5, 1.0) * clap(rng), round(moment * SAMPLE_RATE))
            moment += period * rng.normal(1, 0.04)
    return heard


def applause(num_samples: int, rng: np.random.Generator) -> Waveform:
    """A hall of people: hundreds of claps a second, swelling and ebbing."""
    seconds = num_samples / SAMPLE_RATE
    heard = np.zeros(num_samples)
    for _ in range(12):
        count = int(rng.poisson(seconds * rng.uniform(20, 90))) + 1
        hits = impulses(num_samples, rng.uniform(0, seconds, count), rng.exponential(1, count))
        bursts = convolve(
            hits, decay(round(0.06 * SAMPLE_RATE), rng.uniform(0.02, 0.05)), num_samples
        )
        centre_hz = rng.uniform(900, 2800)
        noise = bursts * rng.standard_normal(num_samples)
        heard += band_pass(noise, centre_hz * 0.6, centre_hz * 1.8, order=1)
    hall = rng.standard_normal(SAMPLE_RATE) * decay(SAMPLE_RATE, rng.uniform(0.5, 1.0))
    heard += 0.03 * convolve(heard, band_pass(hall, 200.0, 5000.0), num_samples)
    return heard * (0.6 + 0.4 * drift(num_samples, 0.5, rng))


def engine(firing_hz: Waveform, roughness: float, rng: np.random.Generator) -> Waveform:
    """(T,) explosions at a given rate through an exhaust, with intake noise."""
    num_samples = len(firing_hz)
    turns = np.cumsum(firing_hz) / SAMPLE_RATE
    fired = np.flatnonzero(np.diff(np.floor(turns)) > 0) / SAMPLE_RATE
    cylinder = 1 + roughness * rng.standard_normal(4)
    force = cylinder[np.arange(len(fired)) % 4] * rng.uniform(1 - roughness, 1, len(fired))
    jitter = rng.normal(0, 0.0008, len(fired))
    response_samples = round(0.12 * SAMPLE_RATE)
    exhaust = np.zeros(response_samples)
    for centre_hz in (rng.uniform(55, 110), rng.uniform(150, 260), rng.uniform(350, 800)):
        mode = sine(centre_hz, response_samples) * decay(response_samples, 12 / centre_hz)
        exhaust += mode * 90 / centre_hz
    exhaust += 0.15 * rng.standard_normal(response_samples) * decay(response_samples, 0.03)
    bangs = convolve(impulses(num_samples, fired + jitter, force), exhaust, num_samples)
    hiss = band_pass(coloured_noise(num_samples, 0.8, rng), 300.0, 5000.0)
    throb = 0.4 + 0.6 * np.maximum(0, np.sin(2 * np.pi * turns))
    return bangs / (float(bangs.std()) + 1e-9) + rng.uniform(0.05, 0.25) * hiss * throb


def idling(num_samples: int, rng: np.random.Generator) -> Waveform:
    """A four-cylinder engine at rest: 20 to 35 firings a second."""
    wobble = 0.97 + 0.06 * drift(num_samples, 3.0, rng)
    return engine(rng.uniform(18, 36) * wobble, rng.uniform(0.15, 0.4), rng)


def accelerating(num_samples: int, rng: np.random.Generator) -> Waveform:
    """Revving: the firing rate climbs and falls back once or several times."""
    position = np.mod(time_axis(num_samples) / rng.uniform(1.5, 5.0), 1)
    rev = np.where(position < 0.7, position / 0.7, (1 - position) / 0.3)
    low, high = rng.uniform(25, 45), rng.uniform(120, 230)
    return engine(low * (high / low) ** rev, rng.uniform(0.05, 0.2), rng) * (0.4 + 0.6 * rev)


def heartbeat(num_samples: int, rng: np.random.Generator) -> Waveform:
    """Lub-dub, 55 to 110 times a minute."""
    period = 60 / rng.uniform(55, 110)
    beats = np.zeros(num_samples)
    thump_samples = round(0.18 * SAMPLE_RATE)
    for offset, pitch, level in ((0.0, rng.uniform(45, 70), 1.0), (0.3, rng.uniform(60, 95), 0.7)):
        bend = pitch * (1 + 0.6 * decay(thump_samples, 0.1))
        thump = level * sine(bend, thump_samples) * decay(thump_samples, 0.16)
        murmur = band_pass(rng.standard_normal(thump_samples), 40.0, 300.0)
        thump += 0.2 * level * murmur * decay(thump_samples, 0.1)
        at_seconds = np.arange(0.1 + offset * min(period, 1), num_samples / SAMPLE_RATE, period)
        at_seconds = at_seconds + rng.normal(0, 0.008, len(at_seconds))
        beats += convolve(impulses(num_samples, at_seconds), thump, num_samples)
    return beats


def knock(num_samples: int, rng: np.random.Generator) -> Waveform:
    """Groups of knocks on a wooden door."""
    knock_samples = round(0.15 * SAMPLE_RATE)
    wood = np.zeros(knock_samples)
    for centre_hz in rng.uniform(120, 900, 5):
        wood += sine(centre_hz, knock_samples) * decay(knock_samples, 9 / centre_hz + 0.03)
    wood += 0.5 * rng.standard_normal(knock_samples) * decay(knock_samples, 0.01)
    at_seconds: list[float] = []
    moment = rng.uniform(0.1, 0.5)
    while moment < num_samples / SAMPLE_RATE:
        step = rng.uniform(0.12, 0.25)
        at_seconds += [moment + step * index for index in range(int(rng.integers(2, 6)))]
        moment = at_seconds[-1] + rng.uniform(0.7, 1.6)
    force = rng.uniform(0.6, 1.0, len(at_seconds))
    return convolve(impulses(num_samples, at_seconds, force), wood, num_samples)
