"""Send one request, and see which hop answered, what, and how long it took."""

from __future__ import annotations

import threading
from dataclasses import asdict
from typing import Any

import ipywidgets as W  # noqa: N812 - short, as traits and widgets fill these lines
import traitlets as T  # noqa: N812 - as above

from kserve_nb.access.ingress import PredictError
from kserve_nb.doctor import explain
from kserve_nb.rollout.discriminating_input import DiscriminatingInput, find_discriminating_input
from kserve_nb.rollout.errors import NotPossibleError
from kserve_nb.rollout.reader import Tag
from kserve_nb.rollout.rollout import Rollout
from kserve_nb.rollout.trace import Trace
from kserve_nb.values import render
from kserve_nb.widgets.drawing.draw import FAINT, Picture
from kserve_nb.widgets.drawing.markup import command, note, with_faces

_DOORS = (("main host, split by percent", "main"), ("prev- host", "prev"), ("latest- host", "latest"))


class RequestTrace(W.VBox):  # type: ignore[misc]  # ipywidgets ships no types
    """One request through the ingress, hop by hop.

    >>> tracer = RequestTrace(rollout)
    >>> tracer.send("prev").response.status
    200
    """

    trace: Trace | None = T.Instance(Trace, allow_none=True)  # type: ignore[assignment]  # the last one
    error = T.Unicode()  # why there is none
    sending = T.Bool(False)
    tag: Tag = T.Enum(["main", "prev", "latest"], "main")  # type: ignore[assignment]  # as above

    _sender: threading.Thread | None = None

    def __init__(self, rollout: Rollout):
        self._rollout = rollout
        self._picture = Picture(lambda: self.html)
        self._doors = W.Dropdown(options=_DOORS, description="to the", layout={"width": "300px"})
        self.send_button = W.Button(description="Send one request")
        row = W.HBox([self._doors, self.send_button], layout={"flex_flow": "row wrap"})
        super().__init__([row, self._picture.view])
        T.link((self, "tag"), (self._doors, "value"))
        self.send_button.on_click(self._on_send)
        self._picture.draw()

    def send(self, tag: Tag | None = None) -> Trace:
        """Send one request to a door, and return where it went; `trace` keeps it."""
        self.tag, self.error = tag or self.tag, ""
        self.trace = self._rollout.trace(self.tag, known=self._known())
        return self.trace

    @property
    def text(self) -> str:
        """The hops as text."""
        return text(self.trace)

    @property
    def html(self) -> str:
        """The hops as HTML."""
        said = note("…", "sent, waiting for the answer") if self.sending else ""
        return said + (note("✖", self.error, urgent=True) if self.error else "") + html(self.trace)

    @property
    def json(self) -> dict[str, Any]:
        """The last request, as JSON's own types."""
        return asdict(self.trace) if self.trace else {}

    def close(self) -> None:
        """Wait for a request that is under way; the last one stays in view."""
        if self._sender is not None:
            self._sender.join(timeout=60)

    def _known(self) -> DiscriminatingInput | None:
        try:
            return find_discriminating_input(self._rollout, self._rollout.status())
        except (NotPossibleError, PredictError, LookupError, RuntimeError):
            return None  # then nobody can tell who answers, and the trace says so

    def _on_send(self, _button: W.Button) -> None:
        if not self.sending:
            self.sending = True
            self._sender = threading.Thread(target=self._send_or_say, name="one request", daemon=True)
            self._sender.start()

    def _send_or_say(self) -> None:
        try:
            self.send()
        except Exception as error:  # a thread has no cell to raise into
            self.error = str(error)
        finally:
            self.sending = False

    @T.observe("trace", "error", "sending")
    def _show(self, _change: Any) -> None:
        self.send_button.disabled = self.sending
        self._picture.draw()

    def _repr_mimebundle_(self, **kwargs: Any) -> dict[str, Any]:
        return with_faces(super()._repr_mimebundle_(**kwargs), self.text, self.html)


def text(found: Trace | None) -> str:
    """A line a hop, what the doctor knows of the one that failed, and the same request as a command."""
    if found is None:
        return "no request sent yet: tracer.send()"
    return "\n".join(filter(None, (found.sentence, render.text(found.table), rule(found), found.curl)))


def html(found: Trace | None) -> str:
    """The same as HTML."""
    if found is None:
        return note("·", "no request sent yet")
    said = note("✖" if found.failed else "✔", found.sentence[2:], urgent=bool(found.failed))
    shown = f"<div style='overflow-x:auto'>{render.html(found.table)}</div>"
    shown += note("→", rule(found)) if rule(found) else ""
    how = f"<div style='border-top:1px solid {FAINT}'>{command(found.curl)}</div>" if found.curl else ""
    return said + shown + how


def rule(found: Trace) -> str:
    """The doctor's rule for what a hop failed with, by its id: why, and what to do; empty where it knows none."""
    if not found.failed:
        return ""
    answer = found.response
    server = answer.headers.get("server", "") if answer else ""
    text = f"HTTP/1.1 {answer.status} \nserver: {server}\n\n{answer.text}" if answer else found.failed.said
    return next((f"{known.id}: {known.why} Do: {known.remedy.shown(notebook=True)}" for known in explain(text)), "")
