import numpy as np
import pytest

from uss.core.arrays import Float32
from uss.separation.full_band import follow_top_band, top_band_gain, top_band_shares

RATE = 32_000
HOP = 640


def noise(rng: np.random.Generator, channels: int = 1, seconds: float = 1.0) -> Float32:
    return rng.uniform(-0.5, 0.5, (channels, round(seconds * RATE))).astype(np.float32)


def tone(hz: float, seconds: float = 1.0) -> Float32:
    time = np.arange(round(seconds * RATE)) / RATE
    return 0.5 * np.sin(2.0 * np.pi * hz * time)[None].astype(np.float32)


@pytest.mark.parametrize("gain", [0.0, 0.25, 0.5, 1.0])
def test_a_part_of_the_mixture_has_its_amplitude_as_gain(
    rng: np.random.Generator, gain: float
) -> None:
    mixture = noise(rng, channels=2)
    gains = top_band_gain(np.float32(gain) * mixture, mixture, RATE)
    assert gains.dtype == np.float32
    np.testing.assert_allclose(gains, gain, atol=1e-4)


def test_a_gain_belongs_to_every_20_ms_and_beyond_the_end(rng: np.random.Generator) -> None:
    for num_samples in (1, HOP, HOP + 1, 10 * HOP):
        mixture = noise(rng)[:, :num_samples]
        assert len(top_band_gain(mixture, mixture, RATE)) > (num_samples - 1) // HOP


def test_a_stem_that_is_louder_than_the_mixture_gets_no_more_than_all(
    rng: np.random.Generator,
) -> None:
    mixture = noise(rng)
    assert top_band_gain(2.0 * mixture, mixture, RATE).max() == 1.0


@pytest.mark.parametrize(("hz", "gain"), [(1_000, 0.0), (11_000, 0.0), (13_000, 1.0), (15_000, 1)])
def test_only_12_to_15_and_a_half_khz_count(hz: float, gain: float) -> None:
    """The stem has one of the mixture's tones of 1, 11 and 13 or 15 kHz."""
    mixture = tone(1_000) + tone(11_000) + tone(hz if hz > 12_000 else 13_000)
    gains = top_band_gain(tone(hz), mixture, RATE)[2:-4]
    np.testing.assert_allclose(gains, gain, atol=0.01)


@pytest.mark.parametrize("rate", [16_000, 44_100])
def test_the_top_is_that_of_the_separators_own_band(rate: int) -> None:
    """Three quarters of the way to half the rate and above."""
    time = np.arange(rate) / rate
    low, high = (
        np.sin(2.0 * np.pi * share * rate / 2.0 * time)[None].astype(np.float32)
        for share in (0.5, 0.85)
    )
    for stem, gain in ((low, 0.0), (high, 1.0)):
        gains = top_band_gain(stem, low + high, rate)[4:-6]
        np.testing.assert_allclose(gains, gain, atol=0.01)


def test_gains_do_not_depend_on_the_second_they_start_at(rng: np.random.Generator) -> None:
    mixture, stem = noise(rng, seconds=3.0), noise(rng, seconds=3.0)
    whole = top_band_gain(stem, mixture, RATE)
    later = top_band_gain(stem[:, RATE:], mixture[:, RATE:], RATE)
    np.testing.assert_allclose(whole[51:150], later[1:100], atol=1e-5)


def test_where_all_is_silent_the_gain_is_0() -> None:
    silence = np.zeros((2, RATE), np.float32)
    assert not top_band_gain(silence, silence, RATE).any()


def test_gains_follow_the_time_frames_are_centred_at(rng: np.random.Generator) -> None:
    """A stem that holds the second half: 0 before, 1 after, and 0.7 in the middle."""
    mixture = noise(rng, channels=8)
    middle = 25
    stem = mixture.copy()
    stem[:, : middle * HOP] = 0.0
    gains = top_band_gain(stem, mixture, RATE)
    assert not gains[:middle].any()
    np.testing.assert_allclose(gains[middle + 1 : 49], 1.0, atol=1e-4)
    assert gains[middle] == pytest.approx(0.5**0.5, abs=0.05)


def test_the_gains_of_two_halves_add_up_in_energy(rng: np.random.Generator) -> None:
    first, second = tone(13_000), tone(15_000)
    gains = [top_band_gain(each, first + second, RATE)[2:-4] for each in (first, second)]
    np.testing.assert_allclose(np.square(gains[0]) + np.square(gains[1]), 1.0, atol=0.01)


@pytest.mark.parametrize("rate", [44_100, 48_000, 96_000])
def test_the_high_band_follows_the_gain_line_by_line(rate: int) -> None:
    """A gain that rises by 0.001 per frame, from where the margin of one second ends."""
    gain = np.float32(0.001) * np.arange(200, dtype=np.float32)
    high = np.ones((2, rate), np.float32)
    followed = follow_top_band(high, rate, gain, first_second=1)
    assert followed.dtype == np.float32
    seconds = 1.0 + np.arange(rate) / rate
    expected = 0.001 * seconds * RATE / HOP
    np.testing.assert_allclose(followed, np.stack([expected] * 2), atol=1e-6)


def test_beyond_the_last_frame_its_gain_holds() -> None:
    gain = np.array([0.0, 0.5], np.float32)
    followed = follow_top_band(np.ones((1, 48_000), np.float32), 48_000, gain, 0)
    assert followed[0, -1] == 0.5
    assert followed[0, 0] == 0.0


def test_shares_add_up_to_one_and_follow_the_energy() -> None:
    """13 kHz at 0.6 and 15 kHz at 0.8 of an amplitude: shares of 0.36 and 0.64."""
    first, second = np.float32(0.6) * tone(13_000), np.float32(0.8) * tone(15_000)
    shares = top_band_shares([first, None, second], first + second, RATE)
    assert list(shares) == [0, 2]
    np.testing.assert_allclose(shares[0] + shares[2], 1.0, atol=1e-6)
    np.testing.assert_allclose(shares[0][2:-4], 0.36, atol=0.01)


def test_where_the_top_is_silent_all_shares_are_equal() -> None:
    silence = np.zeros((1, RATE), np.float32)
    shares = top_band_shares([silence] * 4, silence, RATE)
    for share in shares.values():
        np.testing.assert_allclose(share, 0.25)
    assert top_band_shares([None, None], silence, RATE) == {}
