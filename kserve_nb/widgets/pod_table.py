"""The pods of a rollout, live."""

from __future__ import annotations

from html import escape
from typing import Any

import ipywidgets as W  # noqa: N812 - short, as traits and widgets fill these lines
import traitlets as T  # noqa: N812 - as above

from kserve_nb import render
from kserve_nb.client import POD, Object
from kserve_nb.model import Pod
from kserve_nb.rollout import Rollout
from kserve_nb.widgets.faces import with_faces
from kserve_nb.widgets.feed import Feed


class PodTable(W.VBox):  # type: ignore[misc]  # ipywidgets ships no types
    """What `kubectl get pods` shows of one InferenceService, kept up to date until `close()`."""

    pods: tuple[Pod, ...] = T.Tuple()  # type: ignore[assignment]  # traitlets hands the value out
    error = T.Unicode()  # why the last known pods are all we have; empty while live

    _feed: Feed[tuple[Pod, ...]] | None = None  # until it has begun

    def __init__(self, rollout: Rollout):
        self._name = rollout.name
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
        """The table as HTML."""
        rows = render.html(render.pod_table(self.pods)) if self.pods else f"<i>{escape(self._name)}: no pods</i>"
        return rows + (f"<p><b>not live:</b> {escape(self.error)}</p>" if self.error else "")

    def close(self) -> None:
        """Stop the feed and take the view away."""
        if self._feed is not None:
            self._feed.close()
        super().close()

    def _set_pods(self, pods: tuple[Pod, ...]) -> None:
        self.error = ""
        self.pods = pods

    def _set_error(self, message: str) -> None:
        self.error = message

    @T.observe("pods", "error")
    def _show(self, _change: Any = None) -> None:
        self._view.value = self.html

    def _repr_mimebundle_(self, **kwargs: Any) -> dict[str, Any]:
        return with_faces(super()._repr_mimebundle_(**kwargs), self.text, self.html)


def _values(objects: list[Object]) -> tuple[Pod, ...]:
    return tuple(Pod.of(item) for item in objects)
