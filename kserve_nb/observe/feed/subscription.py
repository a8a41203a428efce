"""Subscriptions of widgets to the feed of their rollout: the first starts the feed, the last one ends it."""

from __future__ import annotations

import sys
import threading
from dataclasses import replace
from weakref import WeakKeyDictionary, WeakSet

from kserve_nb.access.api_client import Client
from kserve_nb.observe.feed.rollout_feed import RolloutFeed, Subscriber
from kserve_nb.rollout.rollout import Rollout

_FEEDS: WeakKeyDictionary[Client, dict[str, RolloutFeed]] = WeakKeyDictionary()
_FEEDS_LOCK = threading.Lock()
_SUBSCRIPTIONS: WeakSet[Subscription] = WeakSet()


class Subscription:
    """One widget's subscription to its rollout's feed.

    When a notebook cell is run again, the subscriptions of its previous run end: their widgets are no longer shown.
    """

    def __init__(self, rollout: Rollout, subscriber: Subscriber):
        self._rollout, self._subscriber = rollout, subscriber
        self._cell, self._run = _running_cell()
        self.ended = False
        with _FEEDS_LOCK:
            feeds = _FEEDS.setdefault(rollout.client, {})
            if rollout.name not in feeds:
                feeds[rollout.name] = RolloutFeed(rollout.client, rollout.name)
            self.feed = feeds[rollout.name]
        self.feed.subscribe(subscriber)
        _SUBSCRIPTIONS.add(self)
        for other in tuple(_SUBSCRIPTIONS):
            if self._cell and other._cell == self._cell and other._run != self._run:
                other.end()

    def end(self) -> None:
        """Unsubscribe, and send the last snapshot once more, marked as closed. A second call does nothing."""
        if self.ended:
            return
        self.ended = True
        with _FEEDS_LOCK:
            was_last = self.feed.unsubscribe(self._subscriber) == 0
            if was_last:
                _FEEDS.get(self._rollout.client, {}).pop(self._rollout.name, None)
        if was_last:
            self.feed.close()
        self._subscriber(replace(self.feed.snapshot, state="closed", age_s=0, reason=""))


def _running_cell() -> tuple[str, str]:
    """The id of the notebook cell that is running, and of this run of it; empty outside a notebook."""
    ipython = sys.modules.get("IPython")  # not imported, there is no notebook
    kernel = getattr(ipython.get_ipython(), "kernel", None) if ipython else None
    parent = kernel.get_parent("shell") if kernel else {}
    metadata, header = (parent.get(part) or {} for part in ("metadata", "header"))
    return metadata.get("cellId") or "", header.get("msg_id") or ""
