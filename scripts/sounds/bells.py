"""Struck metal and clockwork: bells, chimes, clocks."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sounds.signals import (
    SAMPLE_RATE,
    Waveform,
    add_at,
    band_pass,
    cadence,
    convolve,
    decay,
    impulses,
    sine,
)

# Ratios to the nominal of a tuned church bell: hum, prime, tierce, quint, nominal, ...
CHURCH_RATIOS = (0.5, 1.0, 1.2, 1.5, 2.0, 2.5, 2.67, 3.0, 4.0, 5.33)
# A hemispherical gong of the kind telephones and bicycles have; each mode is a close pair.
GONG_RATIOS = (1.0, 1.006, 2.35, 2.37, 4.1, 4.13, 6.2, 6.24, 8.6)


def struck(
    ratios: Sequence[float], pitch_hz: float, decay_seconds: float, rng: np.random.Generator
) -> Waveform:
    """(T,) one blow: partials that die away the sooner the higher they are."""
    num_samples = round(decay_seconds * SAMPLE_RATE)
    blow = np.zeros(num_samples)
    for ratio in ratios:
        frequency = ratio * pitch_hz * rng.uniform(0.998, 1.002)
        if frequency < 0.47 * SAMPLE_RATE:
            level = rng.uniform(0.5, 1.0) / max(1.0, ratio) ** 0.5
            life = decay_seconds / max(0.5, ratio) ** 0.7
            blow += level * sine(frequency, num_samples) * decay(num_samples, life)
    attack = min(64, num_samples)
    blow[:attack] *= np.linspace(0, 1, attack)
    return blow


def ring_bursts(
    num_samples: int,
    pattern_seconds: Sequence[float],
    rate_hz: float,
    gongs: Sequence[Waveform],
    start_seconds: float,
    rng: np.random.Generator,
) -> Waveform:
    """Hammering in the given cadence; the gongs ring on after the hammer has stopped."""
    ticks = cadence(num_samples, pattern_seconds, start_seconds) > 0.5
    count = int(num_samples / SAMPLE_RATE * rate_hz) + 1
    at_seconds = (np.arange(count) + rng.normal(0, 0.03, count)) / rate_hz
    index = np.clip((at_seconds * SAMPLE_RATE).astype(int), 0, num_samples - 1)
    force = rng.uniform(0.75, 1.0, count) * ticks[index]
    ringing = np.zeros(num_samples)
    for number, gong in enumerate(gongs):
        turn = slice(number, None, len(gongs))
        ringing += convolve(impulses(num_samples, at_seconds[turn], force[turn]), gong, num_samples)
    return ringing


def telephone_ring(
    num_samples: int,
    pattern_seconds: Sequence[float],
    start_seconds: float,
    rng: np.random.Generator,
) -> Waveform:
    """An old telephone, one hammer between two gongs, ringing in the given cadence."""
    pitch_hz = rng.uniform(650, 1700)
    decay_seconds = rng.uniform(1.2, 2.6)
    gongs = [
        struck(GONG_RATIOS, pitch_hz, decay_seconds, rng),
        struck(GONG_RATIOS, pitch_hz * rng.uniform(1.12, 1.35), decay_seconds, rng),
    ]
    # The hammer strikes each gong once in a period of the 20 Hz (US) or 25 Hz (Europe) current;
    # worn mechanisms miss some strokes.
    rate_hz = 2 * rng.choice([20.0, 25.0]) * rng.uniform(0.5, 0.8)
    return ring_bursts(num_samples, pattern_seconds, rate_hz, gongs, start_seconds, rng)


def telephone_bell(num_samples: int, rng: np.random.Generator) -> Waveform:
    """An old telephone with the American or the British cadence."""
    if rng.random() < 0.5:
        return telephone_ring(num_samples, (2.0, 4.0), rng.uniform(0.0, 1.0), rng)
    return telephone_ring(num_samples, (0.4, 0.2, 0.4, 2.0), rng.uniform(0.0, 0.2), rng)


def mechanical_alarm_clock(num_samples: int, rng: np.random.Generator) -> Waveform:
    """A wind-up clock with two bells, ringing throughout."""
    pitch_hz = rng.uniform(1800, 3200)
    gongs = [struck(GONG_RATIOS, pitch_hz * ratio, 0.35, rng) for ratio in (1.0, 1.09)]
    return ring_bursts(num_samples, (60.0, 1.0), rng.uniform(16, 26), gongs, 0.0, rng)


def bicycle_bell(num_samples: int, rng: np.random.Generator) -> Waveform:
    """A thumbed bicycle bell: quick double strokes, once or a few times."""
    gong = struck(GONG_RATIOS, rng.uniform(1700, 2800), rng.uniform(0.8, 1.6), rng)
    at_seconds = []
    moment = rng.uniform(0.1, 0.4)
    while moment < num_samples / SAMPLE_RATE:
        spacing = rng.uniform(0.05, 0.09)
        at_seconds += [moment + spacing * step for step in range(int(rng.integers(3, 7)))]
        moment = at_seconds[-1] + rng.uniform(0.4, 1.6)
    force = rng.uniform(0.5, 1.0, len(at_seconds))
    return convolve(impulses(num_samples, at_seconds, force), gong, num_samples)


def ding_dong(num_samples: int, rng: np.random.Generator) -> Waveform:
    """A two-bar door chime."""
    pitch_hz = rng.uniform(550, 800)
    bars = (1.0, 2.76, 5.4)
    ding = struck(bars, pitch_hz, rng.uniform(1.2, 2.2), rng)
    dong = struck(bars, pitch_hz * rng.choice([0.794, 0.749]), rng.uniform(1.5, 2.5), rng)
    chime = np.zeros(num_samples)
    moment = rng.uniform(0.05, 0.3)
    gap = rng.uniform(0.4, 0.8)
    while moment < num_samples / SAMPLE_RATE:
        add_at(chime, ding, round(moment * SAMPLE_RATE))
        add_at(chime, dong, round((moment + gap) * SAMPLE_RATE))
        moment += gap + rng.uniform(1.6, 3.0)
    return chime


def church_bell(num_samples: int, rng: np.random.Generator) -> Waveform:
    """A tolling bell with the partials of a tuned church bell."""
    pitch_hz = rng.uniform(250, 600)
    blow = struck(CHURCH_RATIOS, pitch_hz, rng.uniform(5.0, 9.0), rng)
    add_at(blow, struck(CHURCH_RATIOS, 1.007 * pitch_hz, rng.uniform(3.0, 6.0), rng), 0)
    at_seconds = np.arange(rng.uniform(0.0, 0.4), num_samples / SAMPLE_RATE, rng.uniform(1.2, 2.5))
    force = rng.uniform(0.7, 1.0, len(at_seconds))
    return convolve(impulses(num_samples, at_seconds, force), blow, num_samples)


def wind_chime(num_samples: int, rng: np.random.Generator) -> Waveform:
    """Five or six small tubes touched at random."""
    chime = np.zeros(num_samples)
    base_hz = rng.uniform(900, 1600)
    for ratio in 2 ** (np.array([0, 2, 4, 7, 9, 12]) / 12):
        tube = struck((1.0, 2.76, 5.4, 8.9), base_hz * ratio, rng.uniform(1.0, 2.5), rng)
        count = int(rng.poisson(num_samples / SAMPLE_RATE * 0.8)) + 1
        at_seconds = rng.uniform(0, num_samples / SAMPLE_RATE, count)
        hits = impulses(num_samples, at_seconds, rng.uniform(0.2, 1.0, count))
        chime += convolve(hits, tube, num_samples)
    return chime


def tick_tock(num_samples: int, rng: np.random.Generator) -> Waveform:
    """A clock: two kinds of click in turn."""
    click_samples = round(0.04 * SAMPLE_RATE)
    period = rng.choice([0.25, 0.4, 0.5, 1.0]) * rng.uniform(0.97, 1.03)
    ticking = np.zeros(num_samples)
    for turn in range(2):
        noise = rng.standard_normal(click_samples) * decay(click_samples, 0.012)
        pitch_hz = rng.uniform(1500, 4500)
        body = sine(pitch_hz, click_samples) * decay(click_samples, rng.uniform(0.015, 0.04))
        click = band_pass(noise + body, 700.0, 9000.0)
        at_seconds = np.arange(0.1 + turn * period, num_samples / SAMPLE_RATE, 2 * period)
        ticking += convolve(impulses(num_samples, at_seconds), click, num_samples)
    return ticking
