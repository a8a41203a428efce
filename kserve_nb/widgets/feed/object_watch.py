"""The objects of one kind, kept as they are in the cluster, by a thread of their own."""

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

_WATCH_S = 300  # one watch; then it begins anew
_AGAIN_S = 1.0  # after a watch has ended, or the cluster did not answer


class Watch:
    """Lists, then watches, then does so again, until `close()`.

    Args:
        concerns: which objects to keep; others of the namespace are dropped as they come.
        on_change: called on the watch's thread after each event; it may look at `objects` and `error`, no more.
    """

    def __init__(
        self, client: Client, kind: Resource, concerns: Callable[[Object], bool], on_change: Callable[[], None]
    ):
        self._client, self._kind, self._concerns, self._on_change = client, kind, concerns, on_change
        self._objects: dict[str, Object] = {}
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._open: urllib3.HTTPResponse | None = None
        self.looked = False  # whether the first list, or why there is none, has come
        self.error = ""  # why the objects are what they were; empty while they are followed
        self._thread = threading.Thread(target=self._run, name=f"watch of {kind.plural}", daemon=True)
        self._thread.start()

    @property
    def closed(self) -> bool:
        """Whether its thread has ended."""
        return not self._thread.is_alive()

    def objects(self) -> list[Object]:
        """The objects as they are now, by name."""
        with self._lock:
            return [self._objects[name] for name in sorted(self._objects)]

    def begin_anew(self) -> None:
        """Drop the open connection: after an outage it may be one that nobody answers on."""
        with self._lock:
            if self._open is not None:
                self._open.shutdown()

    def close(self) -> None:
        """End the connection and the thread; a second time does nothing."""
        self._closed.set()
        self.begin_anew()
        if threading.current_thread() is not self._thread:
            self._thread.join(timeout=5)

    def _run(self) -> None:
        while not self._closed.is_set():
            try:
                self._follow()
            except ObjectNotFoundError:  # no such kind on this cluster, or no such namespace yet: there are none
                self._replace({})
            except (urllib3.exceptions.HTTPError, OSError):  # the connection went: whether for long, others find out
                pass
            except RefusedError as refused:
                if refused.reason != UNREACHABLE:
                    self._say(str(refused))
            except Exception as error:  # a thread has no cell to raise into
                self._say(f"{type(error).__name__}: {error}")
            self._closed.wait(_AGAIN_S)

    def _follow(self) -> None:
        items, version = self._client.snapshot(self._kind, "")
        self._replace({item["metadata"]["name"]: self._slim(item) for item in items if self._concerns(item)})
        with self._client.watch(self._kind, "", version, _WATCH_S) as answer:
            with self._lock:
                if self._closed.is_set():
                    return
                self._open = answer
            try:
                for type_, obj in events(answer):
                    if type_ == "ERROR":
                        return  # too old a version: begin anew
                    self._take(type_, obj)
            finally:
                with self._lock:
                    self._open = None

    def _take(self, type_: str, obj: Object) -> None:
        if type_ != "BOOKMARK" and self._concerns(obj):
            with self._lock:
                if type_ == "DELETED":
                    self._objects.pop(obj["metadata"]["name"], None)
                else:
                    self._objects[obj["metadata"]["name"]] = self._slim(obj)
            self._on_change()

    def _replace(self, objects: dict[str, Object]) -> None:
        with self._lock:
            self._objects, self.error, self.looked = objects, "", True
        self._on_change()

    def _say(self, error: str) -> None:
        if not self._closed.is_set():
            self.error, self.looked = error, True
            self._on_change()

    def _slim(self, obj: Object) -> Object:
        """Without who wrote which field: half of an object, and asked of an InferenceService alone."""
        if self._kind != INFERENCE_SERVICE:
            obj["metadata"].pop("managedFields", None)
        return obj
