"""What lies below 20 Hz is in no stem, and what is heard is as it was."""

from collections.abc import Iterator

import numpy as np
import pytest

from tests.uss.evaluation.conftest import DOG, RATE, make_separator
from uss.audio import Recording
from uss.core.arrays import Waveform
from uss.separation.plan import Wanted
from uss.separation.stream import whole_stems

SECONDS = 20.0
BURST = slice(round(6.0 * RATE), round(9.0 * RATE))


class Source:
    """A recording that comes in blocks of some length."""

    sample_rate = RATE

    def __init__(self, waveform: Waveform, block_samples: int) -> None:
        self._waveform = waveform
        self._block_samples = block_samples
        self.num_channels = len(waveform)

    def blocks(self) -> Iterator[Waveform]:
        for start in range(0, self._waveform.shape[1], self._block_samples):
            yield self._waveform[:, start : start + self._block_samples]


def tones(*frequencies_hz: float, amplitude: float = 0.3) -> Waveform:
    """(1, T)."""
    times = np.arange(round(SECONDS * RATE)) / RATE
    total = sum(np.sin(2.0 * np.pi * frequency * times) for frequency in frequencies_hz)
    return (amplitude * np.asarray(total))[None].astype(np.float32)


def dog(
    waveform: Waveform,
    *,
    overlap: float = 0.25,
    full_band: bool = False,
    block_samples: int = RATE,
) -> Waveform:
    """(C, T) all below 2 kHz, which the separator takes for a dog."""
    separator = make_separator(DOG)
    source = Source(waveform, block_samples)
    analysis = separator.analyse(source, overlap)
    plan = separator.plan(analysis, Wanted(levels=[3], full_band=full_band))
    assert len(plan.detections) == 1
    return whole_stems(separator.stream(source, analysis, plan), 1, waveform)[0]


def rms_db(waveform: Waveform) -> float:
    return float(10.0 * np.log10(np.mean(np.square(waveform, dtype=np.float64))))


RUMBLES = {
    "offset": lambda: np.full_like(tones(1.0), 0.05),
    "10 Hz": lambda: tones(10.0, amplitude=0.07),
    "offset of one channel": lambda: np.array([[0.05], [0.0]], np.float32) + 0.0 * tones(1.0),
    "in opposite phase": lambda: np.array([[0.05], [-0.05]], np.float32) + 0.0 * tones(1.0),
}


@pytest.mark.parametrize("kind", RUMBLES)
def test_it_is_in_no_stem(kind: str) -> None:
    sound = tones(440.0)
    sound[:, : BURST.start] = sound[:, BURST.stop :] = 0.0
    sound = np.repeat(sound, len(RUMBLES[kind]()), axis=0)
    stem = dog(sound + RUMBLES[kind]())
    # Neither in the sound, nor where it begins and ends, nor beside it.
    np.testing.assert_allclose(stem[:, BURST], sound[:, BURST], atol=0.03)
    middle = slice(BURST.start + RATE // 4, BURST.stop - RATE // 4)
    np.testing.assert_allclose(stem[:, middle], sound[:, middle], atol=1e-3)
    # A wave that is mirrored at the end of the recording has a kink there.
    assert np.abs(stem[:, RATE // 5 : BURST.start - RATE // 4]).max() < 1e-3
    assert np.abs(stem[:, BURST.stop + RATE // 4 : -RATE // 5]).max() < 1e-3


def test_the_bass_beside_it_is_as_loud_as_before() -> None:
    sound = tones(30.0, 440.0)
    with_offset = dog(sound + np.float32(0.1))
    inside = slice(RATE, -RATE)
    assert rms_db(with_offset[:, inside]) == pytest.approx(rms_db(sound[:, inside]), abs=0.02)
    np.testing.assert_allclose(with_offset[:, inside], sound[:, inside], atol=2e-3)


def test_without_it_nothing_is_filtered() -> None:
    """15 Hz that are too weak to matter stay where they are."""
    sound = tones(440.0) + tones(15.0, amplitude=0.01)
    np.testing.assert_allclose(dog(sound)[:, RATE:-RATE], sound[:, RATE:-RATE], atol=1e-4)


def test_the_papers_segments_are_separated_as_they_are() -> None:
    sound = tones(440.0) + np.float32(0.05)
    stem = dog(sound, overlap=0.0)
    assert stem.mean() == pytest.approx(0.05, abs=5e-4)


def test_the_upper_band_gets_none_of_it_either() -> None:
    """At a rate above the separator's, what it does not get is not taken for the upper band."""
    separator = make_separator(DOG)
    times = np.arange(12 * 48_000) / 48_000
    sound = sum(0.1 * np.sin(2.0 * np.pi * hz * times) for hz in (440.0, 13_000.0, 20_000.0))
    recording = Recording((sound + 0.05)[None].astype(np.float32), 48_000)
    analysis = separator.analyse(recording)
    wanted = Wanted(queries=[separator.class_query("Dog")], threshold=0.0, full_band=True)
    plan = separator.plan(analysis, wanted)
    (stem,) = whole_stems(separator.stream(recording, analysis, plan), 1, recording.waveform)
    seconds = stem[0, 48_000 : 11 * 48_000].reshape(10, 48_000)
    assert np.abs(seconds.mean(axis=1)).max() < 1e-4


@pytest.mark.parametrize("block_samples", [777, 3 * RATE, round(SECONDS * RATE)])
def test_it_does_not_matter_how_the_recording_comes(block_samples: int) -> None:
    sound = tones(30.0, 440.0) + np.float32(0.05)
    expected = dog(sound)
    np.testing.assert_allclose(dog(sound, block_samples=block_samples), expected, atol=1e-6)
