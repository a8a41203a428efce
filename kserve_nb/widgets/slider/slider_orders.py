"""The orders of a slider on their way to the cluster: one that is asked about, one being written, one that waits."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from kserve_nb.access.api_client import UNREACHABLE, RefusedError
from kserve_nb.observe.snapshot import Snapshot
from kserve_nb.rollout import progress
from kserve_nb.rollout.errors import ChangedError, NotPossibleError
from kserve_nb.rollout.rollout import Rollout
from kserve_nb.values.rollout_status import RolloutStatus
from kserve_nb.widgets.slider.slider_order import Order, second_question
from kserve_nb.widgets.slider.slider_state import STALLED_S, Ending, Wish, under_way

_AGAIN_S = 1.0  # between two looks at whether a write that nobody answered was taken

Say = Callable[[str, str], None]


class Orders:
    """Carries orders out, one at a time, and keeps what became of them in `wish`.

    Args:
        say: shows a line, after a glyph; it is called whenever `wish` has changed.
        landed: called with an order and the status that its write left.
    """

    def __init__(self, rollout: Rollout, say: Say, landed: Callable[[Order, RolloutStatus], None]):
        self._rollout, self._say, self._landed = rollout, say, landed
        self.lock = threading.RLock()  # of all below: the feed, writers and the kernel's own thread change it
        self.wish = Wish(100)
        self.before: Order | None = None  # the split before this one
        self._seen = Snapshot(rollout.name)
        self._status: RolloutStatus | None = None
        self._question: RolloutStatus | None = None  # on what the order that is asked about, or waits, was decided
        self._left, self._since = "", 0.0  # what is missing until traffic has moved, and since when
        self._gone, self._threads = threading.Event(), set[threading.Thread]()

    # --- what a hand does ----------------------------------------------------------------------------------------

    def ask(self, order: Order) -> None:
        """A button was pressed: ask before anything is written."""
        with self.lock:
            self._question, self.wish = self._status, self.wish.asked(order)

    def confirm(self, *, sure: bool = False) -> None:
        """Yes was pressed: ask once more, or let the order wait for its turn, or send it.

        Args:
            sure: the second Yes was; the first one, pressed twice in haste, is not it.
        """
        with self.lock:
            order, status = self.wish.asking, self._status
            if order is None or status is None:
                return
            if second_question(order, status) and not (sure and self.wish.again):
                self.wish = replace(self.wish, again=True)
            elif order.verb != "pin" and under_way(self._seen, self.wish):
                self.wish = self.wish.waits(order)
            else:
                self._send(order, None if self.wish.writing else self._question)

    def overwrite(self) -> None:
        """After a conflict: write it all the same."""
        self._send(self.contested(), None)

    def contested(self) -> Order:
        """The order that somebody else's write stands in the way of."""
        if self.wish.ending != "conflict" or self.wish.failed is None:
            raise NotPossibleError(f"{self._rollout.name}: there is no conflict, nothing to write over.")
        return self.wish.failed

    def forget(self) -> None:
        """Forget what is asked about, what failed, and what waits."""
        with self.lock:
            self._question, self.wish = None, replace(self.wish.cleared(), queued=None)

    def decided_on(self) -> RolloutStatus | None:
        """What was seen when the order was asked about that is confirmed in code now; None where none was."""
        with self.lock:
            seen, self._question = self._question, None
            return seen

    # --- what is written -----------------------------------------------------------------------------------------

    def write(self, order: Order, seen: RolloutStatus | None) -> RolloutStatus:
        """Ask the cluster, wait for its answer, and raise what it refuses.

        Args:
            seen: on what it was decided: a later edit of somebody else's is not written over.
        """
        self._sent(order)
        return self._carry_out(order, seen)

    def _sent(self, order: Order) -> None:
        with self.lock:
            self._question, self.wish = None, self.wish.sent(order)
            self._say("…", f"asking for {order.share} %")

    def _carry_out(self, order: Order, seen: RolloutStatus | None) -> RolloutStatus:
        try:
            status = self._ask(order, seen)
        except Exception as error:
            self._failed(order, error)
            raise
        self._taken(order, status)
        return status

    def _ask(self, order: Order, seen: RolloutStatus | None) -> RolloutStatus:
        if order.percent is None:
            return self._rollout.promote(seen=seen)
        if order.verb != "pin":
            return self._rollout.canary(percent=order.percent, seen=seen)
        try:
            return self._rollout.pin(seen=seen)
        except ChangedError:
            if seen is not None:
                raise
            return self._rollout.pin()  # an earlier order landed at that very moment: users leave LATEST all the same

    def _send(self, order: Order, seen: RolloutStatus | None) -> None:
        """Write on a thread of its own: the view shows that it is being written, and stays alive."""
        self._sent(order)  # drawn before a thread takes its share of the processor
        self._begin(self._carry_out, order, seen)

    def _taken(self, order: Order, status: RolloutStatus) -> None:
        with self.lock:
            self.wish = self.wish.taken(order, status.edition)
            if self.wish.queued and self._question is None:
                self._question = status
            self._landed(order, status)
            self._say("✔", f"asked for {order.share} %")

    def _failed(self, order: Order, error: Exception) -> None:
        with self.lock:
            if self.wish.writing != order:  # a later one has taken its place
                return
            lost = isinstance(error, RefusedError) and error.reason == UNREACHABLE
            changed = isinstance(error, ChangedError)
            self._end("conflict" if changed else "unknown" if lost else "rejected", order, error)
            if lost:
                self._begin(self._look_again, order, self._status)

    def _end(self, ending: Ending, order: Order, why: object) -> None:
        self._question, self.wish = None, self.wish.ended(ending, order, f"{why}")
        words = {"unknown": f"nobody knows whether {order.share} % was taken: {why}",
                 "rejected": f"not applied: {f'{why}'.rstrip('.')}. lab.doctor(error=…) may explain it."}  # fmt: skip
        self._say("✖", words.get(ending, f"not applied: {why}"))

    def _look_again(self, order: Order, before: RolloutStatus | None) -> None:
        """After a write that nobody answered: look until somebody does, and say whether it was taken."""
        while not self._gone.is_set() and self.wish.failed == order:
            try:
                status = self._rollout.status()
            except RefusedError as refused:
                if refused.reason != UNREACHABLE:
                    raise
                self._gone.wait(_AGAIN_S)
                continue
            if status.requested_percent == order.percent and before is not None and status.edition != before.edition:
                self._taken(order, status)
                return
            with self.lock:
                self.wish = self.wish.cleared()
                self._say("✖", f"{order.share} % was not taken. Apply it again, or Cancel")
            return

    # --- what is seen --------------------------------------------------------------------------------------------

    def follow(self, status: RolloutStatus | None, asking: Order | None) -> None:
        """The cluster asks for something else now: by our own write, or by somebody else's.

        Args:
            asking: what was asked about before the handle followed.
        """
        with self.lock:
            known, self._status = self._status, status
            if status is None:
                self.before = None
                self.forget()
            if known is None or status is None or known.edition == status.edition:
                return
            self._remember(known, status)
            writing = self.wish.writing
            if status.edition == self.wish.edition or (writing and writing.percent == status.requested_percent):
                self._question = status if self._question else None
            elif asking:
                self._end("conflict", asking, progress.rewritten(known, status))
            elif self.wish.open and not self.wish.ending:
                self._say("·", progress.rewritten(known, status))

    def _remember(self, known: RolloutStatus, status: RolloutStatus) -> None:
        """What Back leads to: a percent of another model's canary is no way back."""
        if (known.uid, known.model) != (status.uid, status.model):
            self.before = None
        elif known.requested_percent != status.requested_percent:
            self.before = Order("back", known.requested_percent)

    def see(self, seen: Snapshot, now_s: float) -> None:
        """How far the cluster has come: what waits is sent once traffic has moved."""
        with self.lock:
            if seen.missing != self._left:
                self._left, self._since = seen.missing, now_s
            late = bool(seen.missing) and now_s - self._since >= STALLED_S
            self._seen, self.wish = seen, replace(self.wish, stalled=late)
            if seen.state == "closed":
                self.forget()
            queued = self.wish.queued
            if queued is None or seen.state != "live" or under_way(seen, self.wish):
                return
            if seen.failure or late:
                self.wish = replace(self.wish, queued=None)
                self._say("✖", f"{queued.share} % was not asked for: the order before it did not come to its end")
            else:
                self._send(queued, self._question)

    def _begin(self, work: Callable[..., Any], *args: Any) -> None:
        """Work on a thread that `close()` waits for."""

        def run() -> None:
            try:
                work(*args)
            except Exception as error:  # a thread has no cell to raise into
                if not self.wish.ending:
                    self._say("✖", f"{error}")
            finally:
                self._threads.discard(thread)

        thread = threading.Thread(target=run, name=f"order to {self._rollout.name}", daemon=True)
        self._threads.add(thread)
        thread.start()

    def settle(self, timeout_s: float = 30) -> None:
        """Wait until no write is under way."""
        for thread in tuple(self._threads - {threading.current_thread()}):
            thread.join(timeout_s)

    def close(self) -> None:
        """Let what is being written come to its end, and write nothing more."""
        self.forget()
        self._gone.set()
        self.settle()
