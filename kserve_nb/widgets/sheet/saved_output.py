"""Text and HTML beside a widget, kept up to date in notebooks that are executed without a browser.

A front end without widgets, GitHub, and a report show the text or the HTML of a widget's output. They are sent when
the widget is displayed, and again at the end of each cell in which they changed, so that an executed notebook
contains the last state.
"""

from __future__ import annotations

from typing import Any
from uuid import uuid4
from weakref import WeakSet

import ipywidgets
from IPython import get_ipython  # type: ignore[attr-defined]  # IPython does not list it in __all__
from IPython.display import display, update_display

_IPYWIDGETS = 8  # the first version that can show the widgets; with older ones, text and HTML are shown


class SavedOutput:
    """A mixin for a widget with `text` and `html`: adds both to its output, and updates them after each cell."""

    _display_id = ""
    _saved: tuple[str, str] = ("", "")

    @property
    def text(self) -> str:
        """The widget's state as text."""
        raise NotImplementedError

    @property
    def html(self) -> str:
        """The widget's state as HTML, without controls."""
        raise NotImplementedError

    @property
    def is_open_in_browser(self) -> bool:
        """Whether a browser shows the widget: it draws the changes itself, and an update would take its focus."""
        raise NotImplementedError

    def _repr_mimebundle_(self, **kwargs: Any) -> dict[str, Any]:
        saved = {"text/plain": self.text, "text/html": self.html}
        if not _are_widgets_supported():
            return saved
        found: Any = super()._repr_mimebundle_(**kwargs)  # type: ignore[misc]  # the widget's, which comes next
        data = found[0] if isinstance(found, tuple) else found
        return {**(data or {}), **saved}

    def _ipython_display_(self, **kwargs: Any) -> None:
        self._display_id = self._display_id or uuid4().hex
        bundle = self._repr_mimebundle_(**kwargs)
        self._saved = self.text, self.html
        display(bundle, raw=True, display_id=self._display_id)  # type: ignore[no-untyped-call]  # not typed
        _track(self)

    def _save_again(self) -> None:
        """Send text and HTML again if they have changed since they were last sent."""
        if self.is_open_in_browser or self._saved == (self.text, self.html):
            return
        bundle = self._repr_mimebundle_()
        self._saved = self.text, self.html
        update_display(bundle, raw=True, display_id=self._display_id)  # type: ignore[no-untyped-call]  # not typed


def _are_widgets_supported() -> bool:
    """Whether this kernel has loaded an ipywidgets that the widgets need; Colab may have loaded version 7 before."""
    major = str(ipywidgets.__version__).partition(".")[0]
    return not major.isdigit() or int(major) >= _IPYWIDGETS


_DISPLAYED: WeakSet[SavedOutput] = WeakSet()


def _track(widget: SavedOutput) -> None:
    shell = get_ipython()  # type: ignore[no-untyped-call]  # not typed
    if shell is None:
        return
    if _save_all not in shell.events.callbacks["post_run_cell"]:
        shell.events.register("post_run_cell", _save_all)
    _DISPLAYED.add(widget)


def _save_all(_result: Any) -> None:
    for widget in tuple(_DISPLAYED):
        widget._save_again()
