"""What the doctor says, with a button to ask again."""

from __future__ import annotations

from collections.abc import Callable
from html import escape
from typing import Any

import ipywidgets as W  # noqa: N812 - short, as traits and widgets fill these lines
import traitlets as T  # noqa: N812 - as above

from kserve_nb.doctor import Report
from kserve_nb.widgets.faces import with_faces

_EMPTY = "not examined yet"


class DoctorPanel(W.VBox):  # type: ignore[misc]  # ipywidgets ships no types
    """The doctor's report: `DoctorPanel(lab.doctor)`. Examines when it is made, and at each click."""

    report = T.Instance(Report, allow_none=True)

    def __init__(self, examine: Callable[[], Report]):
        self._examine = examine
        self._view = W.HTML()
        self.button = W.Button(description="Examine again", tooltip="reads only; changes nothing")
        self.button.on_click(self._on_click)
        super().__init__([self.button, self._view])
        self.refresh()

    def refresh(self) -> Report:
        """Examine again, and show what was found: the twin of the button."""
        self.report = self._examine()
        return self.report

    @property
    def text(self) -> str:
        """The report as text."""
        return self.report.text if self.report else _EMPTY

    @property
    def html(self) -> str:
        """The report as HTML."""
        return self.report.html if self.report else f"<i>{_EMPTY}</i>"

    def _on_click(self, _button: W.Button) -> None:
        self.button.disabled = True
        try:
            self.refresh()
        except Exception as error:  # a callback has no cell to raise into: say it in the view
            self._view.value = f"<b>not examined:</b> {escape(str(error))}"
        finally:
            self.button.disabled = False

    @T.observe("report")
    def _show(self, _change: Any = None) -> None:
        self._view.value = self.html

    def _repr_mimebundle_(self, **kwargs: Any) -> dict[str, Any]:
        return with_faces(super()._repr_mimebundle_(**kwargs), self.text, self.html)
