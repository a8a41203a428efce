"""Sends requests all the time while something changes, as a user would, and counts those that fail."""

from __future__ import annotations

import threading
import time
import weakref
from types import TracebackType
from typing import Self

import requests

from kserve_nb.access.ingress import LostError, PredictError
from kserve_nb.rollout.reader import RolloutReader
from kserve_nb.values.split import Split

_PER_SECOND = 20
_MOST_S = 600  # a probe stops after this time


class AvailabilityProbe:
    """Sends twenty requests a second to the main host in its own thread, until `close()` or garbage collection.

    It waits for each response before it sends the next request, as a user would: a request that is held up shows in
    `slowest_s`.

    >>> with rollout.probe() as user:
    ...     _ = rollout.promote()
    >>> user.failed, user.lost
    (0, 0)
    """

    def __init__(self, rollout: RolloutReader):
        self._rollout, self._host = rollout, rollout.host()
        self._ended = threading.Event()
        self.answered = self.failed = self.lost = 0
        self.slowest_s = 0.0
        self._first, self._last, self._why = "", "", ""  # when requests failed, and the first failure
        self._thread = threading.Thread(
            target=_run, args=(weakref.ref(self), self._ended), name="availability probe", daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Stop, and wait for the response to the request under way."""
        self._ended.set()
        self._thread.join(timeout=_MOST_S)

    @property
    def split(self) -> Split:
        """The counts as a Split. They are not attributed to revisions."""
        return Split({}, self.failed, self.answered, self.lost)

    @property
    def when(self) -> str:
        """When requests failed, and how the first one did; empty if none failed."""
        return f", from {self._first} to {self._last}: {self._why}" if self.failed else ""

    def __repr__(self) -> str:
        count = self.split.sent
        failed = f"{self.failed} of {count} requests failed{self.when}"
        sent = failed if self.failed else f"{count} requests, none failed"
        ours = f"; {self.lost} more lost by our port-forward" if self.lost else ""
        still = "" if self._ended.is_set() else "; still sending"
        return f"{sent}{ours}; the slowest took {self.slowest_s:.2f} s{still}"

    def _send(self) -> None:
        began = time.monotonic()
        try:
            answer = self._rollout.ingress.request(self._host, self._rollout.name, self._rollout.sample)
            self._count(answer.status, answer.text)
        except LostError:
            self.lost += 1
        except PredictError as error:
            self._count(0, str(error))
        self.slowest_s = max(self.slowest_s, time.monotonic() - began)

    def _count(self, status: int, text: str) -> None:
        if status == requests.codes.ok:
            self.answered += 1
            return
        self.failed += 1
        self._last = time.strftime("%H:%M:%S")
        self._first = self._first or self._last
        self._why = self._why or f"{status or ''} {text.strip()[:100] or 'with an empty body'}".strip()


def _run(reference: weakref.ref[AvailabilityProbe], ended: threading.Event) -> None:
    """Send until the probe is closed or garbage-collected: running its cell again drops the old one."""
    until = time.monotonic() + _MOST_S
    while not ended.wait(1 / _PER_SECOND) and time.monotonic() < until:
        probe = reference()
        if probe is None:
            return
        probe._send()
        del probe
