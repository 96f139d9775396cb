from collections.abc import Iterator

import numpy as np
import pytest
from numpy.typing import NDArray

from uss.audio import envelopes
from uss.audio.envelopes import Envelope, LevelCurve, LoudnessMeter

RATE = 100
COLUMNS = 8


@pytest.fixture
def few_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    """Merge neighbours beyond eight columns, so that few samples are enough."""
    monkeypatch.setattr(envelopes, "_MAX_COLUMNS", COLUMNS)


def noise(rng: np.random.Generator, num_samples: int, channels: int = 2) -> NDArray[np.float32]:
    return rng.uniform(-1.0, 1.0, (channels, num_samples)).astype(np.float32)


def directly(
    waveform: NDArray[np.float32], max_columns: int
) -> tuple[int, NDArray[np.float32], NDArray[np.float32]]:
    """Samples per column, lowest and highest of each, from the whole."""
    width = 1
    while width * max_columns < waveform.shape[1]:
        width *= 2
    columns = [waveform[:, start : start + width] for start in range(0, waveform.shape[1], width)]
    return width, np.array([c.min() for c in columns]), np.array([c.max() for c in columns])


def check(envelope: Envelope, waveform: NDArray[np.float32], max_columns: int) -> None:
    width, low, high = directly(waveform, max_columns)
    assert envelope.num_samples == waveform.shape[1]
    assert envelope.samples_per_column == width
    np.testing.assert_array_equal(envelope.low, low)
    np.testing.assert_array_equal(envelope.high, high)
    assert len(envelope.centres_seconds) == len(low)


@pytest.mark.parametrize("num_samples", range(1, 70))
def test_an_envelope_is_what_a_direct_computation_gives_whatever_the_blocks(
    few_columns: None, rng: np.random.Generator, num_samples: int
) -> None:
    waveform = noise(rng, num_samples)
    for size in {*range(1, min(num_samples, 20) + 1), num_samples}:
        envelope = Envelope(RATE)
        for start in range(0, num_samples, size):
            envelope.add(waveform[:, start : start + size])
        check(envelope, waveform, COLUMNS)


@pytest.mark.parametrize("num_samples", [1, 4_095, 4_096, 4_097, 8_191, 8_192, 8_193, 40_961])
def test_there_are_4096_columns_at_most(rng: np.random.Generator, num_samples: int) -> None:
    waveform = noise(rng, num_samples)
    whole = Envelope.of(waveform, RATE)
    check(whole, waveform, 4_096)
    in_blocks = Envelope(RATE)
    for start in range(0, num_samples, 4_000):
        in_blocks.add(waveform[:, start : start + 4_000])
    np.testing.assert_array_equal(in_blocks.low, whole.low)
    np.testing.assert_array_equal(in_blocks.high, whole.high)


def test_it_summarises_all_channels() -> None:
    envelope = Envelope.of(np.array([[0.1, -0.2], [0.3, 0.4]], np.float32), RATE)
    np.testing.assert_allclose(envelope.low, [0.1, -0.2])
    np.testing.assert_allclose(envelope.high, [0.3, 0.4])


def test_a_wave_that_never_crosses_0_has_an_envelope_that_does_not(few_columns: None) -> None:
    """Columns are not merged with the zeros of memory that nothing was written to."""
    ones = np.ones((1, 1), np.float32)
    envelope = Envelope(RATE)
    for _ in range(67):
        envelope.add(ones)
        assert envelope.low.min() == 1.0
    negative = Envelope.of(-np.ones((1, 67), np.float32), RATE)
    assert negative.high.max() == -1.0


def test_centres_are_those_of_the_samples_there_are(few_columns: None) -> None:
    assert Envelope.of(np.zeros((1, 3), np.float32), RATE).centres_seconds.tolist() == [
        0.005,
        0.015,
        0.025,
    ]
    envelope = Envelope.of(np.zeros((1, 9), np.float32), RATE)
    assert envelope.samples_per_column == 2
    expected = [0.01, 0.03, 0.05, 0.07, 0.085]
    np.testing.assert_allclose(envelope.centres_seconds, expected)


def test_an_envelope_of_nothing() -> None:
    envelope = Envelope(RATE)
    envelope.add(np.zeros((2, 0), np.float32))
    assert envelope.num_samples == 0
    assert len(envelope.low) == len(envelope.high) == len(envelope.centres_seconds) == 0


@pytest.mark.parametrize("size", [1, 7, 50, 99, 100, 101, 250, 1_000])
def test_loudness_is_measured_within_the_intervals_across_blocks(
    rng: np.random.Generator, size: int
) -> None:
    waveform = noise(rng, 1_000)
    meter = LoudnessMeter([(0.5, 1.5), (3.0, 3.01), (9.0, 10.0)], RATE)
    for start in range(0, 1_000, size):
        meter.add(waveform[:, start : start + size])
    within = np.concatenate([waveform[:, s:e] for s, e in ((50, 150), (300, 301), (900, 1_000))], 1)
    expected = 10.0 * np.log10(np.mean(np.square(within, dtype=np.float64)))
    assert meter.dbfs == pytest.approx(expected, abs=0.006)


