from collections.abc import Iterator

import numpy as np
import pytest
from numpy.typing import NDArray

from uss.audio import resample, resample_blocks, resample_middle

RATE = 16_000
# From telephones to studios, up and down.
RATES = [
    (44_100, 32_000),
    (32_000, 44_100),
    (48_000, 32_000),
    (8_000, 32_000),
    (11_025, 32_000),
    (192_000, 32_000),
    (32_000, 192_000),
    (192_000, 8_000),
    (8_000, 192_000),
    (47_952, 32_000),
]


def tone(frequency_hz: float, num_samples: int, sample_rate: int) -> NDArray[np.float32]:
    phase = 2.0 * np.pi * frequency_hz * np.arange(num_samples) / sample_rate
    return (0.5 * np.sin(phase)).astype(np.float32)


def noise(rng: np.random.Generator, num_samples: int) -> NDArray[np.float32]:
    """Two channels, loud at every frequency and at both ends."""
    return rng.uniform(-0.5, 0.5, (2, num_samples)).astype(np.float32)


def cut(waveform: NDArray[np.float32], length: int) -> Iterator[NDArray[np.float32]]:
    for start in range(0, waveform.shape[1], length):
        yield waveform[:, start : start + length]


@pytest.mark.parametrize(
    ("from_hz", "to_hz"), [(44_100, 32_000), (32_000, 44_100), (8_000, 32_000)]
)
@pytest.mark.parametrize("num_samples", [1, 2, 3, 999, 1_000, 44_100])
def test_resampled_length(from_hz: int, to_hz: int, num_samples: int) -> None:
    waveform = np.ones((2, num_samples), np.float32)
    out = resample(waveform, from_hz, to_hz)
    assert out.shape == (2, round(num_samples * to_hz / from_hz))
    assert out.dtype == np.float32
    assert resample(waveform[0], from_hz, to_hz).shape == out.shape[1:]


