"""Writes traffic changes to the cluster, on a background thread where a view must stay responsive."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from kserve_nb.access.api_client import UNREACHABLE, RefusedError
from kserve_nb.rollout.errors import ChangedError
from kserve_nb.rollout.rollout import Rollout
from kserve_nb.values.rollout_status import RolloutStatus
from kserve_nb.widgets.slider.traffic_change import TrafficChange

_RETRY_S = 1.0  # between two reads after a lost answer


class ChangeWriter:
    """Writes one rollout's changes. It has no state except its threads, and passes results to the caller."""

    def __init__(self, rollout: Rollout):
        self._rollout = rollout
        self._closed, self._threads = threading.Event(), set[threading.Thread]()

    def write(self, change: TrafficChange, decided_on: RolloutStatus | None) -> RolloutStatus:
        """Write a change and return the status after it. Raises RefusedError if the cluster refuses it.

        Args:
            decided_on: what the user saw; if somebody changed the spec since, nothing is written. None writes anyway.
        """
        if change.percent is None:
            return self._rollout.promote(seen=decided_on)
        if change.action != "pin":
            return self._rollout.canary(percent=change.percent, seen=decided_on)
        try:
            return self._rollout.pin(seen=decided_on)
        except ChangedError:
            if decided_on is not None:
                raise
            return self._rollout.pin()  # an earlier change was stored at the same moment: roll back anyway

    def find_out(self, change: TrafficChange, before: RolloutStatus | None) -> RolloutStatus | None:
        """Read until the cluster responds, after a lost answer. Returns the status if the change was stored, else None.

        Also returns None when the writer is closed meanwhile.
        """
        while not self._closed.is_set():
            try:
                status = self._rollout.status()
            except RefusedError as refused:
                if refused.reason != UNREACHABLE:
                    raise
                self._closed.wait(_RETRY_S)
                continue
            is_stored = status.requested_percent == change.percent
            return status if is_stored and before is not None and status.edition != before.edition else None
        return None

    def start(self, work: Callable[..., Any], *args: Any, on_error: Callable[[Exception], None]) -> None:
        """Call `work` on a thread that `close()` waits for."""

        def run() -> None:
            try:
                work(*args)
            except Exception as error:  # a thread has no cell to raise into
                on_error(error)
            finally:
                self._threads.discard(thread)

        thread = threading.Thread(target=run, name=f"change of {self._rollout.name}", daemon=True)
        self._threads.add(thread)
        thread.start()

    def wait(self, timeout_s: float = 30) -> None:
        """Wait until no write is under way."""
        for thread in tuple(self._threads - {threading.current_thread()}):
            thread.join(timeout_s)

    def close(self) -> None:
        """Let the current write finish, and stop waiting for answers."""
        self._closed.set()
        self.wait()
