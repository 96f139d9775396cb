import threading
import time
from collections.abc import Callable, Iterator

import pytest

from uss.core.read_ahead import read_ahead

DEADLINE_SECONDS = 5.0


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    before = set(threading.enumerate())
    yield
    assert set(threading.enumerate()) <= before


class Counter:
    """Counts for ever, and notes in which thread, and whether it was closed."""

    def __init__(self) -> None:
        self.threads: set[int] = set()
        self.closed_in: int | None = None
        self.num_given = 0

    def __iter__(self) -> Iterator[int]:
        return self

    def __next__(self) -> int:
        self.threads.add(threading.get_ident())
        self.num_given += 1
        return self.num_given - 1

    def close(self) -> None:
        self.closed_in = threading.get_ident()


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.001)


@pytest.mark.parametrize("num_items", [0, 1, 3, 4, 5, 6, 100])
def test_items_come_in_order_each_once(num_items: int) -> None:
    assert list(read_ahead(iter(range(num_items)))) == list(range(num_items))


def test_items_that_are_false_are_items() -> None:
    items: list[object] = [0, "", [], False]
    assert list(read_ahead(iter(items))) == items


def test_another_thread_computes_and_closes() -> None:
    counter = Counter()
    items = read_ahead(counter)
    assert next(items) == 0
    items.close()
    assert len(counter.threads) == 1
    assert counter.closed_in in counter.threads
    assert threading.get_ident() not in counter.threads


def test_it_computes_before_it_is_asked_but_not_far() -> None:
    """While one item is used, the next wait; memory does not grow with their number."""
    counter = Counter()
    items = read_ahead(counter)
    assert next(items) == 0
    wait_until(lambda: counter.num_given >= 5)
    time.sleep(0.02)
    assert counter.num_given <= 6
    items.close()


def test_nothing_starts_before_the_first_item_is_asked_for() -> None:
    counter = Counter()
    read_ahead(counter).close()
    assert counter.num_given == 0


def test_what_the_thread_raises_is_raised_after_the_items_before_it() -> None:
    def broken() -> Iterator[int]:
        yield 1
        yield 2
        raise ValueError("the third is broken")

    items = read_ahead(broken())
    assert [next(items), next(items)] == [1, 2]
    with pytest.raises(ValueError, match="the third is broken"):
        next(items)
    assert list(items) == []


def test_it_is_the_same_exception_with_its_traceback() -> None:
    error = OSError("the disk was unplugged")

    def broken() -> Iterator[int]:
        raise error
        yield 0

    with pytest.raises(OSError) as raised:
        list(read_ahead(broken()))
    assert raised.value is error
    assert raised.traceback[-1].name == "broken"


@pytest.mark.parametrize("num_used", [1, 4, 7])
def test_closing_early_stops_the_thread_and_closes_the_iterator(num_used: int) -> None:
    ended_in: list[int] = []

    def numbers() -> Iterator[int]:
        try:
            number = 0
            while True:
                yield number
                number += 1
        finally:
            ended_in.append(threading.get_ident())

    items = read_ahead(numbers())
    assert [next(items) for _ in range(num_used)] == list(range(num_used))
    items.close()
    assert len(ended_in) == 1
    assert ended_in[0] != threading.get_ident()


def test_an_exception_of_the_one_who_uses_the_items_stops_the_thread() -> None:
    counter = Counter()

    def use() -> Iterator[int]:
        for number in read_ahead(counter):
            if number == 3:
                raise RuntimeError("enough")
            yield number

    with pytest.raises(RuntimeError, match="enough"):
        list(use())
    assert counter.closed_in is not None


def test_an_iterator_that_is_exhausted_is_closed() -> None:
    class Two(Counter):
        def __next__(self) -> int:
            if self.num_given == 2:
                raise StopIteration
            return super().__next__()

    two = Two()
    assert list(read_ahead(two)) == [0, 1]
    assert two.closed_in is not None


def test_closing_waits_for_a_slow_item() -> None:
    """Whoever closes a source next must not find the thread still in it."""
    inside = threading.Event()
    done: list[bool] = []

    def slow() -> Iterator[int]:
        yield 0
        inside.set()
        time.sleep(0.1)
        done.append(True)
        yield 1

    items = read_ahead(slow())
    assert next(items) == 0
    assert inside.wait(DEADLINE_SECONDS)
    items.close()
    assert done == [True]
