"""What lies below 20 Hz: when it is taken away, and that nothing else is."""

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from uss.audio.infrasound import InfrasoundMeter, without_infrasound

RATE = 8_000
REACH = 725  # half of the filter, 0.09 s


def tone(frequency_hz: float, seconds: float, amplitude: float = 1.0) -> NDArray[np.float32]:
    """(1, T)."""
    times = np.arange(round(seconds * RATE)) / RATE
    return (amplitude * np.sin(2.0 * np.pi * frequency_hz * times + 0.3))[None].astype(np.float32)


def noise(seconds: float, num_channels: int = 1, rms: float = 0.05) -> NDArray[np.float32]:
    rng = np.random.default_rng(0)
    return (rms * rng.standard_normal((num_channels, round(seconds * RATE)))).astype(np.float32)


def filtered(waveform: NDArray[np.float32], *cuts: int, **options: int) -> NDArray[np.float32]:
    blocks = np.split(waveform, cuts, axis=1)
    return np.concatenate(list(without_infrasound(blocks, RATE, **options)), axis=1)


def gain_db(frequency_hz: float) -> float:
    """Away from the ends."""
    waveform = tone(frequency_hz, 3.0)
    middle = slice(RATE, 2 * RATE)
    out = filtered(waveform)[:, middle]
    return float(10.0 * np.log10(np.mean(out**2) / np.mean(waveform[:, middle] ** 2)))


@pytest.mark.parametrize("frequency_hz", [30.0, 31.0, 41.2, 55.0, 100.0, 1_000.0, 3_900.0])
def test_what_is_heard_stays(frequency_hz: float) -> None:
    assert abs(gain_db(frequency_hz)) < 0.02
    # Nor is it shifted.
    waveform = tone(frequency_hz, 3.0)
    middle = slice(RATE, 2 * RATE)
    np.testing.assert_allclose(filtered(waveform)[:, middle], waveform[:, middle], atol=2e-3)


@pytest.mark.parametrize("frequency_hz", [1.0, 5.0, 10.0])
def test_what_is_not_heard_goes(frequency_hz: float) -> None:
    assert gain_db(frequency_hz) < -50.0


def test_at_20_hz_half_of_the_amplitude_is_left() -> None:
    assert gain_db(20.0) == pytest.approx(-6.02, abs=0.1)


@pytest.mark.parametrize("num_samples", [1, 2, REACH - 1, REACH, REACH + 1, 2 * REACH, 5_000])
def test_of_an_offset_nothing_is_left_also_at_the_ends(num_samples: int) -> None:
    offset = np.array([[0.25], [-0.5]], np.float32) * np.ones((2, num_samples), np.float32)
    out = filtered(offset)
    assert out.shape == offset.shape
    np.testing.assert_allclose(out, 0.0, atol=1e-6)


def test_a_burst_keeps_its_shape_on_an_offset() -> None:
    burst = tone(300.0, 2.0, 0.3) * np.hanning(2 * RATE).astype(np.float32)
    out = filtered(burst + np.float32(0.05))
    np.testing.assert_allclose(out, burst, atol=2e-4)


@pytest.mark.parametrize("seconds", [0.05, 0.1, 1.0, 1.05, 2.0, 3.3])
@pytest.mark.parametrize("cuts", [(), (1,), (200, 300), (400, 401, 7_000)])
def test_streamed_equals_whole(seconds: float, cuts: tuple[int, ...]) -> None:
    waveform = noise(seconds, 2) + np.float32(0.1)
    cuts = tuple(cut for cut in cuts if cut < waveform.shape[1])
    streamed = filtered(waveform, *cuts, block_seconds=1)
    np.testing.assert_allclose(streamed, filtered(waveform), rtol=0.0, atol=1e-7)


def test_of_nothing_nothing_comes() -> None:
    assert list(without_infrasound([], RATE)) == []


# When


def found(waveform: NDArray[np.float32], num_samples: int = 1_000) -> bool:
    meter = InfrasoundMeter(RATE, len(waveform))
    for start in range(0, waveform.shape[1], num_samples):
        meter.add(waveform[:, start : start + num_samples])
    return meter.found


RUMBLE: dict[str, Callable[[float], NDArray[np.float32]]] = {
    "offset": lambda seconds: np.full((1, round(seconds * RATE)), 0.05, np.float32),
    "3 Hz": lambda seconds: tone(3.0, seconds, 0.05),
    "10 Hz": lambda seconds: tone(10.0, seconds, 0.05),
    "18 Hz": lambda seconds: tone(18.0, seconds, 0.05),
}


@pytest.mark.parametrize("kind", RUMBLE)
@pytest.mark.parametrize("seconds", [1.5, 4.0, 9.0])
def test_rumble_is_found(kind: str, seconds: float) -> None:
    assert found(RUMBLE[kind](seconds) + noise(seconds))
    assert found(RUMBLE[kind](seconds))


def test_also_in_one_channel_or_a_part_alone() -> None:
    sound = noise(12.0, 2)
    sound[1, 4 * RATE : 8 * RATE] += 0.05
    assert found(sound)
    # In opposite phase, of which the mean of the channels knows nothing.
    offset = noise(5.0, 2) + np.array([[0.05], [-0.05]], np.float32)
    assert found(offset)


@pytest.mark.parametrize("seconds", [0.1, 0.4, 1.0, 4.0, 4.02, 30.1])
@pytest.mark.parametrize("frequency_hz", [None, 50.0, 100.0, 440.0])
def test_sound_alone_is_left_as_it_is(seconds: float, frequency_hz: float | None) -> None:
    """The last four seconds' rest may hold less than a period."""
    assert not found(noise(seconds) if frequency_hz is None else tone(frequency_hz, seconds, 0.3))


def test_the_lowest_notes_are_no_rumble() -> None:
    assert not found(tone(27.5, 8.0, 0.5))
    assert not found(tone(30.0, 2.0, 0.5))


def test_what_is_too_weak_to_matter_stays() -> None:
    sound = noise(5.0, rms=0.05)
    assert not found(sound + np.float32(0.002))
    assert found(sound + np.float32(0.006))
    # In silence, an offset of less than a level of ten bits.
    assert not found(np.full((1, 5 * RATE), 0.0009, np.float32))


@pytest.mark.parametrize("num_samples", [1, 3, 0.19 * RATE])
def test_what_is_too_short_to_tell_stays(num_samples: float) -> None:
    assert not found(np.ones((1, int(num_samples)), np.float32))
    assert found(np.ones((1, round(0.2 * RATE)), np.float32))
