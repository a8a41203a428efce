"""The pods of a rollout, live, with the end of a pod's log."""

from __future__ import annotations

import threading
from html import escape
from typing import Any

import ipywidgets as W  # noqa: N812 - short, as traits and widgets fill these lines
import traitlets as T  # noqa: N812 - as above

from kserve_nb.access.api_client import RefusedError
from kserve_nb.observe.snapshot import Snapshot, clock
from kserve_nb.rollout.rollout import Rollout
from kserve_nb.values.revisions import short
from kserve_nb.widgets.drawing import pod_rows
from kserve_nb.widgets.drawing.draw import LINE, LISTS, Picture
from kserve_nb.widgets.feed.rollout_feed import Seat, faces_of, leave

_LINES = 20  # of a log
_AGAIN_S = 2.0  # between two looks at a log that is followed
_PICKABLE = 200
_CONTAINERS = ("kserve-container", "storage-initializer")  # the second one's log says why the first did not start


class PodTable(W.VBox):  # type: ignore[misc]  # ipywidgets ships no types
    """What `kubectl get pods` shows of one InferenceService, kept up to date until `close()`.

    `revision` shows one revision's pods alone, `order` sorts them; `picked`, in code or by a click on its row, is the
    pod whose events and log are followed below. `close()` ends the watch and leaves the last picture in its place.

    >>> table = PodTable(rollout)
    >>> table.close()
    """

    snapshot: Snapshot = T.Instance(Snapshot, ("",))  # type: ignore[assignment]  # traitlets hands the value out
    revision = T.Unicode()
    order: pod_rows.Order = T.Enum(pod_rows.ORDERS, pod_rows.ORDERS[0])  # type: ignore[assignment]  # as above
    picked = T.Unicode()
    log = T.Unicode()

    _reader: threading.Thread | None = None
    _closed = False

    def __init__(self, rollout: Rollout):
        self._client = rollout.client
        self._changed = threading.Event()  # another pod was picked, or it is closed
        self._picture, self._detail = Picture(lambda: self.html), Picture(self._detail_html)
        self._filter = W.Dropdown(options=[("all", "")], description="revision", layout={"width": "200px"})
        self._order = W.Dropdown(options=pod_rows.ORDERS, description="sort", layout={"width": "240px"})
        self._picker = W.Dropdown(options=[(pod_rows.NO_POD, "")], description="log of", layout={"width": "240px"})
        row = W.HBox([self._filter, self._order, self._picker], layout={"flex_flow": "row wrap"})
        super().__init__([self._picture.view, row, self._detail.view])
        self.add_class(LISTS)
        T.link((self, "order"), (self._order, "value"))
        self._filter.observe(lambda change: self.set_trait("revision", change["new"]), "value")
        self._picker.observe(lambda change: self.set_trait("picked", change["new"]), "value")
        self._seat = Seat(rollout, lambda snapshot: self.set_trait("snapshot", snapshot))

    @property
    def text(self) -> str:
        """The table as text, without what differs from run to run."""
        return pod_rows.text(self.snapshot, self.revision, self.order)

    @property
    def html(self) -> str:
        """The table as HTML."""
        return pod_rows.html(self.snapshot, self.revision, self.order, self.picked)

    @property
    def json(self) -> dict[str, Any]:
        """All that is known, as JSON's own types."""
        return self.snapshot.as_json()

    def close(self) -> None:
        """Stop following; what was seen last stays in view, and says that it is no longer live."""
        self._closed = True
        if self._reader is not None:
            self._changed.set()
            self._reader.join(timeout=20)
        leave(self)

    @T.observe("snapshot", "revision", "order")
    def _show(self, _change: Any) -> None:
        self._offer()
        self._picture.draw()
        self._detail.draw()

    @T.observe("log")
    def _show_log(self, _change: Any) -> None:
        self._detail.draw()

    @T.observe("picked")
    def _follow(self, _change: Any) -> None:
        self.log = ""
        self._picker.value = self.picked if self.picked in dict(map(reversed, self._picker.options)) else ""
        self._changed.set()
        if self.picked and (self._reader is None or not self._reader.is_alive()):
            self._reader = threading.Thread(target=self._read, name="log of a pod", daemon=True)
            self._reader.start()
        self._picture.draw()
        self._detail.draw()

    def _read(self) -> None:
        while self.picked and not self._closed and self.snapshot.state != "closed":
            self._changed.clear()
            name, log = self.picked, self._tail(self.picked)
            if name == self.picked:
                self.log = log
            self._changed.wait(_AGAIN_S)

    def _tail(self, name: str) -> str:
        """The end of the log of its first container that has one, or why there is none."""
        said = ""
        for container in _CONTAINERS:
            try:
                found = self._client.log(name, container, _LINES)
            except (RefusedError, OSError) as error:
                said = said or str(error)
            else:
                if found.strip():
                    return f"{container}:\n{found}"
        return said or "its log is empty"

    def _offer(self) -> None:
        """Let the hand choose among what there is; what it has chosen stays."""
        revisions = sorted({pod.revision for pod in self.snapshot.pods} | ({self.revision} - {""}))
        _set_options(self._filter, [("all", ""), *((short(name), name) for name in revisions)], self.revision)
        pods = {pod.name: pod_rows.label(pod) for pod in self.snapshot.pods[:_PICKABLE]}
        pods |= {self.picked: f"…{self.picked[-5:]}"} if self.picked and self.picked not in pods else {}
        options = [(pod_rows.NO_POD, ""), *((label, name) for name, label in pods.items())]
        _set_options(self._picker, options, self.picked)

    def _detail_html(self) -> str:
        if not self.picked:
            return ""
        mine = [event for event in self.snapshot.events if event.name == self.picked][-6:]
        rows = [f"{clock(e.at)} {'✖' if e.warning else '·'} {e.reason}: {e.message}" for e in mine]
        none = "· closed: its log is no longer read" if self.snapshot.state == "closed" else "… reading its log"
        words = "\n".join([*rows, "", self.log or none])
        style = f"border:1px solid {LINE};padding:6px 8px;line-height:1.4;max-height:22em;overflow:auto"
        style += ";display:flex;flex-direction:column-reverse"  # it stands at its end, where the newest lines are
        label = f"events and log of {escape(self.picked)}"
        shown = f"<pre style='flex:none;margin:0;overflow:visible;white-space:pre-wrap'>{escape(words)}</pre>"
        return f"<div role='log' tabindex='0' aria-label='{label}' style='{style}'>{shown}</div>"

    def _repr_mimebundle_(self, **kwargs: Any) -> dict[str, Any]:
        return faces_of(self, super()._repr_mimebundle_(**kwargs))


def _set_options(dropdown: W.Dropdown, options: list[tuple[str, str]], chosen: str) -> None:
    """Change what can be chosen without choosing anything else."""
    if tuple(options) != tuple(dropdown.options):
        with dropdown.hold_trait_notifications():
            dropdown.options = options
            dropdown.value = chosen
