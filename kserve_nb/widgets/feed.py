"""A live feed: watch, make a value, drop it if it is the one before, hand it on. Owns its threads."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Generic, TypeVar

import urllib3

from kserve_nb.client import Client, Kind, Object, RefusedError, events

V = TypeVar("V")
_WATCH_S = 300  # one watch; then it begins anew
_AGAIN_S = 1.0  # after a watch has ended, or the cluster did not answer
_REDRAW_S = 0.25  # between two values: a flood of events is four pictures a second, and the last one is among them
_log = logging.getLogger(__name__)


class Feed(Generic[V]):
    """Objects of one kind as a value, handed on whenever it changes, until `close()`.

    One thread reads the watch, another hands on: what comes in between two values is dropped, never the last.

    Args:
        labels: a label selector; empty for all of the namespace.
        value_of: makes the value of the objects there are.
        on_value: takes each new value, on the feed's thread: it may set traits and nothing else.
        on_error: takes one sentence where the cluster does not answer, or where on_value raised; the last value stays.
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
        self._objects: list[Object] = []
        self._outage = ""
        self._last: V | None = None
        self._live = False  # whether the last thing handed on was a value
        self._open: urllib3.HTTPResponse | None = None
        self._lock = threading.Lock()
        self._changed, self._closed, self._looked = threading.Event(), threading.Event(), threading.Event()
        self._threads = [
            threading.Thread(target=run, name=f"feed of {kind.plural}", daemon=True) for run in (self._read, self._show)
        ]
        for thread in self._threads:
            thread.start()

    @property
    def closed(self) -> bool:
        """Whether its threads have ended."""
        return not any(thread.is_alive() for thread in self._threads)

    def wait_first(self, timeout_s: float) -> bool:
        """Wait until the first value, or why there is none, was handed on; False where that takes longer."""
        return self._looked.wait(timeout_s)

    def close(self) -> None:
        """End the watch and the threads; a second time does nothing."""
        with self._lock:
            self._closed.set()
            self._changed.set()
            if self._open is not None:
                self._open.shutdown()
        for thread in self._threads:
            if threading.current_thread() is not thread:
                thread.join(timeout=5)

    def _read(self) -> None:
        while not self._closed.is_set():
            try:
                self._follow()
            except Exception as error:  # a thread has no cell to raise into, and a shutdown looks like an outage
                with self._lock:
                    self._outage = _sentence(error)
                self._changed.set()
            self._closed.wait(_AGAIN_S)

    def _follow(self) -> None:
        items, version = self._client.snapshot(self._kind, self._labels)
        objects = {item["metadata"]["name"]: item for item in items}
        self._keep(objects)
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
                    self._keep(objects)
            finally:
                with self._lock:
                    self._open = None

    def _keep(self, objects: dict[str, Object]) -> None:
        with self._lock:
            self._objects, self._outage = [objects[name] for name in sorted(objects)], ""
        self._changed.set()

    def _show(self) -> None:
        while True:
            self._changed.wait()
            self._changed.clear()
            if self._closed.is_set():
                return
            with self._lock:
                objects, outage = self._objects, self._outage
            self._hand_on(objects, outage)
            self._looked.set()
            self._closed.wait(_REDRAW_S)

    def _hand_on(self, objects: list[Object], outage: str) -> None:
        if not outage:
            try:
                return self._hand_on_value(self._value_of(objects))
            except Exception as error:  # the picture is not what it should be: say so beside it
                outage = _sentence(error)
        self._live = False
        try:
            self._on_error(outage)
        except Exception:
            _log.exception("a feed could not say: %s", outage)

    def _hand_on_value(self, value: V) -> None:
        if value != self._last or not self._live:
            self._live, self._last = True, value
            self._on_value(value)


def _sentence(error: Exception) -> str:
    return str(error) if isinstance(error, RefusedError) else f"{type(error).__name__}: {error}"
