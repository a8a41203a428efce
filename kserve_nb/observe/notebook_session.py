"""Callbacks that a kernel runs around each cell: keep the evidence, and report changes that others have made."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from kserve_nb.access.api_client import INFERENCE_SERVICE, RefusedError
from kserve_nb.observe import kept_evidence
from kserve_nb.rollout.rollout import Rollout
from kserve_nb.values.rollout_status import RolloutStatus

_FOLDER = ".evidence"  # in the notebook's folder


class NotebookSession:
    """Callbacks around the cells of one notebook, about one InferenceService.

    Args:
        shell: the notebook's IPython shell.
        file: where the evidence is kept; None keeps none.
    """

    def __init__(self, shell: Any, rollout: Rollout, file: Path | None):
        self._shell, self._rollout, self._file = shell, rollout, file
        self._known = self._status(None)
        self._saved: dict[str, Any] = {}

    def start(self) -> None:
        """Register the callbacks, in place of those of an earlier session of this kernel."""
        former = getattr(self._shell, "_kserve_nb_session", None)
        if former is not None:
            former.stop()
        self._shell._kserve_nb_session = self
        self._shell.events.register("pre_run_cell", self._before_cell)
        self._shell.events.register("post_run_cell", self._after_cell)

    def stop(self) -> None:
        """Unregister the callbacks."""
        self._shell.events.unregister("pre_run_cell", self._before_cell)
        self._shell.events.unregister("post_run_cell", self._after_cell)

    def restore(self) -> tuple[str, ...]:
        """Define the notebook's evidence of an earlier kernel again, and return the names."""
        if self._file is None or self._known is None:
            return ()
        found = kept_evidence.load(self._file, self._known.uid)
        missing = {name: value for name, value in found.items() if name not in self._shell.user_ns}
        self._shell.user_ns.update(missing)
        return tuple(missing)

    def _before_cell(self, _info: Any) -> None:
        now, before = self._status(self._known), self._known
        self._known = now
        if before is None or (now is not None and now.edition in {before.edition, *self._rollout.client.own_writes}):
            return
        from IPython.display import display

        display({"text/plain": changed(before, now)}, raw=True)  # type: ignore[no-untyped-call]

    def _after_cell(self, _result: Any) -> None:
        self._known = self._status(self._known)
        found = kept_evidence.collected(self._shell.user_ns)
        if self._file is not None and self._known is not None and found != self._saved:
            self._saved = found
            kept_evidence.save(self._file, self._known.uid, found)

    def _status(self, otherwise: RolloutStatus | None) -> RolloutStatus | None:
        """The present status, None without an InferenceService; `otherwise` if the cluster does not respond."""
        try:
            found = self._rollout.client.find(INFERENCE_SERVICE, self._rollout.name)
        except RefusedError:
            return otherwise
        return RolloutStatus.of(found) if found else None


def changed(before: RolloutStatus, now: RolloutStatus | None) -> str:
    """What somebody else has changed between two cells, in one line."""
    if now is None:
        return f"Note: {before.name} was deleted since your last cell, in another notebook or terminal."
    who = f" ({now.changed_by})" if now.changed_by else ""
    if now.uid != before.uid:
        what = "deleted and created again"
    else:
        percents = ("no percent" if p is None else f"{p} %" for p in (before.requested_percent, now.requested_percent))
        what = "changed: " + " → ".join(percents)
    return f"Note: since your last cell, {now.name} was {what}, in another notebook or terminal{who}."


def evidence_file() -> Path | None:
    """Where this notebook's evidence is kept; None if the kernel was not started by the course's Jupyter server."""
    notebook = os.environ.get("JPY_SESSION_NAME", "")
    if os.environ.get("KSERVE_NB_COURSE") != "1" or not notebook.endswith(".ipynb"):
        return None
    return Path.cwd() / _FOLDER / f"{Path(notebook).stem}.json"
