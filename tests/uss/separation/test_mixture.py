"""The second reading of a recording."""

import numpy as np
import pytest

from uss.audio import Recording, resample
from uss.core.errors import InputError
from uss.separation.mixture import MixtureReader

RATE = 48_000


def recording(seconds: float = 3.0) -> Recording:
    rng = np.random.default_rng(0)
    return Recording(rng.uniform(-0.5, 0.5, (2, round(seconds * RATE))).astype(np.float32), RATE)


def test_it_is_read_no_further_than_asked_for_and_then_to_the_end() -> None:
    source = recording(40.0)
    reader = MixtureReader(source, source.num_samples, 32_000)
    reader.read_until(32_000)
    assert 32_000 <= reader.resampled.end < 40 * 32_000
    reader.read_to_the_end()
    assert (reader.native.end, reader.resampled.end) == (source.num_samples, 40 * 32_000)
    np.testing.assert_array_equal(reader.native.cut(0, source.num_samples), source.waveform)
    expected = resample(source.waveform, RATE, 32_000)
    np.testing.assert_allclose(reader.resampled.cut(0, 40 * 32_000), expected, atol=1e-6)


def test_reading_on_beyond_the_end_stops_there() -> None:
    source = recording(0.1)
    reader = MixtureReader(source, source.num_samples, RATE)
    reader.read_until(10 * RATE)
    assert reader.resampled.end == source.num_samples


@pytest.mark.parametrize("announced", [1, 143_999, 144_001])
def test_a_recording_that_changed_is_refused_at_its_end(announced: int) -> None:
    reader = MixtureReader(recording(), announced, 32_000)
    with pytest.raises(InputError, match=f"had {announced} samples when it was tagged"):
        reader.read_to_the_end()


def test_what_is_closed_reads_nothing_more() -> None:
    source = recording()
    reader = MixtureReader(source, source.num_samples, 32_000)
    reader.read_until(1)
    reader.close()
    before = reader.resampled.end
    reader.read_until(3 * 32_000)
    assert reader.resampled.end == before
