"""The pods of a rollout, live."""

from __future__ import annotations

import time
from typing import Any

import ipywidgets as W  # noqa: N812 - short, as traits and widgets fill these lines
import traitlets as T  # noqa: N812 - as above

from kserve_nb import render
from kserve_nb.client import POD, Object
from kserve_nb.model import Pod
from kserve_nb.rollout import Rollout
from kserve_nb.widgets.faces import note, pods_html, with_faces
from kserve_nb.widgets.feed import Feed

_FIRST_LOOK_S = 2.0  # that a cell waits for, so that its saved text is not empty


class PodTable(W.VBox):  # type: ignore[misc]  # ipywidgets ships no types
    """What `kubectl get pods` shows of one InferenceService, kept up to date until `close()`.

    `close()` ends the watch and leaves the last picture in its place.
    """

    pods: tuple[Pod, ...] = T.Tuple()  # type: ignore[assignment]  # traitlets hands the value out
    error = T.Unicode()  # why the last known pods are all we have; empty while live
    closed = T.Bool(False)

    _feed: Feed[tuple[Pod, ...]] | None = None  # until it has begun

    def __init__(self, rollout: Rollout):
        self._name = rollout.name
        self._changed = ""  # when, on this machine's clock
        self._view = W.HTML()
        super().__init__([self._view])
        self._show()
        label = f"serving.kserve.io/inferenceservice={rollout.name}"
        self._feed = Feed(rollout.client, POD, label, _values, self._set_pods, self._set_error)

    @property
    def text(self) -> str:
        """The table as text, without what differs from run to run."""
        return render.text(render.pod_table(self.pods)) if self.pods else f"{self._name}: no pods"

    @property
    def html(self) -> str:
        """The table as HTML, as it is at this moment."""
        return pods_html(self._name, self.pods, f"as seen at {self._changed}" if self._changed else "not seen yet")

    def close(self) -> None:
        """Stop the feed; what was seen last stays in view, and says that it is no longer live."""
        if self._feed is not None and not self.closed:
            self._feed.close()
            self.closed = True

    def _set_pods(self, pods: tuple[Pod, ...]) -> None:
        self._changed = time.strftime("%H:%M:%S")
        self.error, self.pods = "", pods
        self._show()  # the first look may find what was assumed: no pods

    def _set_error(self, message: str) -> None:
        self.error = message

    @T.observe("pods", "error", "closed")
    def _show(self, _change: Any = None) -> None:
        since = f" · last change {self._changed}" if self._changed else ""
        state = "closed: as it was" if self.closed else "not live" if self.error or not since else "live"
        why = note("✖", f"not live: {self.error}", urgent=True) if self.error and not self.closed else ""
        self._view.value = pods_html(self._name, self.pods, state + since) + why

    def _repr_mimebundle_(self, **kwargs: Any) -> dict[str, Any]:
        if self._feed is not None:
            self._feed.wait_first(_FIRST_LOOK_S)
        return with_faces(super()._repr_mimebundle_(**kwargs), self.text, self.html)


def _values(objects: list[Object]) -> tuple[Pod, ...]:
    return tuple(Pod.of(item) for item in objects)
