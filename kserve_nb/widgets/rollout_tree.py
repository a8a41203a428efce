"""The revisions of a rollout with their requested, routed and observed percent, and the pods of each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import traitlets as T  # noqa: N812 - short, as traits fill these lines

from kserve_nb.observe.snapshot import Snapshot
from kserve_nb.values.pods import Pod
from kserve_nb.values.revisions import Revision, short
from kserve_nb.values.text import render
from kserve_nb.widgets.drawing.frame import card, revision_role, with_state
from kserve_nb.widgets.drawing.markup import checkbox, safe, table, toolbar
from kserve_nb.widgets.drawing.palette import revision_mark
from kserve_nb.widgets.drawing.pod_rows import pod_glyph
from kserve_nb.widgets.drawing.shares import observed_shares
from kserve_nb.widgets.sheet.rollout_widget import RolloutWidget
from kserve_nb.widgets.sheet.sheet import Handler
from kserve_nb.widgets.status_line import GLYPHS, headline, phase_chip

_PODS_SHOWN = 6  # the most pods shown of one revision
_HEAD = ("", "MODEL", "REQUESTED", "ROUTED", "OBSERVED")


class RolloutTree(RolloutWidget):
    """Revisions and pods of a rollout with requested, routed and observed percent, live until `close()`.

    Revisions without traffic and without pods are left out until `older` is set, in code or by the checkbox.
    """

    older = T.Bool(False)

    @property
    def text(self) -> str:
        """The tree as text."""
        return text(self.snapshot, older=self.older)

    def _picture(self) -> str:
        return html(self.snapshot, older=self.older)

    def _draw(self) -> str:
        count = sum(not one.is_active for one in rows(self.snapshot))
        label = f"show {count} older revision{'s' * (count > 1)}"
        return self._picture() + (toolbar(checkbox("older", label, checked=self.older)) if count else "")

    def _handlers(self) -> Mapping[str, Handler]:
        return {"older": lambda value: self.set_trait("older", value == "true")}

    @T.observe("older")
    def _on_older(self, _change: Any) -> None:
        self.redraw()


@dataclass(frozen=True)
class RevisionRow:
    """One revision of the tree."""

    revision: str
    glyph: str
    role: str
    model: str
    requested: str
    routed: str
    observed: str
    pods: tuple[Pod, ...]

    @property
    def is_active(self) -> bool:
        """Whether the revision has traffic, will get traffic, or has pods."""
        return bool(self.requested or self.routed or self.pods)

    @property
    def label(self) -> str:
        """The revision's state, number and role: `✔ 00002 LATEST`."""
        return " ".join(filter(None, (self.glyph, short(self.revision), self.role)))


def rows(snapshot: Snapshot) -> tuple[RevisionRow, ...]:
    """One row per revision, the oldest first."""
    known = {revision.name: revision for revision in snapshot.revisions}
    pods = {name: tuple(p for p in snapshot.pods if p.revision == name) for name in {p.revision for p in snapshot.pods}}
    names = sorted({*known, *snapshot.requested, *snapshot.routed, *pods})
    observed = observed_shares(snapshot)
    return tuple(
        RevisionRow(
            revision=name,
            glyph=_glyph(known.get(name)),
            role=revision_role(snapshot, name),
            model=known[name].model.rpartition("/")[2] if name in known else "",
            requested=_percent(snapshot.requested, name),
            routed=_percent(snapshot.routed, name),
            observed=observed.get(name, ""),
            pods=pods.get(name, ()),
        )
        for name in names
    )


def text(snapshot: Snapshot, *, older: bool = False) -> str:
    """The tree, with a line per revision and a line per pod."""
    head = f"{GLYPHS[snapshot.phase]} {snapshot.name}  {headline(snapshot)}"
    shown = [one for one in rows(snapshot) if one.is_active or older]
    lines = [_HEAD]
    for one in shown:
        is_last = one is shown[-1]
        lines.append((f"{'└─' if is_last else '├─'} {one.label}", one.model, one.requested, one.routed, one.observed))
        bar = "   " if is_last else "│  "
        pods = _pod_lines(one.pods)
        lines += [(f"{bar}{'└─' if words is pods[-1] else '├─'} {words}", "", "", "", "") for words in pods]
    return with_state(snapshot, head + ("\n" + render.text((lines[:1], lines[1:])) if shown else ""))


def html(snapshot: Snapshot, *, older: bool = False) -> str:
    """The tree as an HTML table; the pods are below the name of their revision."""
    body = "".join(_row_html(one) for one in rows(snapshot) if one.is_active or older)
    shown = table(("REVISION", *_HEAD[1:]), body, f"revisions of {snapshot.name}") if body else ""
    return card(snapshot, f"Revisions of {snapshot.name}", shown, phase_chip(snapshot))


def _row_html(one: RevisionRow) -> str:
    pods = "".join(f"<div class='knb-soft'>{safe(words)}</div>" for words in _pod_lines(one.pods))
    cells = "".join(f"<td>{safe(words)}</td>" for words in (one.model, one.requested, one.routed, one.observed))
    name = f"{revision_mark(one.revision)} {safe(one.label)}"
    return f"<tr data-key='{safe(one.revision)}'><th scope='row'>{name}{pods}</th>{cells}</tr>"


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
