"""What a change of the document is, line by line, and what it will cause."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from typing import Any

import ipywidgets as W  # noqa: N812 - short, as traits and widgets fill these lines
import traitlets as T  # noqa: N812 - as above
import yaml

from kserve_nb.access.api_client import RefusedError
from kserve_nb.observe.snapshot import Snapshot
from kserve_nb.rollout.rollout import Rollout
from kserve_nb.values import manifest, render
from kserve_nb.values.labels import LAST_APPLIED
from kserve_nb.values.manifest import FieldChange
from kserve_nb.widgets.drawing.draw import BAD, GOOD, LINE, Picture, framed, with_state
from kserve_nb.widgets.drawing.markup import command, note
from kserve_nb.widgets.feed.rollout_feed import Seat, faces_of, leave

_AROUND = 2  # unchanged lines shown beside a change, until `whole` is set


class YamlDiff(W.VBox):  # type: ignore[misc]  # ipywidgets ships no types
    """The live InferenceService beside what applying a document would make of it, live until `close()`.

    `beside` puts both next to each other, `whole` shows the unchanged lines too. `try_it()`, or its button, asks the
    cluster whether it would take the document, and writes nothing.

    Args:
        document: the document or its YAML; also as the trait `document`, which may be set again.

    >>> diff = YamlDiff(rollout, lab.manifest(MODEL_2, percent=20))
    >>> diff.try_it()
    '✔ the cluster would take it; nothing was written'
    >>> diff.close()
    """

    snapshot: Snapshot = T.Instance(Snapshot, ("",))  # type: ignore[assignment]  # traitlets hands the value out
    document = T.Union([T.Dict(), T.Unicode()])
    whole = T.Bool(False)
    beside = T.Bool(False)
    tried = T.Unicode()  # what the cluster said when it was asked

    def __init__(self, rollout: Rollout, document: Mapping[str, Any] | str):
        self._rollout = rollout
        self._picture = Picture(lambda: self.html)
        names = ("show unchanged lines", "side by side")
        self._buttons = tuple(W.ToggleButton(description=name, layout={"width": "max-content"}) for name in names)
        self.try_button = W.Button(description="Try it, write nothing", layout={"width": "max-content"},
                                   tooltip="a dry run: the cluster says whether it would take it")  # fmt: skip
        row = W.HBox([*self._buttons, self.try_button], layout={"flex_flow": "row wrap"})
        super().__init__([self._picture.view, row])
        self.document = document if isinstance(document, str) else dict(document)
        for name, button in zip(("whole", "beside"), self._buttons, strict=True):
            T.link((self, name), (button, "value"))
        self.try_button.on_click(lambda _button: self.try_it())
        self._seat = Seat(rollout, lambda snapshot: self.set_trait("snapshot", snapshot))

    @property
    def text(self) -> str:
        """The change as text."""
        return "\n".join(filter(None, (text(self.snapshot, self.document, whole=self.whole), self.tried)))

    @property
    def html(self) -> str:
        """The change as HTML."""
        said = note(self.tried[0], self.tried[2:], urgent=self.tried[0] == "✖") if self.tried else ""
        return html(self.snapshot, self.document, whole=self.whole, beside=self.beside) + said

    @property
    def json(self) -> dict[str, Any]:
        """All that is known, as JSON's own types."""
        return self.snapshot.as_json()

    def try_it(self) -> str:
        """Ask the cluster whether it would take the document: nothing is written. Returns what it says, `tried` too."""
        try:
            self._rollout.apply(self.document, dry_run=True)
            self.tried = "✔ the cluster would take it; nothing was written"
        except RefusedError as refused:
            self.tried = f"✖ refused: {refused}"
        except Exception as error:  # a callback has no cell to raise into: say it in the view
            self.tried = f"✖ not tried: {type(error).__name__}: {error}"
        return self.tried

    def close(self) -> None:
        """Stop following; what was seen last stays in view."""
        leave(self)

    @T.observe("document")
    def _forget(self, _change: Any) -> None:
        self.tried = ""

    @T.observe("snapshot", "document", "whole", "beside", "tried")
    def _show(self, _change: Any) -> None:
        self._picture.draw()

    def _repr_mimebundle_(self, **kwargs: Any) -> dict[str, Any]:
        return faces_of(self, super()._repr_mimebundle_(**kwargs))


@dataclass(frozen=True)
class Comparison:
    """Two documents as YAML, and what tells them apart for KServe."""

    before: str
    after: str
    changes: tuple[FieldChange, ...]

    @property
    def word(self) -> str:
        """Whether anything will come of it, in one sentence."""
        if not self.before:
            return "there is none yet: applying creates it"
        if self.changes:
            new = any(change.new_revision for change in self.changes)
            return "makes a new revision" if new else "makes no new revision"
        return "no change" if self.before == self.after else "only formatting: KServe reads the same"

    def lines(self, *, whole: bool = False) -> tuple[str, ...]:
        """The diff as `diff -u` writes it, without its two lines of file names."""
        before, after = self.before.splitlines(), self.after.splitlines()
        around = max(len(before), len(after)) if whole else _AROUND
        made = list(difflib.unified_diff(before, after, n=around, lineterm=""))[2:]
        if not made and whole:
            return tuple(f" {row}" for row in before)
        return tuple("⋯" if row.startswith("@@") else row for row in made if not (whole and row.startswith("@@")))

    def pairs(self, *, whole: bool = False) -> tuple[tuple[str, str], ...]:
        """The same lines in two columns: what is beside what will be, with their signs."""
        made: list[tuple[str, str]] = []
        gone: list[str] = []  # lines of the left column that have no neighbour yet
        for row in self.lines(whole=whole):
            if row.startswith("-"):
                gone.append(row)
            elif row.startswith("+"):
                made.append((gone.pop(0) if gone else "", row))
            else:
                made += [*((left, "") for left in gone), (row, row)]
                gone = []
        return (*made, *((left, "") for left in gone))


