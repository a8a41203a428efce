"""A live feed: watch, make a value, drop it if it is the one before, hand it on. Owns its thread."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

import urllib3

from kserve_nb.client import Client, Kind, Object, events

V = TypeVar("V")
_WATCH_S = 300  # one watch; then it begins anew
_AGAIN_S = 1.0  # after the cluster did not answer


class Feed(Generic[V]):
    """Objects of one kind as a value, handed on whenever it changes, until `close()`.

    Args:
        labels: a label selector; empty for all of the namespace.
        value_of: makes the value of the objects there are.
        on_value: takes each new value, on the feed's thread: it may set traits and nothing else.
        on_error: takes one sentence where the cluster does not answer; the last value stays.
    """

    def __init__(
        self,
        client: Client,
        kind: Kind,
        labels: str,
        value_of: Callable[[list[Object]], V],
        on_value: Callable[[V], None],
        on_error: Callable[[str], None],
    ):
        self._client, self._kind, self._labels = client, kind, labels
        self._value_of, self._on_value, self._on_error = value_of, on_value, on_error
        self._last: V | None = None
        self._open: urllib3.HTTPResponse | None = None
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"feed of {kind.plural}", daemon=True)
        self._thread.start()

    @property
    def closed(self) -> bool:
        """Whether its thread has ended."""
        return not self._thread.is_alive()

    def close(self) -> None:
        """End the watch and its thread; a second time does nothing."""
        with self._lock:
            self._closed.set()
            if self._open is not None:
                self._open.shutdown()
        if threading.current_thread() is not self._thread:
            self._thread.join(timeout=5)

    def _run(self) -> None:
        while not self._closed.is_set():
            try:
                self._follow()
            except Exception as error:  # a thread has no cell to raise into: an outage, or an observer that raised
                if not self._closed.is_set():  # a shutdown looks like a broken connection
                    self._on_error(str(error))
                    self._closed.wait(_AGAIN_S)

    def _follow(self) -> None:
        items, version = self._client.snapshot(self._kind, self._labels)
        objects = {item["metadata"]["name"]: item for item in items}
        self._hand_on(objects)
        with self._client.watch(self._kind, self._labels, version, _WATCH_S) as answer:
            with self._lock:
                if self._closed.is_set():
                    return
                self._open = answer
            try:
                for type_, obj in events(answer):
                    if type_ == "ERROR":
                        return  # too old a version: begin anew
                    if type_ == "DELETED":
                        objects.pop(obj["metadata"]["name"], None)
                    elif type_ != "BOOKMARK":
                        objects[obj["metadata"]["name"]] = obj
                    self._hand_on(objects)
            finally:
                with self._lock:
                    self._open = None

    def _hand_on(self, objects: dict[str, Object]) -> None:
        value = self._value_of([objects[name] for name in sorted(objects)])
        if value != self._last and not self._closed.is_set():
            self._last = value
            self._on_value(value)
