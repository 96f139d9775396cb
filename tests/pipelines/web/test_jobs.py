"""Work that tells how far it is, and that can be given up."""

import threading
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import TypeVar

import pytest

from pipelines.web.jobs import GivenUpError, Told, Update, Worker
from uss.core.errors import InputError

T = TypeVar("T")
PATH = Path("a.wav")


@pytest.fixture
def worker() -> Iterator[Worker]:
    with Worker(max_waiting=2) as made:
        yield made


def finish(job: Generator[Update, None, T]) -> tuple[list[Update], T]:
    updates = []
    while True:
        try:
            updates.append(next(job))
        except StopIteration as ended:
            return updates, ended.value


def test_tells_the_stage_and_its_fraction() -> None:
    told = Told()
    assert told.update == Update("waiting")
    told.begin("reading")
    told.advance(3)
    assert told.update == Update("reading")
    told.duration_seconds = 8.0
    with told.listening(PATH) as heard:
        heard(2.0)
        assert told.update == Update("listening", 0.25)
        heard(60.0)
        assert told.update == Update("listening", 1.0)
    with told.separating(PATH, 4) as separated:
        assert told.update == Update("separating", 0.0)
        separated(1)
        assert told.update == Update("separating", 0.25)


def test_gives_what_the_work_returned(worker: Worker) -> None:
    goes_on = threading.Event()

    def work(told: Told) -> int:
        told.begin("counting", 2)
        told.advance(1)
        goes_on.wait(5.0)
        return 7

    job = worker.watched(work)
    while next(job) != Update("counting", 0.5):
        pass
    goes_on.set()
    _, value = finish(job)
    assert value == 7


def test_raises_what_the_work_raised(worker: Worker) -> None:
    def work(told: Told) -> None:
        raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        finish(worker.watched(work))


@pytest.mark.parametrize(
    "tell", [Told.check, lambda told: told.begin("on"), lambda t: t.advance(1)]
)
def test_whoever_closes_it_gives_up_the_work(
    tell: Callable[[Told], object], worker: Worker
) -> None:
    ended: list[BaseException] = []
    begun, finished = threading.Event(), threading.Event()

    def work(told: Told) -> None:
        begun.set()
        try:
            while True:
                tell(told)
                finished.wait(0.01)
        except GivenUpError as error:
            ended.append(error)
            finished.set()

    job = worker.watched(work)
    next(job)
    assert begun.wait(5.0)
    job.close()
    assert finished.wait(5.0)
    assert len(ended) == 1


def test_jobs_take_turns_in_one_thread(worker: Worker) -> None:
    goes_on, names = threading.Event(), []

    def work(told: Told) -> None:
        told.begin("working")
        goes_on.wait(5.0)
        names.append(threading.current_thread().name)

    first, second, third = (worker.watched(work) for _ in range(3))
    while next(first) != Update("working"):
        pass
    # A generator begins with its first step.
    assert next(second) == Update("waiting", num_before=1)
    assert next(third) == Update("waiting", num_before=2)
    with pytest.raises(InputError, match="2 jobs are waiting"):
        next(worker.watched(work))
    second.close()
    goes_on.set()
    finish(first)
    finish(third)
    assert len(names) == 2 and len(set(names)) == 1


def test_whoever_stops_it_need_not_wait(worker: Worker) -> None:
    goes_on, told = threading.Event(), Told()
    job = worker.watched(lambda _: goes_on.wait(30.0), told)
    next(job)
    told.stop()
    with pytest.raises(GivenUpError):
        finish(job)
    goes_on.set()


def test_what_is_not_done_is_given_up_with_the_worker() -> None:
    ended: list[BaseException] = []

    def work(told: Told) -> None:
        try:
            while True:
                told.check()
        except GivenUpError as error:
            ended.append(error)

    with Worker(max_waiting=2) as worker:
        jobs = [worker.watched(work) for _ in range(2)]
        for job in jobs:
            next(job)
    assert len(ended) == 1
