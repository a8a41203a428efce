"""What the doctor says, with a button to ask again, and a place to paste a command that does not work."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import ipywidgets as W  # noqa: N812 - short, as traits and widgets fill these lines
import traitlets as T  # noqa: N812 - as above

from kserve_nb.doctor import Report
from kserve_nb.widgets.drawing.draw import Picture
from kserve_nb.widgets.drawing.markup import note, with_faces

_EMPTY = "not examined yet"


class DoctorPanel(W.VBox):  # type: ignore[misc]  # ipywidgets ships no types
    """The doctor's report: `DoctorPanel(lab.doctor)`. Examines when it is made, and at each click.

    `curl` is a command to explain, as it is pasted below the report; in code: `panel.refresh(curl="curl -v ...")`.
    """

    report = T.Instance(Report, allow_none=True)
    curl = T.Unicode()
    said = T.Unicode()  # that it examines, or why it could not

    def __init__(self, examine: Callable[..., Report]):
        self._examine = examine
        self._picture = Picture(lambda: self._said_html() + self.html)
        self.button = W.Button(description="Examine again", tooltip="reads only; changes nothing")
        self._pasted = W.Textarea(
            description="command", placeholder="paste a curl command that does not do what it should",
            layout=W.Layout(width="auto", flex="1 1 320px", height="3.4em"),
        )  # fmt: skip
        self.button.on_click(self._on_click)
        row = W.HBox([self._pasted, self.button], layout=W.Layout(flex_flow="row wrap"))
        super().__init__([row, self._picture.view])
        T.link((self, "curl"), (self._pasted, "value"))
        self.refresh()

    def refresh(self, curl: str | None = None) -> Report:
        """Examine again, and show what was found: the twin of the button."""
        self.curl = self.curl if curl is None else curl
        self.report = self._examine(curl=self.curl) if self.curl.strip() else self._examine()
        return self.report

    @property
    def text(self) -> str:
        """The report as text."""
        return self.report.text if self.report else _EMPTY

    @property
    def html(self) -> str:
        """The report as HTML."""
        return self.report.html if self.report else f"<i>{_EMPTY}</i>"

    @property
    def json(self) -> dict[str, Any]:
        """The report as JSON's own types; empty before the first one."""
        found: dict[str, Any] = json.loads(self.report.to_json()) if self.report else {}
        return found

    def _on_click(self, _button: W.Button) -> None:
        self.button.disabled, self.said = True, "… examining"
        try:
            self.refresh()
            self.said = ""
        except Exception as error:  # a callback has no cell to raise into: say it in the view
            self.said = f"✖ not examined: {error}"
        finally:
            self.button.disabled = False

    def _said_html(self) -> str:
        return note(self.said[0], self.said[2:], urgent=self.said[0] == "✖") if self.said else ""

    @T.observe("report", "said")
    def _show(self, _change: Any = None) -> None:
        self._picture.draw()

    def _repr_mimebundle_(self, **kwargs: Any) -> dict[str, Any]:
        return with_faces(super()._repr_mimebundle_(**kwargs), self.text, self.html)
