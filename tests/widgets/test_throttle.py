"""Tests of the throttle on a virtual clock: many changes cause four calls a second."""

from __future__ import annotations

import threading
from itertools import pairwise

from kserve_nb.observe.feed.throttle import SystemClock, Throttle

DEADLINE_S = 60


class FakeClock:
    """A virtual clock that advances during waits; a change occurs every millisecond until `until_s`."""

    def __init__(self, until_s: float):
        self.time, self.until_s = 0.0, until_s
        self.over = threading.Event()
        self.throttle: Throttle | None = None

    def now(self) -> float:
        return self.time

    def wait(self, event: threading.Event, timeout_s: float) -> bool:
        if self.time >= self.until_s:
            self.over.set()
            return SystemClock().wait(event, timeout_s)
        if self.throttle is not None and event is self.throttle._requested:
            self.time += 0.001
            self.throttle.request()
        else:
            self.time += timeout_s
        return event.is_set()


def test_a_flood_makes_four_pictures_a_second() -> None:
    clock, drawn = FakeClock(until_s=10), []
    throttle = Throttle(lambda: drawn.append(clock.now()), clock, "flood")
    clock.throttle = throttle
    throttle.start()
    assert clock.over.wait(DEADLINE_S)

    throttle.close()

    assert throttle.closed
    assert 35 <= len(drawn) <= 41
    assert all(later - earlier >= 0.25 for earlier, later in pairwise(drawn))


def test_the_last_change_of_a_burst_is_drawn() -> None:
    state, drawn, last = [0], [], threading.Event()

    def draw() -> None:
        drawn.append(state[0])
        if state[0] == 1000:
            last.set()

    throttle = Throttle(draw, SystemClock(), "burst")
    throttle.start()
    for state[0] in range(1, 1001):
        throttle.request()

    assert last.wait(DEADLINE_S)
    assert len(drawn) <= 3
    throttle.close()


def test_a_mistake_in_a_picture_does_not_end_the_thread() -> None:
    tries = threading.Semaphore(0)

    def draw() -> None:
        tries.release()
        raise RuntimeError("cannot draw")

    throttle = Throttle(draw, SystemClock(), "wrong")
    throttle.start()
    for _ in range(2):
        throttle.request()
        assert tries.acquire(timeout=DEADLINE_S)
    throttle.close()