@pytest.mark.parametrize(("from_hz", "to_hz"), [(48_000, 32_000), (16_000, 32_000)])
def test_a_resampled_tone_is_the_tone_at_the_new_rate(from_hz: int, to_hz: int) -> None:
    out = resample(tone(1_000.0, from_hz, from_hz), from_hz, to_hz)
    middle = slice(to_hz // 4, -to_hz // 4)
    np.testing.assert_allclose(out[middle], tone(1_000.0, to_hz, to_hz)[middle], atol=1e-4)


def test_resampling_removes_what_the_new_rate_cannot_hold() -> None:
    out = resample(tone(20_000.0, 48_000, 48_000), 48_000, 32_000)
    assert np.abs(out[1_000:-1_000]).max() < 1e-4


def test_equal_rates_give_the_input_itself() -> None:
    stereo = np.stack([tone(440.0, RATE, RATE), tone(1_000.0, RATE, RATE)])
    assert resample(stereo, RATE, RATE) is stereo


def test_channels_are_resampled_alike() -> None:
    stereo = np.stack([tone(440.0, RATE, RATE), tone(1_000.0, RATE, RATE)])
    both = resample(stereo, RATE, 32_000)
    for channel, row in zip(stereo, both, strict=True):
        np.testing.assert_allclose(resample(channel, RATE, 32_000), row, atol=1e-7)


@pytest.mark.parametrize(("from_hz", "to_hz"), RATES)
@pytest.mark.parametrize("seconds", [0.0, 7.0, 8.0, 17.3])
def test_blocks_are_resampled_as_the_whole_is(
    rng: np.random.Generator, from_hz: int, to_hz: int, seconds: float
) -> None:
    for surplus in (-1, 0, 1):
        waveform = noise(rng, max(1, round(seconds * from_hz) + surplus))
        whole = resample(waveform, from_hz, to_hz)
        blocks = list(resample_blocks(cut(waveform, 5_000), from_hz, to_hz))
        assert all(block.shape == (2, 8 * to_hz) for block in blocks[:-1])
        assert all(0 < block.shape[1] <= 8 * to_hz for block in blocks)
        joined = np.concatenate([np.zeros((2, 0), np.float32), *blocks], axis=1)
        assert joined.shape == whole.shape
        assert joined.dtype == np.float32
        np.testing.assert_allclose(joined, whole, atol=1e-6, rtol=0.0)


@pytest.mark.parametrize("length", [1, 999, RATE, 100_000])
@pytest.mark.parametrize("to_hz", [11_025, RATE])
def test_the_sizes_of_the_blocks_make_no_difference(
    rng: np.random.Generator, length: int, to_hz: int
) -> None:
    waveform = noise(rng, round(2.5 * RATE))
    expected = list(resample_blocks([waveform], RATE, to_hz, block_seconds=1))
    blocks = list(resample_blocks(cut(waveform, length), RATE, to_hz, block_seconds=1))
    assert [block.shape[1] for block in blocks] == [to_hz, to_hz, round(0.5 * to_hz)]
    for block, other in zip(blocks, expected, strict=True):
        np.testing.assert_array_equal(block, other)


def test_blocks_of_equal_rates_are_only_cut_anew(rng: np.random.Generator) -> None:
    waveform = noise(rng, 20 * RATE)
    blocks = list(resample_blocks(cut(waveform, 12_345), RATE, RATE))
    assert [block.shape[1] for block in blocks] == [8 * RATE, 8 * RATE, 4 * RATE]
    np.testing.assert_array_equal(np.concatenate(blocks, axis=1), waveform)


@pytest.mark.parametrize("num_seconds", [1, 2, 3])
def test_halves_of_samples_are_rounded_for_the_whole(num_seconds: int) -> None:
    # Whole seconds give odd numbers of samples, and half a sample is left at the end.
    num_samples = num_seconds * 22_050 + 1
    blocks = resample_blocks([np.ones((1, num_samples), np.float32)], 22_050, 11_025, 1)
    assert sum(block.shape[1] for block in blocks) == round(num_samples / 2)


def test_no_blocks_give_none() -> None:
    assert list(resample_blocks([], RATE, 32_000)) == []
    assert list(resample_blocks([np.zeros((2, 0), np.float32)], RATE, 32_000)) == []


def test_blocks_are_given_as_soon_as_their_neighbours_are_known() -> None:
    seconds_read = 0

    def endless() -> Iterator[NDArray[np.float32]]:
        nonlocal seconds_read
        while True:
            seconds_read += 1
            yield np.zeros((1, RATE), np.float32)

    next(resample_blocks(endless(), RATE, 32_000, block_seconds=2))
    assert seconds_read == 4


@pytest.mark.parametrize(("from_hz", "to_hz"), RATES)
def test_a_middle_is_resampled_as_a_part_of_the_whole(
    rng: np.random.Generator, from_hz: int, to_hz: int
) -> None:
    waveform = noise(rng, 9 * from_hz)
    whole = resample(waveform, from_hz, to_hz)
    middle = resample_middle(waveform[:, 2 * from_hz : 7 * from_hz], from_hz, to_hz)
    assert middle.shape == (2, 3 * to_hz)
    np.testing.assert_allclose(middle, whole[:, 3 * to_hz : 6 * to_hz], atol=1e-6, rtol=0.0)


@pytest.mark.parametrize(("from_hz", "to_hz"), [*RATES, (RATE, RATE)])
def test_zeros_stand_for_what_is_beyond_the_ends(
    rng: np.random.Generator, from_hz: int, to_hz: int
) -> None:
    waveform = noise(rng, round(1.3 * from_hz) + 1)
    padded = np.pad(waveform, ((0, 0), (from_hz, from_hz)))
    middle = resample_middle(padded, from_hz, to_hz)
    whole = resample(waveform, from_hz, to_hz)
    assert middle.shape == whole.shape
    np.testing.assert_allclose(middle, whole, atol=1e-6, rtol=0.0)


def test_a_middle_of_one_channel_and_other_margins(rng: np.random.Generator) -> None:
    waveform = noise(rng, 6 * RATE)[0]
    middle = resample_middle(waveform, RATE, 32_000, margin_seconds=2)
    assert middle.shape == (2 * 32_000,)
    whole = resample(waveform, RATE, 32_000)
    np.testing.assert_allclose(middle, whole[2 * 32_000 : 4 * 32_000], atol=1e-6, rtol=0.0)


def test_margins_without_a_middle_are_refused() -> None:
    with pytest.raises(ValueError, match="32000 samples at 16000 Hz leave nothing between"):
        resample_middle(np.zeros((1, 2 * RATE), np.float32), RATE, 32_000)


@pytest.mark.parametrize(("from_hz", "to_hz"), RATES)
@pytest.mark.parametrize("at_the_end", [False, True])
def test_ends_are_resampled_as_if_silence_were_around(
    rng: np.random.Generator, from_hz: int, to_hz: int, at_the_end: bool
) -> None:
    waveform = noise(rng, from_hz)
    around = ((0, 0), (0, from_hz)) if at_the_end else ((0, 0), (from_hz, 0))
    longer = resample(np.pad(waveform, around), from_hz, to_hz)
    part = longer[:, :to_hz] if at_the_end else longer[:, to_hz:]
    np.testing.assert_allclose(resample(waveform, from_hz, to_hz), part, atol=1e-6, rtol=0.0)
