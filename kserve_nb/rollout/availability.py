"""One user who asks again and again while something changes: was anybody turned away?"""

from __future__ import annotations

import threading
import time
import weakref

import requests

from kserve_nb.access.ingress import IRIS_INPUT, Ingress, LostError, PredictError
from kserve_nb.rollout.rollout import Rollout
from kserve_nb.values.rollout_status import Split

_PER_SECOND = 20
_MOST_S = 600  # after which it ends by itself


class AvailabilityProbe:
    """Asks the main door twenty times a second, from a thread of its own, until `close()`, or nobody knows it any more.

    It waits for each answer before it asks again, as a user would: a request that is held shows in `slowest_s`.
    """

    def __init__(self, rollout: Rollout):
        self._rollout, self._host = rollout, rollout.host()
        self._ended = threading.Event()
        self.answered = self.failed = self.lost = 0
        self.slowest_s = 0.0
        self._first, self._last, self._why = "", "", ""  # when requests failed, and what came in place of an answer
        self._thread = threading.Thread(
            target=_run, args=(weakref.ref(self), self._ended), name="a user who asks", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Ask no more, and wait for the answer that is under way."""
        self._ended.set()
        self._thread.join(timeout=_MOST_S)

    @property
    def split(self) -> Split:
        """What was answered; by whom, nobody asked."""
        return Split({}, self.failed, self.answered, self.lost)

    @property
    def when(self) -> str:
        """From when to when requests failed, and how the first did; empty where none has."""
        return f", from {self._first} to {self._last}: {self._why}" if self.failed else ""

    def __repr__(self) -> str:
        still = "" if self._ended.is_set() else ", and it goes on"
        said = f"{self.failed} turned away{self.when}" if self.failed else "none turned away"
        ours = f", {self.lost} lost by our port-forward" if self.lost else ""
        return f"{self.split.sent} requests, {said}{ours}; the slowest took {self.slowest_s:.2f} s{still}"

    def _ask(self, ingress: Ingress) -> None:
        began = time.monotonic()
        try:
            answer = ingress.request(self._host, self._rollout.name, IRIS_INPUT)
            self._count(answer.status, answer.text)
        except LostError:
            self.lost += 1
        except PredictError as error:
            self._count(0, str(error))
        self.slowest_s = max(self.slowest_s, time.monotonic() - began)

    def _count(self, status: int, said: str) -> None:
        if status == requests.codes.ok:
            self.answered += 1
            return
        self.failed += 1
        self._last = time.strftime("%H:%M:%S")
        self._first = self._first or self._last
        self._why = self._why or f"{status or ''} {said.strip()[:100] or 'with an empty body'}".strip()


def _run(known: weakref.ref[AvailabilityProbe], ended: threading.Event) -> None:
    """Ask as long as somebody wants to know: a cell that is run again forgets the probe it had made."""
    ingress, until = None, time.monotonic() + _MOST_S
    while not ended.wait(1 / _PER_SECOND) and time.monotonic() < until:
        probe = known()
        if probe is None:
            return
        ingress = ingress or probe._rollout.ingress.again()
        probe._ask(ingress)
        del probe
