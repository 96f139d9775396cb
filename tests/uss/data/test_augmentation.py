"""Variations keep length, energy and, where nothing is drawn, every sample."""

from dataclasses import replace

import numpy as np
import pytest

from uss.core.errors import InputError
from uss.data.augmentation import Variation, vary

RATE = 32_000
NOTHING = Variation(
    speed_probability=0.0, filter_probability=0.0, room_probability=0.0, band_probability=0.0
)
ALWAYS = {
    name: replace(NOTHING, **{name: 1.0}) for name in vars(NOTHING) if name.endswith("probability")
}


def noise(seed: int = 0, num_samples: int = RATE) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-0.5, 0.5, num_samples).astype(np.float32)


def tone(hz: float) -> np.ndarray:
    return (0.3 * np.sin(2 * np.pi * hz * np.arange(RATE) / RATE)).astype(np.float32)


def spectrum(waveform: np.ndarray) -> np.ndarray:
    return np.abs(np.fft.rfft(waveform * np.hanning(len(waveform))))


@pytest.mark.parametrize("name", ALWAYS)
def test_length_and_energy_stay(name: str) -> None:
    waveform = noise()
    varied = vary(waveform, RATE, ALWAYS[name], np.random.default_rng(1))
    assert varied.shape == waveform.shape and varied.dtype == np.float32
    assert np.square(varied).sum() == pytest.approx(np.square(waveform).sum(), rel=1e-4)
    assert np.abs(varied - waveform).max() > 1e-3


def test_nothing_drawn_changes_nothing() -> None:
    waveform = noise()
    np.testing.assert_array_equal(vary(waveform, RATE, NOTHING, np.random.default_rng(0)), waveform)


def test_silence_stays_silent() -> None:
    silence = np.zeros(RATE, np.float32)
    for variation in ALWAYS.values():
        assert not vary(silence, RATE, variation, np.random.default_rng(0)).any()


def test_it_is_a_function_of_the_generator() -> None:
    first, again, other = (
        vary(noise(), RATE, Variation(), np.random.default_rng(seed)) for seed in (5, 5, 6)
    )
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).max() > 1e-4


def test_speed_moves_the_pitch_by_its_factor_at_most() -> None:
    variation = replace(ALWAYS["speed_probability"], max_speed=1.2)
    peaks = [
        int(spectrum(vary(tone(1_000.0), RATE, variation, np.random.default_rng(seed))).argmax())
        for seed in range(12)
    ]
    assert min(peaks) < 950 and max(peaks) > 1_050
    assert min(peaks) > 1_000 / 1.21 and max(peaks) < 1_000 * 1.21


def test_a_band_keeps_the_middle_and_takes_the_treble() -> None:
    varied = spectrum(vary(noise(), RATE, ALWAYS["band_probability"], np.random.default_rng(2)))
    before = spectrum(noise())
    kept = np.square(varied[1_000:2_500]).sum() / np.square(before[1_000:2_500]).sum()
    lost = np.square(varied[15_000:]).sum() / np.square(before[15_000:]).sum()
    assert kept > 0.9 and lost < 0.2 * kept


def test_a_room_lets_a_click_ring() -> None:
    click = np.zeros(RATE, np.float32)
    click[100] = 1.0
    heard = vary(click, RATE, ALWAYS["room_probability"], np.random.default_rng(3))
    assert not heard[:100].any() or np.abs(heard[:100]).max() < 1e-4
    assert heard.argmax() == 100
    assert np.square(heard[800:8_000]).sum() > 1e-4


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"room_probability": 1.5}, "room_probability 1.5 is not in"),
        ({"max_speed": 0.9}, "max_speed 0.9 is below 1"),
        ({"max_filter_db": -1.0}, "must not be negative"),
    ],
)
def test_bounds_that_make_no_sense_are_refused(changes: dict[str, float], message: str) -> None:
    with pytest.raises(InputError, match=message):
        replace(NOTHING, **changes)
