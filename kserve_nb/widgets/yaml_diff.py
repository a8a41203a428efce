"""What applying a document would change, line by line, and what each change causes."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import traitlets as T  # noqa: N812 - short, as traits fill these lines
import yaml

from kserve_nb.access.api_client import RefusedError
from kserve_nb.observe.snapshot import Snapshot
from kserve_nb.rollout.rollout import Rollout
from kserve_nb.values import manifest
from kserve_nb.values.labels import LAST_APPLIED
from kserve_nb.values.manifest import FieldChange
from kserve_nb.values.text import render
from kserve_nb.widgets.drawing.frame import card, with_state
from kserve_nb.widgets.drawing.markup import button, checkbox, command, folded, note, safe, toolbar
from kserve_nb.widgets.sheet.rollout_widget import RolloutWidget
from kserve_nb.widgets.sheet.sheet import Handler

_CONTEXT_LINES = 2  # unchanged lines shown around a change, until `whole` is set


class YamlDiff(RolloutWidget):
    """The difference between the InferenceService in the cluster and a document to apply, live until `close()`.

    `beside` shows both in two columns, `whole` shows the unchanged lines too. `dry_run()`, or its button, lets the
    cluster validate the document without writing it.

    Args:
        document: the document or its YAML; also the trait `document`, which may be set again.

    >>> diff = YamlDiff(rollout, lab.manifest(MODEL_2, percent=20))
    >>> diff.dry_run()
    '✔ the cluster accepts the document; nothing was written'
    >>> diff.close()
    """

    document = T.Union([T.Dict(), T.Unicode()])
    whole = T.Bool(False)
    beside = T.Bool(False)
    tried = T.Unicode()  # the result of the last dry run

    def __init__(self, rollout: Rollout, document: Mapping[str, Any] | str):
        self._rollout = rollout
        super().__init__(rollout, document=document if isinstance(document, str) else dict(document))

    @property
    def text(self) -> str:
        """The difference as text."""
        return "\n".join(filter(None, (text(self.snapshot, self.document, whole=self.whole), self.tried)))

    def dry_run(self) -> str:
        """Let the cluster validate the document without writing it. Returns the result, which `tried` keeps too."""
        try:
            self._rollout.apply(self.document, dry_run=True)
            self.tried = "✔ the cluster accepts the document; nothing was written"
        except RefusedError as refused:
            self.tried = f"✖ the cluster rejects the document: {refused}"
        except Exception as error:  # the button has no cell to raise into
            self.tried = f"✖ Cannot try it: {type(error).__name__}: {error}"
        return self.tried

    def _picture(self) -> str:
        result = note(self.tried[0], self.tried[2:], urgent=self.tried[0] == "✖") if self.tried else ""
        return html(self.snapshot, self.document, whole=self.whole, beside=self.beside) + result

    def _draw(self) -> str:
        picture = self._picture()
        shown = compare(self.snapshot.document, self.document)
        boxes = (
            checkbox("whole", "show unchanged lines", checked=self.whole),
            checkbox("beside", "side by side", checked=self.beside),
        )
        title = "The cluster validates the document and writes nothing."
        try_button = button("try", "Dry run", title=title)
        return picture + toolbar(*(boxes if shown.before != shown.after else ()), try_button)

    def _handlers(self) -> Mapping[str, Handler]:
        return {
            "whole": lambda value: self.set_trait("whole", value == "true"),
            "beside": lambda value: self.set_trait("beside", value == "true"),
            "try": lambda _value: self.dry_run(),
        }

    @T.observe("document")
    def _on_document(self, _change: Any) -> None:
        self.tried = ""

    @T.observe("document", "whole", "beside", "tried")
    def _on_view_change(self, _change: Any) -> None:
        self.redraw()


@dataclass(frozen=True)
class Comparison:
    """Two documents as YAML, and the differences that matter to KServe."""

    before: str
    after: str
    changes: tuple[FieldChange, ...]

    @property
    def word(self) -> str:
        """The effect of applying the second document, in one phrase."""
        if not self.before:
            return "does not exist yet: applying the document creates it"
        if self.changes:
            new = any(change.new_revision for change in self.changes)
            return "makes a new revision" if new else "makes no new revision"
        return "no change" if self.before == self.after else "only formatting: the content is the same"

    def lines(self, *, whole: bool = False) -> tuple[str, ...]:
        """The difference in the form of `diff -u`, without the two lines of file names."""
        before, after = self.before.splitlines(), self.after.splitlines()
        context = max(len(before), len(after)) if whole else _CONTEXT_LINES
        rows = list(difflib.unified_diff(before, after, n=context, lineterm=""))[2:]
        if not rows and whole:
            return tuple(f" {row}" for row in before)
        return tuple("⋯" if row.startswith("@@") else row for row in rows if not (whole and row.startswith("@@")))

    def pairs(self, *, whole: bool = False) -> tuple[tuple[str, str], ...]:
        """The same lines in two columns, now and after applying, with their signs."""
        pairs: list[tuple[str, str]] = []
        removed: list[str] = []  # lines of the left column without a line on the right so far
        for row in self.lines(whole=whole):
            if row.startswith("-"):
                removed.append(row)
            elif row.startswith("+"):
                pairs.append((removed.pop(0) if removed else "", row))
            else:
                pairs += [*((left, "") for left in removed), (row, row)]
                removed = []
        return (*pairs, *((left, "") for left in removed))


def compare(live: Mapping[str, Any], document: Mapping[str, Any] | str) -> Comparison:
    """What applying a document to an object changes, merged as `kubectl apply` does."""
    wanted: Mapping[str, Any] = yaml.safe_load(document) if isinstance(document, str) else document
    if not isinstance(wanted, Mapping):
        raise ValueError("The document is not a mapping. Pass the YAML of an InferenceService.")
    if not live:
        return Comparison("", manifest.to_yaml(wanted), manifest.diff({}, wanted))
    after = manifest.to_new_schema(manifest.merged(live, manifest.apply_patch(manifest.to_new_schema(wanted), live)))
    return Comparison(_readable(live), _readable(after), manifest.diff(live, after))


def compare_patch(live: Mapping[str, Any], patch: Mapping[str, Any]) -> Comparison:
    """What a merge patch changes in an object."""
    after = manifest.merged(live, patch)
    return Comparison(_readable(live), _readable(after), manifest.diff(live, after))


def text(snapshot: Snapshot, document: Mapping[str, Any] | str, *, whole: bool = False) -> str:
    """The difference: one sentence, the changed lines, and the consequence of each change."""
    found = compare(snapshot.document, document)
    table = render.text(render.change_table(found.changes)) if found.changes and found.before else ""
    shown = "\n".join(found.lines(whole=whole))
    return with_state(snapshot, "\n\n".join(filter(None, (f"{snapshot.name}: {found.word}", shown, table))))


def html(snapshot: Snapshot, document: Mapping[str, Any] | str, *, whole: bool = False, beside: bool = False) -> str:
    """The difference as HTML; each line has its sign as well as its colour."""
    found = compare(snapshot.document, document)
    shown = lines_html(found, whole=whole, beside=beside)
    rows = "".join(f"<li><code>{safe(c.path)}</code>: {safe(c.consequence)}</li>" for c in found.changes)
    consequences = f"<ul>{rows}</ul>" if found.before and rows else ""
    how = (
        folded("as a kubectl command", command(_apply_command(snapshot, document)), "command") if found.changes else ""
    )
    summary = note("→" if found.changes else "·", f"{snapshot.name}: {found.word}")
    return card(snapshot, f"Changes to {snapshot.name}", summary + shown + consequences + how)


def lines_html(found: Comparison, *, whole: bool = False, beside: bool = False) -> str:
    """The changed lines in a box; empty if no line differs."""
    lines = _columns(found.pairs(whole=whole)) if beside else "".join(map(_line, found.lines(whole=whole)))
    return f"<pre class='knb-box' tabindex='0' aria-label='changed lines' role='group'>{lines}</pre>" if lines else ""


def _apply_command(snapshot: Snapshot, document: Mapping[str, Any] | str) -> str:
    """The same change as a command for a shell."""
    body = document if isinstance(document, str) else manifest.to_yaml(document)
    return f"kubectl apply -n {snapshot.namespace} -f - <<'EOF'\n{body.strip()}\nEOF"


def _columns(pairs: tuple[tuple[str, str], ...]) -> str:
    """The lines in two columns: the object now, and after applying."""
    heads = "".join(f"<div class='knb-strong'>{words}</div>" for words in ("now", "after applying"))
    cells = "".join(_line(row) for pair in pairs for row in pair)
    return f"<div class='knb-columns'>{heads}{cells}</div>"


def _line(row: str) -> str:
    look = {"+": "knb-added", "-": "knb-removed"}.get(row[:1], "knb-soft")
    return f"<div class='{look}'>{safe(row) or ' '}</div>"


def _readable(document: Mapping[str, Any]) -> str:
    """YAML without the annotations that kubectl and the webhook add for their own use."""
    meta = dict(document.get("metadata") or {})
    kept = {k: v for k, v in (meta.get("annotations") or {}).items() if k not in (LAST_APPLIED, "modelFormat")}
    meta = {key: value for key, value in {**meta, "annotations": kept}.items() if value}
    return manifest.to_yaml({**document, "metadata": meta})
