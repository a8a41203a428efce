"""Draw when something has changed, but not more than four times a second, and the last state always."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Protocol

REDRAW_S = 0.25  # between two pictures
TICK_S = 1.0  # what changes with time alone (an age, a ghost) is looked at so often
_log = logging.getLogger(__name__)


class Clock(Protocol):
    """What time it is, and how to wait; tests pass one that they move by hand."""

    def now(self) -> float:
        """Seconds since 1970."""

    def wait(self, event: threading.Event, timeout_s: float) -> bool:
        """Wait until the event is set, or the time is over; says whether it is set."""


class Machine:
    """This machine's clock."""

    def now(self) -> float:
        """Seconds since 1970."""
        return time.time()

    def wait(self, event: threading.Event, timeout_s: float) -> bool:
        """Wait for the event."""
        return event.wait(timeout_s)


class Pace:
    """A thread that calls `draw` soon after `touch()`, from `start()` until `close()`.

    A flood of touches makes four calls a second, and one more after the last of them.
    """

    def __init__(self, draw: Callable[[], None], clock: Clock, name: str):
        self._draw, self._clock = draw, clock
        self._touched, self._closed = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Begin to draw; what was touched before is drawn at once."""
        self._thread.start()

    @property
    def closed(self) -> bool:
        """Whether its thread has ended."""
        return not self._thread.is_alive()

    def touch(self) -> None:
        """Something has changed."""
        self._touched.set()

    def close(self) -> None:
        """End the thread."""
        self._closed.set()
        self._touched.set()
        if threading.current_thread() is not self._thread:
            self._thread.join(timeout=5)

    def _run(self) -> None:
        while not self._closed.is_set():
            self._clock.wait(self._touched, TICK_S)
            if self._closed.is_set():
                return
            self._touched.clear()
            try:
                self._draw()
            except Exception:  # whoever draws says its own errors in its view: this one is a mistake of ours
                _log.exception("%s could not draw", self._thread.name)
            self._clock.wait(self._closed, REDRAW_S)
