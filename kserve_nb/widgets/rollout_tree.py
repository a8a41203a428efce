"""A rollout as a tree: its revisions with what is asked, routed and observed, and their pods."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from typing import Any

import ipywidgets as W  # noqa: N812 - short, as traits and widgets fill these lines
import traitlets as T  # noqa: N812 - as above

from kserve_nb.observe.snapshot import Snapshot
from kserve_nb.rollout.rollout import Rollout
from kserve_nb.values import render
from kserve_nb.values.pods import Pod
from kserve_nb.values.revisions import Revision, short
from kserve_nb.widgets.drawing.draw import Picture, cell, framed, revision_role, shares, table, with_state
from kserve_nb.widgets.drawing.markup import pod_glyph
from kserve_nb.widgets.feed.rollout_feed import Seat, faces_of, leave
from kserve_nb.widgets.status_line import GLYPHS, headline

_PODS_SHOWN = 6  # of one revision
_HEAD = ("", "MODEL", "ASKED", "ROUTED", "OBSERVED")


class RolloutTree(W.VBox):  # type: ignore[misc]  # ipywidgets ships no types
    """Revisions and pods of a rollout with the three truths beside them, live until `close()`.

    Revisions without traffic and pods are left out until `older` is set, in code or by the button.
    """

    snapshot: Snapshot = T.Instance(Snapshot, ("",))  # type: ignore[assignment]  # traitlets hands the value out
    older = T.Bool(False)

    def __init__(self, rollout: Rollout):
        self._picture = Picture(lambda: self.html)
        self._button = W.ToggleButton(tooltip="revisions that have neither traffic nor pods")
        self._button.layout.width = "max-content"
        super().__init__([self._picture.view, self._button])
        T.link((self, "older"), (self._button, "value"))
        self._seat = Seat(rollout, lambda snapshot: self.set_trait("snapshot", snapshot))

    @property
    def text(self) -> str:
        """The tree as text."""
        return text(self.snapshot, older=self.older)

    @property
    def html(self) -> str:
        """The tree as HTML."""
        return html(self.snapshot, older=self.older)

    @property
    def json(self) -> dict[str, Any]:
        """All that is known, as JSON's own types."""
        return self.snapshot.as_json()

    def close(self) -> None:
        """Stop following; what was seen last stays in view."""
        leave(self)

    @T.observe("snapshot", "older")
    def _show(self, _change: Any) -> None:
        hidden = sum(not row.shown for row in rows(self.snapshot))
        self._button.layout.display = None if hidden else "none"
        self._button.description = f"{'hide' if self.older else 'show'} {hidden} older revision{'s' * (hidden > 1)}"
        self._picture.draw()

    def _repr_mimebundle_(self, **kwargs: Any) -> dict[str, Any]:
        return faces_of(self, super()._repr_mimebundle_(**kwargs))


@dataclass(frozen=True)
class Row:
    """One revision of the tree."""

    glyph: str
    name: str
    role: str
    model: str
    asked: str
    routed: str
    observed: str
    pods: tuple[Pod, ...]

    @property
    def shown(self) -> bool:
        """Whether it has traffic, is asked to have some, or has pods."""
        return bool(self.asked or self.routed or self.pods)


def rows(snapshot: Snapshot) -> tuple[Row, ...]:
    """A row a revision, the oldest first."""
    known = {revision.name: revision for revision in snapshot.revisions}
    pods = {name: tuple(p for p in snapshot.pods if p.revision == name) for name in {p.revision for p in snapshot.pods}}
    names = sorted({*known, *snapshot.requested, *snapshot.routed, *pods})
    observed = shares(snapshot)
    return tuple(
        Row(
            glyph=_glyph(known.get(name)),
            name=short(name),
            role=revision_role(snapshot, name),
            model=known[name].model.rpartition("/")[2] if name in known else "",
            asked=_percent(snapshot.requested, name),
            routed=_percent(snapshot.routed, name),
            observed=observed.get(name, ""),
            pods=pods.get(name, ()),
        )
        for name in names
    )


def text(snapshot: Snapshot, *, older: bool = False) -> str:
    """The tree, with a line a revision and a line a pod."""
    head = f"{GLYPHS[snapshot.phase]} {snapshot.name}  {headline(snapshot)}"
    shown = [row for row in rows(snapshot) if row.shown or older]
    lines = [_HEAD]
    for row in shown:
        last = row is shown[-1]
        lines.append((f"{'└─' if last else '├─'} {_label(row)}", row.model, row.asked, row.routed, row.observed))
        bar = "   " if last else "│  "
        pods = _pod_lines(row.pods)
        lines += [(f"{bar}{'└─' if words is pods[-1] else '├─'} {words}", "", "", "", "") for words in pods]
    return with_state(snapshot, head + ("\n" + render.text((lines[:1], lines[1:])) if shown else ""))


def html(snapshot: Snapshot, *, older: bool = False) -> str:
    """The tree as a table; pods are lists within it."""
    body = ""
    for row in rows(snapshot):
        if row.shown or older:
            pods = "".join(f"<div style='padding-left:18px'>{escape(words)}</div>" for words in _pod_lines(row.pods))
            cells = "".join(f"<td {cell()}>{escape(t)}</td>" for t in (row.model, row.asked, row.routed, row.observed))
            first = f"{escape(_label(row))}<div style='font-weight:400'>{pods}</div>"
            body += f"<tr><th scope='row' {cell()}>{first}</th>{cells}</tr>"
    words = f"{GLYPHS[snapshot.phase]} <b>{escape(snapshot.name)}</b> · {escape(headline(snapshot))}"
    shown = table(("REVISION", *_HEAD[1:]), body) if body else ""
    return framed(snapshot, f"<div style='line-height:1.6'>{words}</div>{shown}")


def _label(row: Row) -> str:
    return " ".join(filter(None, (row.glyph, row.name, row.role)))


def _pod_lines(pods: tuple[Pod, ...]) -> list[str]:
    lines = []
    for pod in pods[:_PODS_SHOWN]:
        ready = f"{pod.ready}/{pod.containers}"
        lines.append(f"{pod_glyph(ready, pod.status)} pod {ready} {pod.status}")
    return lines + ([f"and {len(pods) - _PODS_SHOWN} more pods"] if len(pods) > _PODS_SHOWN else [])


def _percent(percents: dict[str, int], name: str) -> str:
    return f"{percents[name]} %" if name in percents else ""


def _glyph(revision: Revision | None) -> str:
    if revision is None:
        return "…"
    return "✔" if revision.ready else "✖" if revision.failed else "…"
