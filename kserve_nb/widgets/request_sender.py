"""Sends requests in batches, adds each batch to the feed's count, and can do so in the background."""

from __future__ import annotations

import threading
from collections.abc import Callable

from kserve_nb.observe.feed.rollout_feed import RolloutFeed
from kserve_nb.rollout.discriminating_input import find_discriminating_input
from kserve_nb.rollout.rollout import Rollout
from kserve_nb.rollout.sampling import Tally

_BATCH = 25  # requests between two updates of the count


class RequestSender:
    """Sends requests to the main host of a rollout and counts the answers in its feed.

    Args:
        on_change: called when `progress` or `error` has changed, on the thread that sends.
    """

    def __init__(self, rollout: Rollout, feed: RolloutFeed, on_change: Callable[[], None]):
        self._rollout, self._feed, self._on_change = rollout, feed, on_change
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None
        self.progress = ""  # how many requests have been sent; empty while none are
        self.error = ""  # why the last requests could not be sent

    def send(self, count: int) -> Tally | None:
        """Send requests and wait for the answers.

        Returns the count since the traffic last moved; None if no answer could be counted.
        """
        if count < 1:
            raise ValueError(f"Cannot send {count} requests: send at least one.")
        self._stopped.clear()
        self._report(error="")
        try:
            known = find_discriminating_input(self._rollout, self._rollout.status())
            for sent in range(0, count, _BATCH):
                if self._stopped.is_set():
                    break
                self._report(progress=f"{sent} of {count} requests sent")
                batch = self._rollout.send(min(_BATCH, count - sent), known=known)
                self._feed.add_requests(batch)
                if batch.moved:
                    known = find_discriminating_input(self._rollout, self._rollout.status())
        finally:
            self._report(progress="")
        return self._feed.requests()

    def start(self, count: int) -> None:
        """Send requests in the background; does nothing while requests are being sent."""
        if not self.progress:
            self._report(progress="looking for an input on which the revisions answer differently")
            self._thread = threading.Thread(
                target=self._send_in_background, args=(count,), name="requests", daemon=True
            )
            self._thread.start()

    def stop(self) -> None:
        """Stop after the batch that is being sent."""
        self._stopped.set()

    def close(self) -> None:
        """Stop, and wait for the thread to end."""
        self.stop()
        if self._thread is not None:
            self._thread.join(timeout=30)

    def _send_in_background(self, count: int) -> None:
        try:
            self.send(count)
        except Exception as error:  # a thread has no cell to raise into
            self._report(error=str(error))

    def _report(self, progress: str | None = None, error: str | None = None) -> None:
        self.progress = self.progress if progress is None else progress
        self.error = self.error if error is None else error
        self._on_change()
