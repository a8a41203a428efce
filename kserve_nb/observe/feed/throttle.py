"""Call a function soon after each request, at most four times a second, and always once after the last request."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Protocol

MIN_INTERVAL_S = 0.25  # between two calls
TICK_S = 1.0  # without a request, call this often: some things change with time alone (ages, pods that are gone)
_log = logging.getLogger(__name__)


class Clock(Protocol):
    """The current time, and waiting with a timeout; tests pass a clock that they move themselves."""

    def now(self) -> float:
        """Seconds since 1970."""

    def wait(self, event: threading.Event, timeout_s: float) -> bool:
        """Wait until the event is set or the timeout has passed; returns whether the event is set."""


class SystemClock:
    """The clock of this machine."""

    def now(self) -> float:
        """Seconds since 1970."""
        return time.time()

    def wait(self, event: threading.Event, timeout_s: float) -> bool:
        """Wait until the event is set or the timeout has passed."""
        return event.wait(timeout_s)


class Throttle:
    """A thread that calls `callback` soon after `request()`, from `start()` until `close()`.

    A burst of requests causes four calls a second, and one call after the last request.
    """

    def __init__(self, callback: Callable[[], None], clock: Clock, name: str):
        self._callback, self._clock = callback, clock
        self._requested, self._closed = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Start the thread; requests made before are served immediately."""
        self._thread.start()

    @property
    def closed(self) -> bool:
        """Whether the thread has ended."""
        return not self._thread.is_alive()

    def request(self) -> None:
        """Request one more call of the callback."""
        self._requested.set()

    def close(self) -> None:
        """End the thread."""
        self._closed.set()
        self._requested.set()
        if threading.current_thread() is not self._thread:
            self._thread.join(timeout=5)

    def _run(self) -> None:
        while not self._closed.is_set():
            self._clock.wait(self._requested, TICK_S)
            if self._closed.is_set():
                return
            self._requested.clear()
            try:
                self._callback()
            except Exception:  # widgets show their own errors, so this one is a bug of the feed
                _log.exception("%s: the callback failed", self._thread.name)
            self._clock.wait(self._closed, MIN_INTERVAL_S)
