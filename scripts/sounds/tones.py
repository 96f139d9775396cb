"""Electronic tones: telephone signals, beeps, alarms, laboratory tones."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sounds.signals import (
    SAMPLE_RATE,
    Waveform,
    add_at,
    band_pass,
    cadence,
    coloured_noise,
    convolve,
    decay,
    drift,
    harmonic_tone,
    impulses,
    ramps,
    sine,
    square_spectrum,
    time_axis,
)

# ITU-T Q.23: key -> low and high tone.
DTMF_HZ = {
    key: (low, high)
    for low, keys in zip((697, 770, 852, 941), ("123A", "456B", "789C", "*0#D"), strict=True)
    for key, high in zip(keys, (1209, 1336, 1477, 1633), strict=True)
}
# US and UK; a single 425 Hz, as on the continent, cannot be told from any sine.
DIAL_TONES_HZ = ((350, 440), (350, 450))
BUSY_TONES = (((480, 620), (0.5, 0.5)), ((425,), (0.5, 0.5)), ((400,), (0.375, 0.375)))


def sines(frequencies_hz: Sequence[float], num_samples: int) -> Waveform:
    """(T,) the sum of sines of equal level."""
    total = np.zeros(num_samples)
    for frequency in frequencies_hz:
        total += sine(frequency, num_samples)
    return total


def dtmf_tone(key: str, num_samples: int) -> Waveform:
    """(T,) the two tones of one telephone key."""
    return sines(DTMF_HZ[key], num_samples)


def telephone_line(waveform: Waveform, rng: np.random.Generator) -> Waveform:
    """Band limits of a telephone line, with a little line noise."""
    noise = coloured_noise(len(waveform), 0.5, rng)
    return band_pass(waveform + 10 ** rng.uniform(-3.5, -2) * noise, 250.0, 3600.0, order=4)


def telephone_dialing(num_samples: int, rng: np.random.Generator) -> Waveform:
    """A dialled number: digits of equal length with short pauses."""
    tone_samples = round(rng.uniform(0.07, 0.22) * SAMPLE_RATE)
    pause_samples = round(rng.uniform(0.05, 0.18) * SAMPLE_RATE)
    dialled = np.zeros(num_samples)
    start = round(rng.uniform(0.05, 0.3) * SAMPLE_RATE)
    while start < num_samples:
        key = rng.choice(list("1234567890*#"))
        gate = np.pad(np.ones(tone_samples), 200)
        add_at(dialled, dtmf_tone(key, tone_samples + 400) * ramps(gate, 0.003), start)
        start += tone_samples + round(pause_samples * rng.uniform(0.9, 1.6))
    return telephone_line(dialled, rng)


def dial_tone(num_samples: int, rng: np.random.Generator) -> Waveform:
    """A steady line tone."""
    frequencies = DIAL_TONES_HZ[rng.integers(len(DIAL_TONES_HZ))]
    return telephone_line(sines(frequencies, num_samples), rng)


def busy_signal(num_samples: int, rng: np.random.Generator) -> Waveform:
    """An interrupted line tone."""
    frequencies, pattern = BUSY_TONES[rng.integers(len(BUSY_TONES))]
    tone = sines(frequencies, num_samples)
    return telephone_line(tone * cadence(num_samples, pattern, rng.uniform(0, 0.4)), rng)


def ringtone(num_samples: int, rng: np.random.Generator) -> Waveform:
    """A synthetic ringer: a short melody or warble, repeated with a pause."""
    time = time_axis(num_samples)
    if rng.random() < 0.4:
        low = rng.uniform(600, 1600)
        high = low * rng.uniform(1.1, 1.4)
        warble = np.where(np.mod(time * rng.uniform(12, 25), 1) < 0.5, low, high)
        tone = harmonic_tone(warble, square_spectrum(7), num_samples)
    else:
        step_seconds = rng.uniform(0.1, 0.2)
        scale = 440 * 2 ** (np.array([0, 2, 4, 7, 9, 12, 14, 16]) / 12) * rng.uniform(1, 2.2)
        melody = rng.choice(scale, size=int(rng.integers(4, 13)))
        position = time / step_seconds
        frequency = melody[position.astype(int) % len(melody)]
        envelope = np.exp(-np.mod(position, 1) * rng.uniform(0.5, 4))
        tone = harmonic_tone(frequency, square_spectrum(int(rng.choice([1, 3, 7]))), num_samples)
        tone = tone * envelope
    pattern = (rng.uniform(1.0, 2.2), rng.uniform(0.6, 2.0))
    return tone * cadence(num_samples, pattern)


def alarm_clock(num_samples: int, rng: np.random.Generator) -> Waveform:
    """The quartz clock: groups of four short beeps."""
    frequency = rng.uniform(1800, 2800) if rng.random() < 0.7 else rng.uniform(800, 1200)
    on = rng.uniform(0.05, 0.09)
    num_beeps = int(rng.choice([1, 2, 4]))
    pattern = [on, on] * num_beeps
    pattern[-1] += rng.uniform(0.2, 0.6)
    tone = harmonic_tone(frequency, square_spectrum(9), num_samples)
    return tone * cadence(num_samples, pattern)


def smoke_detector(num_samples: int, rng: np.random.Generator) -> Waveform:
    """A piezo sounder near 3.1 kHz: three long pulses and a pause, or quick pulses."""
    frequency = rng.uniform(2900, 3400)
    if rng.random() < 0.6:
        pattern = [0.5, 0.5, 0.5, 0.5, 0.5, 1.5]  # ISO 8201, temporal three
    else:
        on = rng.uniform(0.08, 0.3)
        pattern = [on, on * rng.uniform(0.3, 1.0)]
    tone = harmonic_tone(frequency, (1, 0.25, 0.4, 0.1), num_samples)
    return tone * cadence(num_samples, pattern, rng.uniform(0, 0.4))


def fire_alarm(num_samples: int, rng: np.random.Generator) -> Waveform:
    """A sounder: quick rising sweeps, or a low or high tone in three pulses."""
    position = time_axis(num_samples) * rng.uniform(0.9, 2.2)
    low, high = rng.uniform(700, 900), rng.uniform(1100, 1600)
    if rng.random() < 0.5:
        frequency = low + (high - low) * np.mod(3 * position, 1)
        gate = np.ones(num_samples)
    else:
        # ISO 8201, temporal three
        frequency = np.full(num_samples, rng.choice([520.0, 3000.0]))
        gate = cadence(num_samples, (0.5, 0.5, 0.5, 0.5, 0.5, 1.5))
    tone = harmonic_tone(frequency, square_spectrum(15), num_samples)
    return band_pass(np.tanh(2 * tone), 500.0, 7000.0) * gate


def reversing_beeps(num_samples: int, rng: np.random.Generator) -> Waveform:
    """A lorry's reversing beeper, sometimes with the engine's rumble."""
    on = rng.uniform(0.35, 0.6)
    tone = harmonic_tone(rng.uniform(1000, 1450), (1, 0.15, 0.45, 0.05, 0.2), num_samples)
    beeps = tone * cadence(num_samples, (on, on * rng.uniform(0.8, 1.3)), rng.uniform(0, 0.8))
    rumble = band_pass(coloured_noise(num_samples, 1.5, rng), 40.0, 400.0)
    return beeps + float(rng.choice([0.0, 0.05, 0.15])) * rumble


def beep(num_samples: int, rng: np.random.Generator) -> Waveform:
    """Electronic beeps of one pitch, regular or scattered."""
    tone = harmonic_tone(
        rng.uniform(500, 3500), square_spectrum(int(rng.choice([1, 3, 9]))), num_samples
    )
    on = rng.uniform(0.05, 0.4)
    return tone * cadence(num_samples, (on, rng.uniform(0.15, 1.2)), rng.uniform(0, on))


def buzzer(num_samples: int, rng: np.random.Generator) -> Waveform:
    """A mains-driven door or game buzzer."""
    frequency = rng.choice([100.0, 120.0, 150.0, 200.0]) * rng.uniform(0.98, 1.02)
    amplitudes = np.arange(1, 100) ** -0.3 * rng.uniform(0.3, 1.0, 99)
    tone = band_pass(harmonic_tone(frequency, amplitudes, num_samples), 300.0, 7000.0)
    tone += 0.1 * tone.std() * coloured_noise(num_samples, 0.5, rng)
    return tone * cadence(num_samples, (rng.uniform(0.4, 1.8), rng.uniform(0.3, 1.0)))


def sine_wave(num_samples: int, rng: np.random.Generator) -> Waveform:
    """A laboratory sine."""
    return sine(np.exp(rng.uniform(np.log(100), np.log(6000))), num_samples)


def chirp_tone(num_samples: int, rng: np.random.Generator) -> Waveform:
    """Exponential sweeps, up or down, once or repeated."""
    sweep_seconds = rng.choice([0.5, 1.0, 2.0, num_samples / SAMPLE_RATE])
    position = np.mod(time_axis(num_samples) / sweep_seconds, 1)
    low, high = rng.uniform(80, 600), rng.uniform(2000, 12000)
    if rng.random() < 0.3:
        low, high = high, low
    return sine(low * (high / low) ** position, num_samples)


def harmonic(num_samples: int, rng: np.random.Generator) -> Waveform:
    """A steady tone with a slowly changing balance of harmonics."""
    fundamental = rng.uniform(80, 500)
    tone = np.zeros(num_samples)
    for order in range(1, int(rng.integers(5, 20))):
        level = drift(num_samples, 0.7, rng) / order**0.7
        tone += level * sine(min(order * fundamental, 15000), num_samples)
    return tone


def sonar(num_samples: int, rng: np.random.Generator) -> Waveform:
    """Pings with a long watery tail."""
    ping_samples = round(rng.uniform(1.0, 2.5) * SAMPLE_RATE)
    frequency = rng.uniform(700, 1800)
    ping = sine(frequency * (1 - 0.01 * time_axis(ping_samples)), ping_samples)
    ping *= decay(ping_samples, rng.uniform(0.8, 2.0))
    at_seconds = np.arange(rng.uniform(0, 0.3), num_samples / SAMPLE_RATE, rng.uniform(1.2, 2.6))
    dry = convolve(impulses(num_samples, at_seconds), ping, num_samples)
    tail = rng.standard_normal(SAMPLE_RATE * 2) * decay(SAMPLE_RATE * 2, 2.0)
    wet = convolve(dry, tail / np.sqrt(np.sum(tail**2)), num_samples)
    return dry + 0.5 * wet


def pulse(num_samples: int, rng: np.random.Generator) -> Waveform:
    """A train of short electrical pulses."""
    at_seconds = np.arange(0.0, num_samples / SAMPLE_RATE, 1 / rng.uniform(2, 30))
    shape_samples = round(rng.uniform(0.004, 0.03) * SAMPLE_RATE)
    shape = sine(rng.uniform(60, 900), shape_samples) * decay(shape_samples, 0.03)
    return convolve(impulses(num_samples, at_seconds), shape, num_samples)


def mains_hum(num_samples: int, rng: np.random.Generator) -> Waveform:
    """50 or 60 Hz and its harmonics, with a trace of hiss."""
    amplitudes = np.arange(1, 25) ** -0.8 * rng.uniform(0.1, 1.0, 24)
    amplitudes[1] += rng.uniform(0.5, 1.5)  # magnetic hum is strongest at twice the mains
    tone = np.tanh(harmonic_tone(rng.choice([50.0, 60.0]), amplitudes, num_samples))
    return tone + 10 ** rng.uniform(-3, -1.5) * coloured_noise(num_samples, 0.5, rng)
