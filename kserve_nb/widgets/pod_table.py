"""The pods of a rollout, live, with the events and the end of the log of one of them."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any

import traitlets as T  # noqa: N812 - short, as traits fill these lines

from kserve_nb.access.api_client import RefusedError
from kserve_nb.observe.snapshot import clock
from kserve_nb.rollout.rollout import Rollout
from kserve_nb.values.revisions import short
from kserve_nb.widgets.drawing import pod_rows
from kserve_nb.widgets.drawing.markup import choice, safe, toolbar
from kserve_nb.widgets.sheet.rollout_widget import RolloutWidget
from kserve_nb.widgets.sheet.sheet import Handler

_LOG_LINES = 20
_EVENTS_SHOWN = 6
_LOG_INTERVAL_S = 2.0
_PODS_LISTED = 200
_CONTAINERS = ("kserve-container", "storage-initializer")  # the log of the second explains why the first did not start


class PodTable(RolloutWidget):
    """What `kubectl get pods` prints for one InferenceService, kept up to date until `close()`.

    `revision` shows only the pods of one revision, `order` sorts them. `picked`, set in code or by a click on a row, is
    the name of the pod whose events and log are shown below.

    >>> table = PodTable(rollout)
    >>> table.close()
    """

    revision = T.Unicode()
    order: pod_rows.PodOrder = T.Enum(pod_rows.POD_ORDERS, pod_rows.POD_ORDERS[0])  # type: ignore[assignment]  # a trait
    picked = T.Unicode()
    log = T.Unicode()

    _reader: threading.Thread | None = None
    _is_closed = False

    def __init__(self, rollout: Rollout):
        self._client = rollout.client
        self._wake_reader = threading.Event()  # or the widget is closed
        super().__init__(rollout)

    @property
    def text(self) -> str:
        """The table as text, without names and ages, which differ from run to run."""
        return pod_rows.text(self.snapshot, self.revision, self.order)

    def close(self) -> None:
        """Stop updating; the last state stays visible."""
        self._is_closed = True
        if self._reader is not None:
            self._wake_reader.set()
            self._reader.join(timeout=20)
        super().close()

    def _picture(self) -> str:
        return pod_rows.html(self.snapshot, self.revision, self.order, self.picked)

    def _draw(self) -> str:
        revisions = sorted({pod.revision for pod in self.snapshot.pods} | ({self.revision} - {""}))
        pods = {pod.name: pod_rows.pod_label(pod) for pod in self.snapshot.pods[:_PODS_LISTED]}
        pods |= {self.picked: f"…{self.picked[-5:]}"} if self.picked and self.picked not in pods else {}
        lists = toolbar(
            choice("revision", "revision", [("all", ""), *((short(name), name) for name in revisions)], self.revision),
            choice("order", "sort", [(order, order) for order in pod_rows.POD_ORDERS], self.order),
            choice("pick", "log of", [("no pod", ""), *((label, name) for name, label in pods.items())], self.picked),
        )
        return self._picture() + lists + self._detail()

    def _handlers(self) -> Mapping[str, Handler]:
        return {
            "revision": lambda value: self.set_trait("revision", value),
            "order": lambda value: self.set_trait("order", value),
            "pick": lambda value: self.set_trait("picked", value),
        }

    def _detail(self) -> str:
        """Events and log of the selected pod, in an area of constant height."""
        if not self.picked:
            return "<div class='knb-box knb-detail knb-soft'>Select a pod to see its events and its log.</div>"
        events = [event for event in self.snapshot.events if event.name == self.picked][-_EVENTS_SHOWN:]
        rows = [f"{clock(e.at)} {'✖' if e.warning else '·'} {e.reason}: {e.message}" for e in events]
        no_log = "· closed: the log is no longer read" if self.snapshot.state == "closed" else "… reading the log"
        return (
            f"<div class='knb-box knb-detail'><pre data-key='events'>{safe(chr(10).join(rows) or 'no events')}</pre>"
            f"<div class='knb-log knb-scroll' tabindex='0' role='log' aria-label='log of {safe(self.picked)}'>"
            f"<pre>{safe(self.log or no_log)}</pre></div></div>"
        )

    @T.observe("revision", "order", "log")
    def _on_view_change(self, _change: Any) -> None:
        self.redraw()

    @T.observe("picked")
    def _on_picked(self, _change: Any) -> None:
        self.log = ""
        self._wake_reader.set()
        if self.picked and (self._reader is None or not self._reader.is_alive()):
            self._reader = threading.Thread(target=self._read_log, name="log of a pod", daemon=True)
            self._reader.start()
        self.redraw()

    def _read_log(self) -> None:
        while self.picked and not self._is_closed and self.snapshot.state != "closed":
            self._wake_reader.clear()
            name, log = self.picked, self._log_end(self.picked)
            if name == self.picked:
                self.log = log
            self._wake_reader.wait(_LOG_INTERVAL_S)

    def _log_end(self, name: str) -> str:
        """The end of the log of the first container that has one, or why no log can be read."""
        refusal = ""
        for container in _CONTAINERS:
            try:
                found = self._client.log(name, container, _LOG_LINES)
            except (RefusedError, OSError) as error:
                refusal = refusal or str(error)
            else:
                if found.strip():
                    return f"{container}:\n{found}"
        return refusal or "the log is empty"
