import threading
import time

import pytest

from uss.core.stage_clock import StageClock


def burn(seconds: float) -> None:
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        pass


def test_threads_add_up_and_sleep_costs_nothing() -> None:
    clock = StageClock()

    def work() -> None:
        with clock("busy"):
            burn(0.05)
        with clock("idle"):
            time.sleep(0.05)

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert clock.seconds["busy"] == pytest.approx(0.1, abs=0.03)
    assert clock.seconds["idle"] < 0.02
    clock.add({"busy": 1.0, "elsewhere": 2.0})
    assert clock.seconds["busy"] == pytest.approx(1.1, abs=0.03)
    assert clock.seconds["elsewhere"] == 2.0


def test_what_fails_is_counted_too() -> None:
    clock = StageClock()
    with pytest.raises(ValueError), clock("failing"):
        burn(0.02)
        raise ValueError
    assert clock.seconds["failing"] >= 0.02
