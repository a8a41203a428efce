"""The doctor's report, a button that examines again, and a box for a command that does not work."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import traitlets as T  # noqa: N812 - short, as traits fill these lines

from kserve_nb.doctor import Report
from kserve_nb.widgets.drawing.markup import button, note, safe, toolbar
from kserve_nb.widgets.sheet.sheet import Handler, Sheet

_EMPTY = "not examined yet"


class DoctorPanel(Sheet):
    """The doctor's report: `DoctorPanel(lab.doctor)`. Examines when it is created, and each time the button is pressed.

    `curl` is a command to explain, pasted into the box; in code: `panel.refresh(curl="curl -v ...")`.
    """

    report = T.Instance(Report, allow_none=True)
    curl = T.Unicode()
    problem = T.Unicode()  # why the last examination failed

    def __init__(self, examine: Callable[..., Report]):
        self._examine = examine
        super().__init__()
        self.refresh()

    def refresh(self, curl: str | None = None) -> Report:
        """Examine again and show the report, as the button does."""
        self.curl = self.curl if curl is None else curl
        self.report = self._examine(curl=self.curl) if self.curl.strip() else self._examine()
        return self.report

    @property
    def text(self) -> str:
        """The report as text."""
        return self.report.text if self.report else _EMPTY

    @property
    def json(self) -> dict[str, Any]:
        """The report as dicts and lists; empty before the first one."""
        found: dict[str, Any] = json.loads(self.report.to_json()) if self.report else {}
        return found

    def close(self) -> None:
        """Do nothing: the panel runs nothing in the background. The last report stays visible."""

    def _picture(self) -> str:
        failed = note("✖", self.problem, urgent=True) if self.problem else ""
        return f"<div data-key='report'>{failed}{self.report.html if self.report else _EMPTY}</div>"

    def _draw(self) -> str:
        box = (
            "<label>A curl command that does not work (optional)"
            f"<textarea rows='3' data-change='curl' data-selected='{safe(self.curl)}'>{safe(self.curl)}</textarea>"
            "</label>"
        )
        return box + toolbar(button("examine", "Examine again", title="Reads, and changes nothing.")) + self._picture()

    def _handlers(self) -> Mapping[str, Handler]:
        return {"curl": lambda value: self.set_trait("curl", value), "examine": self._on_examine}

    def _on_examine(self, _value: str) -> None:
        self.problem = ""
        try:
            self.refresh()
        except Exception as error:
            self.problem = f"Cannot examine the cluster: {error}"

    @T.observe("report", "curl", "problem")
    def _on_change(self, _change: Any) -> None:
        self.redraw()
