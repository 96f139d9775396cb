from collections.abc import Iterator

import numpy as np
import pytest
from numpy.typing import NDArray

from uss.audio import AudioSource, Recording
from uss.audio.sources import Remainder, block_samples, reblock

RATE = 1_000


def ramp(num_channels: int, num_samples: int) -> NDArray[np.float32]:
    values = np.arange(num_channels * num_samples, dtype=np.float32)
    return values.reshape(num_channels, num_samples)


def test_a_recording_gives_its_seconds_without_copying_them() -> None:
    recording: AudioSource = Recording(waveform := ramp(2, 2_500), RATE)
    assert (recording.sample_rate, recording.num_channels) == (RATE, 2)
    for _ in range(2):
        blocks = list(recording.blocks())
        assert [block.shape for block in blocks] == [(2, 1_000), (2, 1_000), (2, 500)]
        assert all(np.shares_memory(block, waveform) for block in blocks)
        np.testing.assert_array_equal(np.concatenate(blocks, axis=1), waveform)


def test_a_recording_without_samples_gives_no_blocks() -> None:
    assert list(Recording(ramp(2, 0), RATE).blocks()) == []


@pytest.mark.parametrize("sizes", [[10], [1] * 10, [3, 0, 7], [0, 4, 4, 2], [9, 1]])
@pytest.mark.parametrize("length", [1, 3, 4, 10, 11])
def test_blocks_are_joined_and_cut(sizes: list[int], length: int) -> None:
    waveform = ramp(2, 10)
    blocks = np.split(waveform, np.cumsum(sizes)[:-1], axis=1)
    out = list(reblock(blocks, length))
    expected = [length] * (10 // length) + ([10 % length] if 10 % length else [])
    assert [block.shape[1] for block in out] == expected
    np.testing.assert_array_equal(np.concatenate(out, axis=1), waveform)


def test_blocks_are_a_second_unless_a_header_lies() -> None:
    assert block_samples(44_100, 2) == 44_100
    assert block_samples(192_000, 32) == 192_000
    assert block_samples(2**31 - 1, 1_024) * 1_024 * 4 == 2**25
    assert block_samples(1, 2) == 1


class TestRemainder:
    class Odd(Recording):
        """Gives its samples in blocks of 300."""

        def blocks(self) -> Iterator[NDArray[np.float32]]:
            return reblock([self.waveform], 300)

    def test_blocks_of_any_sizes_are_subtracted(self) -> None:
        whole, part = ramp(2, 2_500), 0.25 * ramp(2, 2_500)
        rest: AudioSource = Remainder(Recording(whole, RATE), self.Odd(part, RATE))
        assert (rest.sample_rate, rest.num_channels) == (RATE, 2)
        for _ in range(2):
            blocks = list(rest.blocks())
            assert [block.shape[1] for block in blocks] == [1_000, 1_000, 500]
            np.testing.assert_array_equal(np.concatenate(blocks, axis=1), whole - part)

    def test_other_lengths_are_a_fault(self) -> None:
        rest = Remainder(Recording(ramp(1, 2_500), RATE), Recording(ramp(1, 1_000), RATE))
        with pytest.raises(ValueError, match="shorter"):
            list(rest.blocks())