def compare(live: Mapping[str, Any], document: Mapping[str, Any] | str) -> Comparison:
    """What applying a document to a live object changes (as `kubectl apply` does it)."""
    wanted: Mapping[str, Any] = yaml.safe_load(document) if isinstance(document, str) else document
    if not isinstance(wanted, Mapping):
        raise ValueError("the document is not a mapping: expected the YAML of an InferenceService")
    if not live:
        return Comparison("", manifest.to_yaml(wanted), manifest.diff({}, wanted))
    after = manifest.to_new_schema(manifest.merged(live, manifest.apply_patch(manifest.to_new_schema(wanted), live)))
    return Comparison(_readable(live), _readable(after), manifest.diff(live, after))


def compare_patch(live: Mapping[str, Any], patch: Mapping[str, Any]) -> Comparison:
    """What a merge patch changes of a live object."""
    after = manifest.merged(live, patch)
    return Comparison(_readable(live), _readable(after), manifest.diff(live, after))


def text(snapshot: Snapshot, document: Mapping[str, Any] | str, *, whole: bool = False) -> str:
    """In one sentence, then line by line, then what each change causes."""
    found = compare(snapshot.document, document)
    table = render.text(render.change_table(found.changes)) if found.changes and found.before else ""
    shown = "\n".join(found.lines(whole=whole))
    return with_state(snapshot, "\n\n".join(filter(None, (f"{snapshot.name}: {found.word}", shown, table))))


def html(
    snapshot: Snapshot, document: Mapping[str, Any] | str, *, whole: bool = False, beside: bool = False
) -> str:
    """The same as HTML: a sign before each line, colour beside it."""
    found = compare(snapshot.document, document)
    shown = lines_html(found, whole=whole, beside=beside)
    rows = "".join(f"<li><code>{escape(c.path)}</code>: {escape(c.consequence)}</li>" for c in found.changes)
    causes = f"<ul style='margin:0;line-height:1.6;overflow-wrap:anywhere'>{rows}</ul>" if found.before else ""
    how = _folded(command(_apply_line(snapshot, document))) if found.changes else ""
    said = note("→" if found.changes else "·", f"{snapshot.name}: {found.word}")
    return framed(snapshot, said + shown + causes + how)


def _apply_line(snapshot: Snapshot, document: Mapping[str, Any] | str) -> str:
    """The same as a command, to be pasted into a shell."""
    body = document if isinstance(document, str) else manifest.to_yaml(document)
    return f"kubectl apply -n {snapshot.namespace} -f - <<'EOF'\n{body.strip()}\nEOF"


def _folded(body: str) -> str:
    return f"<details><summary style='cursor:pointer'>as a kubectl command</summary>{body}</details>"


def _columns(pairs: tuple[tuple[str, str], ...]) -> str:
    """What is on the left, what will be on the right."""
    grid = "display:grid;grid-template-columns:repeat(2,minmax(0,1fr));column-gap:16px"
    style = f"font-weight:600;border-bottom:1px solid {LINE}"
    heads = "".join(f"<div style='{style}'>{word}</div>" for word in ("is", "will be"))
    cells = "".join(_line(row) for pair in pairs for row in pair)
    return f"<div style='{grid};white-space:pre-wrap'>{heads}{cells}</div>"


def lines_html(found: Comparison, *, whole: bool = False, beside: bool = False) -> str:
    """The lines alone, in a box; empty where none differs."""
    lines = _columns(found.pairs(whole=whole)) if beside else "".join(map(_line, found.lines(whole=whole)))
    box = f"border:1px solid {LINE};padding:6px 8px;margin:4px 0;line-height:1.4;overflow-x:auto"
    return f"<pre style='{box}' aria-label='changed lines'>{lines}</pre>" if lines else ""


def _line(row: str) -> str:
    colours = {"+": GOOD, "-": BAD}
    style = f"color:{colours[row[0]]};font-weight:600" if row[:1] in colours else "opacity:.75"
    return f"<div style='{style}'>{escape(row) or ' '}</div>"


def _readable(document: Mapping[str, Any]) -> str:
    """YAML without what kubectl and the webhook keep for themselves."""
    meta = dict(document.get("metadata") or {})
    kept = {k: v for k, v in (meta.get("annotations") or {}).items() if k not in (LAST_APPLIED, "modelFormat")}
    meta = {key: value for key, value in {**meta, "annotations": kept}.items() if value}
    return manifest.to_yaml({**document, "metadata": meta})
