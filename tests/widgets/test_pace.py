"""A flood of changes makes four pictures a second, counted on a clock that the test moves."""

from __future__ import annotations

import threading
from itertools import pairwise

from kserve_nb.widgets.feed.throttle import Machine, Pace

DEADLINE_S = 10


class FakeClock:
    """Time passes where somebody waits, and then at once; something changes every millisecond until `until_s`."""

    def __init__(self, until_s: float):
        self.time, self.until_s = 0.0, until_s
        self.over = threading.Event()
        self.pace: Pace | None = None

    def now(self) -> float:
        return self.time

    def wait(self, event: threading.Event, timeout_s: float) -> bool:
        if self.time >= self.until_s:
            self.over.set()
            return Machine().wait(event, timeout_s)
        if self.pace is not None and event is self.pace._touched:
            self.time += 0.001
            self.pace.touch()
        else:
            self.time += timeout_s
        return event.is_set()


def test_a_flood_makes_four_pictures_a_second() -> None:
    clock, drawn = FakeClock(until_s=10), []
    pace = Pace(lambda: drawn.append(clock.now()), clock, "flood")
    clock.pace = pace
    pace.start()
    assert clock.over.wait(DEADLINE_S)

    pace.close()

    assert pace.closed
    assert 35 <= len(drawn) <= 41
    assert all(later - earlier >= 0.25 for earlier, later in pairwise(drawn))


def test_the_last_change_of_a_burst_is_drawn() -> None:
    state, drawn, last = [0], [], threading.Event()

    def draw() -> None:
        drawn.append(state[0])
        if state[0] == 1000:
            last.set()

    pace = Pace(draw, Machine(), "burst")
    pace.start()
    for state[0] in range(1, 1001):
        pace.touch()

    assert last.wait(DEADLINE_S)
    assert len(drawn) <= 3
    pace.close()


def test_a_mistake_in_a_picture_does_not_end_the_thread() -> None:
    tries = threading.Semaphore(0)

    def draw() -> None:
        tries.release()
        raise RuntimeError("cannot draw")

    pace = Pace(draw, Machine(), "wrong")
    pace.start()
    for _ in range(2):
        pace.touch()
        assert tries.acquire(timeout=DEADLINE_S)
    pace.close()
