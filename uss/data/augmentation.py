"""Variations of a sound that leave its class as it is: pitch, equalisation, rooms, bandwidth.

Few recordings of a class teach a network those recordings. Each variation stands for what another
recording of the class would differ in: the size of the source, the microphone, the room, the way
it was transmitted. All but the first are linear filters, so they cost one Fourier transform.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import scipy.fft

from uss.audio.resampling import resample
from uss.core.arrays import Float64, Waveform
from uss.core.errors import InputError

_OCTAVE_DB = 3.0
_ROOM_SAMPLES = 2**14
_CENTRES_HZ = (60.0, 12_000.0)


@dataclass(frozen=True)
class Variation:
    """How often, and how far, sounds are varied.

    Attributes:
        speed_probability: how often a sound is played faster or slower, which moves its pitch.
        max_speed: the fastest; the slowest is its inverse.
        filter_probability: how often the spectrum is tilted and bent.
        max_filter_db: of a peak or dip; the tilt is at most a third of it per octave.
        room_probability: how often a room is added.
        max_reverberation_seconds: the longest time to -60 dB.
        band_probability: how often only the band of a telephone or of a poor codec is kept.

    Raises:
        ValueError: if a probability is not in [0, 1] or a bound makes no sense.
    """

    speed_probability: float = 0.3
    max_speed: float = 1.2
    filter_probability: float = 0.5
    max_filter_db: float = 8.0
    room_probability: float = 0.25
    max_reverberation_seconds: float = 0.8
    band_probability: float = 0.1

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if name.endswith("_probability") and not 0.0 <= value <= 1.0:
                raise InputError(f"{name} {value} is not in [0, 1]")
        if self.max_speed < 1.0:
            raise InputError(f"max_speed {self.max_speed} is below 1; the slowest is its inverse")
        if min(self.max_filter_db, self.max_reverberation_seconds) < 0.0:
            raise InputError("max_filter_db and max_reverberation_seconds must not be negative")


class DrawnVariation(NamedTuple):
    """What one sound becomes.

    Attributes:
        speed: a factor; 1 changes nothing.
        gains: logarithms of frequencies in Hz, and of gains at them; None filters nothing.
        room: the room's impulse response; None for no room.
    """

    speed: float = 1.0
    gains: tuple[Float64, Float64] | None = None
    room: Float64 | None = None


def draw_variation(
    sample_rate: int, variation: Variation, rng: np.random.Generator
) -> DrawnVariation:
    """Draw how a sound is varied, whatever it is.

    Args:
        sample_rate: in Hz.
        variation: which variations, and how often.
        rng: draws them.
    """
    speed = 1.0
    if rng.random() < variation.speed_probability:
        # In steps of a hundredth, so that both rates have samples in common.
        speed = round(100.0 * variation.max_speed ** rng.uniform(-1.0, 1.0)) / 100.0
    return DrawnVariation(speed, *_response(sample_rate, variation, rng))


def vary(
    waveform: Waveform, sample_rate: int, variation: Variation, rng: np.random.Generator
) -> Waveform:
    """Vary a sound in a way that is drawn for it; see ``varied_so``."""
    return varied_so(waveform, sample_rate, draw_variation(sample_rate, variation, rng))


def varied_so(waveform: Waveform, sample_rate: int, drawn: DrawnVariation) -> Waveform:
    """Vary a sound; its energy stays.

    Args:
        waveform: (T,) float32.
        sample_rate: in Hz.
        drawn: from ``draw_variation``.

    Returns:
        (T,) float32: cut, or padded with silence, where the speed changed.
    """
    length = len(waveform)
    energy = float(np.square(waveform).sum())
    if energy == 0.0:
        return waveform
    varied = waveform if drawn.speed == 1.0 else _at_speed(waveform, drawn.speed)
    if drawn.gains is not None:
        num_points = scipy.fft.next_fast_len(length + _ROOM_SAMPLES, real=True)
        spectrum = scipy.fft.rfft(varied, num_points)
        frequencies = scipy.fft.rfftfreq(num_points, 1.0 / sample_rate)
        spectrum *= np.exp(np.interp(np.log(np.maximum(frequencies, 1.0)), *drawn.gains))
        if drawn.room is not None:
            spectrum *= scipy.fft.rfft(drawn.room, num_points)
        varied = scipy.fft.irfft(spectrum, num_points)[:length]
    after = float(np.square(varied).sum())
    if after < 1e-12 * energy:
        return waveform
    scaled: Waveform = (varied * np.sqrt(energy / after)).astype(np.float32)
    return scaled


def _at_speed(waveform: Waveform, speed: float) -> Waveform:
    """Play faster or slower; what is missing at the end is silence."""
    changed = resample(waveform, round(100.0 * speed), 100)
    out = np.zeros_like(waveform)
    length = min(len(waveform), len(changed))
    out[:length] = changed[:length]
    return out


def _response(
    sample_rate: int, variation: Variation, rng: np.random.Generator
) -> tuple[tuple[Float64, Float64] | None, Float64 | None]:
    """Draw the filters: log frequencies with log gains, and a room; None where there is none."""
    has_filter, has_room, has_band = rng.random(3) < (
        variation.filter_probability,
        variation.room_probability,
        variation.band_probability,
    )
    if not (has_filter or has_room or has_band):
        return None, None
    points = np.linspace(np.log(20.0), np.log(sample_rate / 2.0), 64)
    gain_db: Float64 = np.zeros_like(points)
    if has_filter:
        gain_db += _bends(points, variation.max_filter_db, rng)
    if has_band:
        gain_db += _band(points, rng)
    room = _room(sample_rate, variation.max_reverberation_seconds, rng) if has_room else None
    return (points, gain_db * np.log(10.0) / 20.0), room


def _bends(points: Float64, max_db: float, rng: np.random.Generator) -> Float64:
    """A tilt around 1 kHz and two peaks or dips of half an octave to two octaves, in dB."""
    octaves = (points - np.log(1000.0)) / np.log(2.0)
    gain_db: Float64 = rng.uniform(-1.0, 1.0) * min(_OCTAVE_DB, max_db / 3.0) * octaves
    for _ in range(2):
        centre = rng.uniform(*np.log(_CENTRES_HZ))
        width = rng.uniform(0.5, 2.0) * np.log(2.0)
        gain_db += rng.uniform(-max_db, max_db) * np.exp(-0.5 * ((points - centre) / width) ** 2)
    return gain_db


def _band(points: Float64, rng: np.random.Generator) -> Float64:
    """Above 3 to 12 kHz, and sometimes below 300 Hz, levels fall by 24 dB per octave or more."""
    top = np.exp(rng.uniform(np.log(3_000.0), np.log(12_000.0)))
    steepness = rng.uniform(24.0, 96.0) / np.log(2.0)
    gain_db = -steepness * np.maximum(points - np.log(top), 0.0)
    if rng.random() < 0.5:
        gain_db -= 24.0 / np.log(2.0) * np.maximum(np.log(rng.uniform(80.0, 300.0)) - points, 0.0)
    floored: Float64 = np.maximum(gain_db, -80.0)
    return floored


def _room(sample_rate: int, max_seconds: float, rng: np.random.Generator) -> Float64:
    """An impulse response: the direct sound, then noise that decays, its treble faster."""
    seconds = max(0.05, rng.uniform(0.1, 1.0) * max_seconds)
    time = np.arange(1, _ROOM_SAMPLES + 1) / sample_rate
    tail = rng.standard_normal(_ROOM_SAMPLES) * 10.0 ** (-3.0 * time / seconds)
    # Air and walls take treble first: a running mean that is mixed in more and more.
    dull = np.convolve(tail, np.full(8, 0.125), mode="same")
    share = np.minimum(time / seconds, 1.0)
    tail = (1.0 - share) * tail + share * dull
    gap = round(rng.uniform(0.001, 0.02) * sample_rate)
    tail[:gap] = 0.0
    direct_to_tail_db = rng.uniform(-2.0, 12.0)
    tail *= 10.0 ** (-direct_to_tail_db / 20.0) / np.sqrt(np.square(tail).sum())
    tail[0] = 1.0
    response: Float64 = tail
    return response
