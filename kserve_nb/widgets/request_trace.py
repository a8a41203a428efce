"""Sends one request, and shows which hop answered it, the response, and how long each hop took."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import traitlets as T  # noqa: N812 - short, as traits fill these lines

from kserve_nb.access.ingress import PredictError
from kserve_nb.doctor import explain
from kserve_nb.rollout.discriminating_input import DiscriminatingInput, find_discriminating_input
from kserve_nb.rollout.errors import NotPossibleError
from kserve_nb.rollout.reader import Tag
from kserve_nb.rollout.rollout import Rollout
from kserve_nb.rollout.trace import Trace
from kserve_nb.values.text import render
from kserve_nb.widgets.drawing.markup import button, choice, command, hidden, note, safe, table, toolbar
from kserve_nb.widgets.sheet.sheet import Handler, Sheet

_HOSTS = (("main host, split by percent", "main"), ("prev- host", "prev"), ("latest- host", "latest"))


class RequestTrace(Sheet):
    """One request through the ingress, hop by hop.

    >>> tracer = RequestTrace(rollout)
    >>> tracer.send("prev").response.status
    200
    """

    trace: Trace | None = T.Instance(Trace, allow_none=True)  # type: ignore[assignment]  # the last request
    error = T.Unicode()  # why there is no trace
    sending = T.Bool(False)
    tag: Tag = T.Enum(["main", "prev", "latest"], "main")  # type: ignore[assignment]  # as above

    _sender: threading.Thread | None = None

    def __init__(self, rollout: Rollout):
        self._rollout = rollout
        super().__init__()
        self.redraw()

    def send(self, tag: Tag | None = None) -> Trace:
        """Send one request to a host and return its trace; `trace` keeps it."""
        self.tag, self.error = tag or self.tag, ""
        self.trace = self._rollout.trace(self.tag, known=self._known())
        return self.trace

    @property
    def text(self) -> str:
        """The hops as text."""
        return text(self.trace)

    @property
    def json(self) -> dict[str, Any]:
        """The last request as dicts and lists; empty before the first one."""
        return asdict(self.trace) if self.trace else {}

    def close(self) -> None:
        """Wait for a request that is being sent; the last trace stays visible."""
        if self._sender is not None:
            self._sender.join(timeout=60)

    def _known(self) -> DiscriminatingInput | None:
        try:
            return find_discriminating_input(self._rollout, self._rollout.status())
        except (NotPossibleError, PredictError, LookupError, RuntimeError):
            return None  # the trace then says that the revision is unknown

    def _picture(self) -> str:
        failed = note("✖", self.error, urgent=True) if self.error else ""
        sending = note("…", "sent, waiting for the answer") if self.sending else ""
        head = "<div class='knb-head'><span class='knb-title'>One request, hop by hop</span></div>"
        return f"<div class='knb-trace' data-key='trace'>{head}{sending}{failed}{html(self.trace)}</div>"

    def _draw(self) -> str:
        why_not = "A request is being sent." if self.sending else ""
        send = button("send", "Send one request", why_not=why_not, look="primary")
        return toolbar(choice("tag", "to the", _HOSTS, self.tag), send) + self._picture()

    def _handlers(self) -> Mapping[str, Handler]:
        return {"tag": lambda value: self.set_trait("tag", value), "send": self._on_send}

    def _on_send(self, _value: str) -> None:
        if not self.sending:
            self.sending = True
            self._sender = threading.Thread(target=self._send_in_background, name="one request", daemon=True)
            self._sender.start()

    def _send_in_background(self) -> None:
        try:
            self.send()
        except Exception as error:  # a thread has no cell to raise into
            self.error = str(error)
        finally:
            self.sending = False

    @T.observe("trace", "error", "sending", "tag")
    def _on_change(self, _change: Any) -> None:
        self.redraw()


def text(found: Trace | None) -> str:
    """A line per hop, the doctor's rule for the hop that failed, and the same request as a command."""
    if found is None:
        return "no request sent yet: tracer.send()"
    return "\n".join(filter(None, (found.sentence, render.text(found.table), rule(found), found.curl)))


def html(found: Trace | None) -> str:
    """The hops as HTML."""
    if found is None:
        return note("·", "no request sent yet")
    summary = note("✖" if found.failed else "✔", found.sentence[2:], urgent=bool(found.failed))
    (head,), rows = found.table
    body = "".join(f"<tr>{''.join(map(_cell, cells))}</tr>" for cells in rows)
    hops = table([safe(name) or hidden("state") for name in head], body, "hops of the request")
    explained = note("→", rule(found)) if rule(found) else ""
    return summary + hops + explained + (command(found.curl) if found.curl else "")


def _cell(words: str) -> str:
    return f"<td class='knb-wrap'>{safe(words)}</td>" if len(words) > 24 else f"<td>{safe(words)}</td>"


def rule(found: Trace) -> str:
    """The doctor's rule for the failure: its id, why it happens, and what to do; empty if there is none."""
    if not found.failed:
        return ""
    answer = found.response
    server = answer.headers.get("server", "") if answer else ""
    text = f"HTTP/1.1 {answer.status} \nserver: {server}\n\n{answer.text}" if answer else found.failed.result
    return next((f"{known.id}: {known.why} Do: {known.remedy.shown(notebook=True)}" for known in explain(text)), "")
