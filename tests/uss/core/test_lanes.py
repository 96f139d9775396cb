"""Parts of a batch side by side."""

import threading
import time
from collections.abc import Iterator

import pytest
import torch

from uss.core.lanes import MOST, Lanes


@pytest.fixture(autouse=True)
def two_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def test_results_come_in_order_though_the_first_takes_longest() -> None:
    def slow(part: int) -> int:
        time.sleep(0.05 / part)
        return -part

    assert Lanes(2).map(slow, [1, 5, 50]) == [-1, -5, -50]


def test_parts_run_side_by_side_with_a_share_of_the_cores_and_without_gradients() -> None:
    meeting = threading.Barrier(2)

    def meet(part: int) -> tuple[int, bool, str]:
        meeting.wait(timeout=10.0)
        return torch.get_num_threads(), torch.is_inference_mode_enabled(), _name()

    first, second = Lanes(2).map(meet, [0, 1])
    assert first[:2] == second[:2] == (1, True)
    assert len({first[2], second[2], _name()}) == 3
    # What the lanes set for themselves holds for no others.
    assert torch.get_num_threads() == 2 and _threads_of_a_new_thread() == 2


@pytest.mark.parametrize(("count", "parts"), [(1, [1, 2]), (2, [1]), (2, [])])
def test_one_lane_or_one_part_needs_no_other_thread(count: int, parts: list[int]) -> None:
    assert Lanes(count).map(lambda part: _name(), parts) == [_name()] * len(parts)


def test_an_error_is_raised_when_the_others_have_ended() -> None:
    ended = []

    def fails_at_once(part: int) -> None:
        if part == 0:
            raise MemoryError("too large")
        time.sleep(0.05)
        ended.append(part)

    with pytest.raises(MemoryError, match="too large"):
        Lanes(2).map(fails_at_once, [0, 1])
    assert ended == [1]


def test_there_are_as_many_as_threads_but_not_more_than_make_sense() -> None:
    assert Lanes.on(torch.device("cpu")).count == 2
    torch.set_num_threads(16)
    assert Lanes.on(torch.device("cpu")).count == MOST
    assert Lanes.on(torch.device("cuda")).count == 1


def _name() -> str:
    return threading.current_thread().name


def _threads_of_a_new_thread() -> int:
    seen: list[int] = []
    thread = threading.Thread(target=lambda: seen.append(torch.get_num_threads()))
    thread.start()
    thread.join()
    return seen[0]
