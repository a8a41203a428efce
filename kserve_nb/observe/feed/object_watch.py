"""A local copy of the objects of one kind, kept up to date by a watch on a background thread."""

from __future__ import annotations

import threading
from collections.abc import Callable

import urllib3

from kserve_nb.access.api_client import (
    INFERENCE_SERVICE,
    UNREACHABLE,
    Client,
    Object,
    ObjectNotFoundError,
    RefusedError,
    Resource,
    events,
)

_WATCH_S = 300  # the longest a single watch request lasts
_RETRY_S = 1.0  # after a watch has ended or failed


class ObjectWatch:
    """The objects of one kind in the client's namespace: lists them, then watches, and repeats both until `close()`.

    Args:
        keep: which objects to keep; the others are dropped as they arrive.
        on_change: called on the watch's thread after each event; it may only read `objects()` and `error`.
    """

    def __init__(self, client: Client, kind: Resource, keep: Callable[[Object], bool], on_change: Callable[[], None]):
        self._client, self._kind, self._keep, self._on_change = client, kind, keep, on_change
        self._objects: dict[str, Object] = {}
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._response: urllib3.HTTPResponse | None = None
        self.synced = False  # whether the first list has arrived, or has failed
        self.error = ""  # why the objects may be out of date; empty while the watch works
        self._thread = threading.Thread(target=self._run, name=f"watch of {kind.plural}", daemon=True)
        self._thread.start()

    @property
    def closed(self) -> bool:
        """Whether the thread has ended."""
        return not self._thread.is_alive()

    def objects(self) -> list[Object]:
        """The current objects, sorted by name."""
        with self._lock:
            return [self._objects[name] for name in sorted(self._objects)]

    def restart(self) -> None:
        """Drop the open connection and list again: after an outage the connection may be dead without an error."""
        with self._lock:
            if self._response is not None:
                self._response.shutdown()

    def close(self) -> None:
        """End the connection and the thread; a second call does nothing."""
        self._closed.set()
        self.restart()
        if threading.current_thread() is not self._thread:
            self._thread.join(timeout=5)

    def _run(self) -> None:
        while not self._closed.is_set():
            try:
                self._list_and_watch()
            except ObjectNotFoundError:  # the cluster lacks this kind or the namespace, so there are no objects
                self._replace_all({})
            except (urllib3.exceptions.HTTPError, OSError):  # the feed's contact thread finds out whether this lasts
                pass
            except RefusedError as refused:
                if refused.reason != UNREACHABLE:
                    self._report(str(refused))
            except Exception as error:  # an exception would end the thread without a trace
                self._report(f"{type(error).__name__}: {error}")
            self._closed.wait(_RETRY_S)

    def _list_and_watch(self) -> None:
        items, version = self._client.snapshot(self._kind, "")
        self._replace_all({item["metadata"]["name"]: self._slim(item) for item in items if self._keep(item)})
        with self._client.watch(self._kind, "", version, _WATCH_S) as response:
            with self._lock:
                if self._closed.is_set():
                    return
                self._response = response
            try:
                for type_, obj in events(response):
                    if type_ == "ERROR":
                        return  # the resource version has expired: list again
                    self._apply_event(type_, obj)
            finally:
                with self._lock:
                    self._response = None

    def _apply_event(self, type_: str, obj: Object) -> None:
        if type_ != "BOOKMARK" and self._keep(obj):
            with self._lock:
                if type_ == "DELETED":
                    self._objects.pop(obj["metadata"]["name"], None)
                else:
                    self._objects[obj["metadata"]["name"]] = self._slim(obj)
            self._on_change()

    def _replace_all(self, objects: dict[str, Object]) -> None:
        with self._lock:
            self._objects, self.error, self.synced = objects, "", True
        self._on_change()

    def _report(self, error: str) -> None:
        if not self._closed.is_set():
            self.error, self.synced = error, True
            self._on_change()

    def _slim(self, obj: Object) -> Object:
        """Remove the managed fields, which are half of an object; only those of the InferenceService are used."""
        if self._kind != INFERENCE_SERVICE:
            obj["metadata"].pop("managedFields", None)
        return obj