@pytest.mark.parametrize(("gain", "dbfs"), [(1.0, 0.0), (0.5, -6.02), (0.1, -20.0), (2.0, 6.02)])
def test_a_square_wave_at_full_scale_has_0_db(gain: float, dbfs: float) -> None:
    square = np.tile(np.array([[gain, -gain]], np.float32), 50)
    meter = LoudnessMeter([(0.0, 1.0)], RATE)
    meter.add(square)
    assert meter.dbfs == dbfs


def test_a_sine_has_3_db_less_than_its_peak() -> None:
    sine = np.sin(2.0 * np.pi * np.arange(RATE) / 10.0)[None].astype(np.float32)
    meter = LoudnessMeter([(0.0, 1.0)], RATE)
    meter.add(sine)
    assert meter.dbfs == -3.01


def test_what_lies_outside_the_intervals_does_not_count() -> None:
    meter = LoudnessMeter([(1.0, 2.0)], RATE)
    for value in (1.0, 0.1, 1.0):
        meter.add(np.full((2, RATE), value, np.float32))
    assert meter.dbfs == -20.0


@pytest.mark.parametrize("intervals", [[], [(0.0, 1.0)], [(2.0, 3.0)]])
def test_silence_has_no_level(intervals: list[tuple[float, float]]) -> None:
    meter = LoudnessMeter(intervals, RATE)
    assert meter.dbfs is None
    meter.add(np.zeros((1, RATE), np.float32))
    meter.add(np.ones((1, RATE), np.float32))
    assert meter.dbfs is None


def test_loudness_within_thousands_of_spans_takes_linear_time() -> None:
    """Four hours in blocks of eight seconds, with 1,200 spans: each is looked at once."""

    class Counted(tuple[float, float]):
        times_read = 0

        def __iter__(self) -> Iterator[float]:
            Counted.times_read += 1
            return super().__iter__()

    num_spans, seconds, rate = 1_200, 14_400, 10
    meter = LoudnessMeter([(12.0 * n, 12.0 * n + 4.0) for n in range(num_spans)], rate)
    meter._spans = [Counted(span) for span in meter._spans]
    for _ in range(seconds // 8):
        meter.add(np.full((1, 8 * rate), 0.1, np.float32))
    assert meter.dbfs == -20.0
    # Once where it begins, and at most twice in each block for the one that comes next.
    assert Counted.times_read <= num_spans + 2 * (seconds // 8)


def levels_of(waveform: NDArray[np.float32], sample_rate: int, block: int) -> NDArray[np.float32]:
    curve = LevelCurve(sample_rate)
    for start in range(0, waveform.shape[1], block):
        curve.add(waveform[:, start : start + block])
    return curve.levels_db


@pytest.mark.parametrize("sample_rate", [20, 8_000, 11_025, 44_100])
@pytest.mark.parametrize("num_samples", [1, 551, 552, 5_000])
def test_levels_of_frames(rng: np.random.Generator, sample_rate: int, num_samples: int) -> None:
    waveform = noise(rng, num_samples)
    whole = levels_of(waveform, sample_rate, num_samples)
    frames = np.arange(num_samples) * 20 // sample_rate
    expected = [
        10.0 * np.log10(np.mean(np.square(waveform[:, frames == frame], dtype=np.float64)))
        for frame in range(frames[-1] + 1)
    ]
    np.testing.assert_allclose(whole, expected, atol=0.2501)
    for block in (7, 551, 2_205, 3_000):
        np.testing.assert_array_equal(levels_of(waveform, sample_rate, block), whole)


def test_levels_end_where_a_byte_does() -> None:
    # Eight samples each of silence, of a square wave at full scale, at half, and far beyond.
    waveform = np.repeat(np.array([[0.0, 1.0, 0.5, 1e-9, 100.0]], np.float32), 8, axis=1)
    assert levels_of(waveform, 160, 40).tolist() == [-120.0, 0.0, -6.0, -120.0, 7.5]


def test_no_samples_have_no_levels() -> None:
    assert levels_of(np.zeros((1, 0), np.float32), RATE, 1).shape == (0,)
    curve = LevelCurve(RATE)
    curve.add(np.zeros((2, 0), np.float32))
    assert curve.levels_db.shape == (0,)


def test_levels_of_an_hour_take_72_kilobytes() -> None:
    curve = LevelCurve(RATE)
    hour = np.full((1, 3_600 * RATE), 0.1, np.float32)
    curve.add(hour)
    assert curve.num_bytes == 72_000
