import numpy as np
import pytest
from numpy.typing import NDArray

from uss.audio.buffers import StreamBuffer, Track
from uss.audio.segments import Segmentation
from uss.core.arrays import Waveform


def count(start: int, end: int, channels: int = 2) -> NDArray[np.float32]:
    """Samples whose values are their positions; the second channel holds them negated."""
    positions = np.arange(start, end, dtype=np.float32)
    return np.stack([positions, -positions][:channels])


@pytest.fixture
def buffer() -> StreamBuffer:
    """Hold positions 0 to 9 in blocks that end at 3, 4 and 10."""
    buffer = StreamBuffer(2)
    for start, end in ((0, 3), (3, 4), (4, 10)):
        buffer.append(count(start, end))
    return buffer


@pytest.mark.parametrize(("start", "end"), [(0, 10), (0, 3), (2, 5), (3, 4), (5, 7), (9, 10)])
def test_a_cut_joins_blocks(buffer: StreamBuffer, start: int, end: int) -> None:
    np.testing.assert_array_equal(buffer.cut(start, end), count(start, end))
    assert buffer.cut(start, end).dtype == np.float32
    assert buffer.end == 10


def test_a_cut_is_zero_before_the_start_and_beyond_the_end(buffer: StreamBuffer) -> None:
    assert buffer.cut(-2, 3)[0].tolist() == [0, 0, 0, 1, 2]
    assert buffer.cut(8, 12)[1].tolist() == [-8, -9, 0, 0]
    assert buffer.cut(-1, 11)[0].tolist() == [0, *range(10), 0]
    assert not buffer.cut(-5, -2).any()
    assert not buffer.cut(10, 14).any()


def test_an_empty_cut_and_an_empty_block() -> None:
    buffer = StreamBuffer(3)
    assert buffer.cut(0, 0).shape == (3, 0)
    buffer.append(np.zeros((3, 0), np.float32))
    assert buffer.end == 0
    assert buffer.cut(0, 2).tolist() == [[0, 0]] * 3


def test_a_cut_is_a_copy(buffer: StreamBuffer) -> None:
    buffer.cut(0, 10)[:] = 7.0
    np.testing.assert_array_equal(buffer.cut(0, 10), count(0, 10))


@pytest.mark.parametrize(("before", "first_left"), [(-5, 0), (2, 0), (3, 3), (4, 4), (9, 4)])
def test_forgetting_drops_whole_blocks_and_moves_nothing(
    buffer: StreamBuffer, before: int, first_left: int
) -> None:
    buffer.forget(before)
    assert buffer.end == 10
    kept = buffer.cut(0, 10)
    assert not kept[:, :first_left].any()
    np.testing.assert_array_equal(kept[:, first_left:], count(first_left, 10))


def test_a_buffer_that_forgot_all_goes_on_where_it_was(buffer: StreamBuffer) -> None:
    buffer.forget(10)
    assert not buffer.cut(0, 10).any()
    buffer.append(count(10, 12))
    assert buffer.end == 12
    assert buffer.cut(9, 12)[0].tolist() == [0, 10, 11]


def ones(num_samples: int, value: float = 1.0) -> NDArray[np.float32]:
    return np.full((1, num_samples), value, np.float32)


def test_pieces_of_a_track_add_up_where_they_overlap() -> None:
    track = Track()
    track.add(2, ones(4))
    track.add(4, ones(4, 0.5))
    track.add(4, ones(1, 0.25))
    total = track.cut(0, 10)
    assert total is not None
    assert total.dtype == np.float32
    assert total.tolist() == [[0, 0, 1, 1, 1.75, 1.5, 0.5, 0.5, 0, 0]]


def test_a_track_is_none_where_nothing_was_added() -> None:
    track = Track()
    assert track.cut(0, 5) is None
    track.add(5, ones(3))
    assert track.cut(0, 5) is None
    assert track.cut(8, 9) is None
    assert track.cut(4, 6) is not None
    assert track.cut(7, 8) is not None


def test_silence_that_was_added_is_not_none() -> None:
    """Which tells a stem that is separated and silent from one that is not active."""
    track = Track()
    track.add(0, ones(2, 0.0))
    assert track.cut(1, 3) is not None


def test_a_track_starts_before_0_with_silence() -> None:
    track = Track()
    track.add(0, ones(2))
    start = track.cut(-3, 1)
    assert start is not None
    assert start.tolist() == [[0, 0, 0, 1]]


def test_a_track_forgets_pieces_that_end_before_a_position() -> None:
    track = Track()
    for start in (0, 3, 6):
        track.add(start, ones(4))
    track.forget(4)
    left = track.cut(0, 10)
    assert left is not None
    assert left.tolist() == [[0, 0, 0, 1, 1, 1, 2, 1, 1, 1]]
    track.forget(10)
    assert track.cut(0, 10) is None


def test_adding_to_a_cut_changes_no_piece() -> None:
    track = Track()
    piece = ones(2)
    track.add(0, piece)
    cut = track.cut(0, 2)
    assert cut is not None
    cut += 1.0
    np.testing.assert_array_equal(piece, ones(2))


def segment(waveform: NDArray[np.float32], segmentation: Segmentation, index: int) -> Waveform:
    stream = StreamBuffer(len(waveform))
    stream.append(waveform)
    start = int(segmentation.starts[index])
    return stream.cut(start, start + segmentation.segment_samples)


def test_the_last_segment_is_padded_with_zeros() -> None:
    waveform = np.arange(1, 21, dtype=np.float32).reshape(2, 10)
    segmentation = Segmentation.of(10, 8, 0.25)
    np.testing.assert_array_equal(segment(waveform, segmentation, 0), waveform[:, :8])
    np.testing.assert_array_equal(
        segment(waveform, segmentation, 1),
        [[7, 8, 9, 10, 0, 0, 0, 0], [17, 18, 19, 20, 0, 0, 0, 0]],
    )
    np.testing.assert_array_equal(
        segment(waveform[:1], segmentation, 1), [[7, 8, 9, 10, 0, 0, 0, 0]]
    )


@pytest.mark.parametrize("num_samples", [1, 5])
def test_a_recording_shorter_than_a_segment_is_padded(num_samples: int) -> None:
    waveform = np.ones((1, num_samples), np.float32)
    piece = segment(waveform, Segmentation.of(num_samples, 8, 0.25), 0)
    np.testing.assert_array_equal(piece, [[1.0] * num_samples + [0.0] * (8 - num_samples)])
