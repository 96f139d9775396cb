from fractions import Fraction

import pytest

from uss.audio.placing import Placed, Timeline

FRAME = Fraction(1_024, 48_000)
JOINED = Placed()


def in_milliseconds(time: Fraction) -> Fraction:
    return Fraction(round(time * 1_000), 1_000)


def place_all(
    timeline: Timeline, times: list[Fraction | None], seconds: Fraction = FRAME
) -> list[Placed]:
    return [
        timeline.place(time, seconds, following)
        for time, following in zip(times, [*times[1:], None], strict=True)
    ]


@pytest.mark.parametrize(
    ("start", "num_frames"),
    # The first is an hour.
    [(Fraction(0), 170_000), (Fraction(7, 5), 10_000), (Fraction(-1, 50), 10_000)],
)
def test_timestamps_rounded_to_milliseconds_join_an_hour_without_a_seam(
    start: Fraction, num_frames: int
) -> None:
    timeline = Timeline()
    times: list[Fraction | None] = [in_milliseconds(start + i * FRAME) for i in range(num_frames)]
    assert all(placed == JOINED for placed in place_all(timeline, times))
    assert timeline.start == in_milliseconds(start)
    assert (timeline.filled_seconds, timeline.dropped_seconds, timeline.num_jumps) == (0, 0, 0)


@pytest.mark.parametrize("hole", [Fraction(1, 50), Fraction(2), Fraction(599)])
def test_a_hole_is_as_long_as_the_timestamps_say(hole: Fraction) -> None:
    times: list[Fraction | None] = [i * FRAME + (hole if i >= 50 else 0) for i in range(100)]
    placed = place_all(Timeline(), times)
    assert placed[50] == Placed(silent_seconds=hole)
    assert placed[:50] + placed[51:] == [JOINED] * 99


def test_small_holes_that_no_jitter_explains_are_filled_together() -> None:
    # A packet of 10 ms is lost every second; what stands where is never wrong by more than 100 ms.
    seconds = Fraction(1, 100)
    times: list[Fraction | None] = [i * seconds + i // 100 * seconds for i in range(6_000)]
    timeline = Timeline()
    given = Fraction(0)
    for time, placed in zip(times, place_all(timeline, times, seconds), strict=True):
        given += placed.silent_seconds
        assert time is not None and abs(time - given) <= Fraction(1, 10)
        given += seconds
    assert timeline.filled_seconds == Fraction(11, 100) * 5


def test_one_timestamp_that_slips_is_not_believed() -> None:
    for slip in (Fraction(1, 20), Fraction(-1, 20), Fraction(100)):
        times: list[Fraction | None] = [i * FRAME for i in range(100)]
        times[50] = 50 * FRAME + slip
        assert place_all(Timeline(), times) == [JOINED] * 100


def test_jitter_of_a_capture_is_not_believed() -> None:
    late = (0, 9, -5, 3, 14, -8, 2)
    times: list[Fraction | None] = [i * FRAME + Fraction(late[i % 7], 1_000) for i in range(7_000)]
    assert place_all(Timeline(), times) == [JOINED] * 7_000


def test_what_is_heard_twice_is_left_out_once() -> None:
    overlap = 3 * FRAME / 2
    times: list[Fraction | None] = [i * FRAME - (overlap if i >= 50 else 0) for i in range(100)]
    timeline = Timeline()
    placed = place_all(timeline, times)
    assert placed[50:52] == [Placed(dropped_seconds=FRAME), Placed(dropped_seconds=FRAME / 2)]
    assert placed[:50] + placed[52:] == [JOINED] * 98
    assert timeline.dropped_seconds == overlap


@pytest.mark.parametrize("num_first", [10, 50, 5_000])
def test_a_stream_that_starts_anew_is_joined_whole(num_first: int) -> None:
    times: list[Fraction | None] = [i * FRAME for i in range(num_first)]
    times += [i * FRAME for i in range(50)]
    timeline = Timeline()
    assert place_all(timeline, times) == [JOINED] * (num_first + 50)
    assert timeline.num_jumps == 1


def test_a_jump_beyond_the_end_of_the_track_is_no_hole() -> None:
    for end_seconds, jump in ((20.0, Fraction(3_600)), (0.0, Fraction(601))):
        times: list[Fraction | None] = [i * FRAME + (jump if i >= 50 else 0) for i in range(100)]
        timeline = Timeline(end_seconds)
        assert place_all(timeline, times) == [JOINED] * 100
        assert timeline.num_jumps == 1


def test_a_pause_is_filled_where_the_container_is_that_long() -> None:
    pause = Fraction(2_000)
    times: list[Fraction | None] = [i * FRAME + (pause if i >= 50 else 0) for i in range(100)]
    assert place_all(Timeline(2_003.0), times)[50] == Placed(silent_seconds=pause)


def test_frames_without_timestamps_follow_each_other() -> None:
    times: list[Fraction | None] = [None] * 10 + [10 * FRAME] + [None] * 10
    assert place_all(Timeline(), times) == [JOINED] * 21


def test_timestamps_that_are_only_counted_are_trusted_behind_damage_alone() -> None:
    timeline = Timeline()
    timeline.place(Fraction(0), FRAME, is_trusted=False)
    assert timeline.place(Fraction(1), FRAME, is_trusted=False) == JOINED
    assert timeline.place(Fraction(2), FRAME) == Placed(silent_seconds=1 - FRAME)
