"""One anywidget that shows HTML drawn in Python, and calls a handler for each event that the browser reports."""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import anywidget
import traitlets as T  # noqa: N812 - short, as traits fill these lines

from kserve_nb.widgets.drawing.markup import note
from kserve_nb.widgets.drawing.svg import MIN_WIDTH, WIDTH
from kserve_nb.widgets.sheet.saved_output import SavedOutput

Handler = Callable[[str], object]  # takes the event's value: a percent, a chosen option, or ""
_log = logging.getLogger(__name__)
_STYLE = Path(__file__).with_name("sheet.css")


class Sheet(SavedOutput, anywidget.AnyWidget):  # type: ignore[misc]  # anywidget's base class ships no types
    """A widget whose picture is HTML drawn in Python; the browser patches it in place and reports events.

    Subclasses implement `text` and `_picture`. Those with controls also implement `_draw`, and `_handlers` with a
    handler for each name in the `data-click`, `data-input` and `data-change` attributes of the controls. A redraw that
    gives the same HTML sends nothing.
    """

    _esm = Path(__file__).with_name("sheet.js")
    _css = _STYLE
    content = T.Unicode().tag(sync=True)  # the HTML shown
    handled = T.Unicode().tag(sync=True)  # the id of the last event handled: until then the user's input has priority
    focus = T.Unicode().tag(sync=True)  # "KEY COUNT": move the focus there, in the view the user acted in

    has_view = False
    _fault = ""  # what the last handler raised: a browser event has no cell to raise into
    _width = WIDTH  # the view's width, as the browser last reported it
    _focus_count = 0

    def __init__(self, **traits: Any) -> None:
        # The feed, background work and the kernel's main thread all draw. One lock per widget: with a second one of a
        # subclass, two threads could take them in opposite order and wait for each other.
        self._lock = threading.RLock()
        super().__init__(**traits)
        self.on_msg(self._on_message)

    @property
    def html(self) -> str:
        """The picture as HTML, without controls."""
        return static_html(self._picture())

    @property
    def is_open_in_browser(self) -> bool:
        """Whether a browser shows the widget, or has shown it."""
        return self.has_view

    def _picture(self) -> str:
        """The picture of the widget, as HTML without controls."""
        raise NotImplementedError

    def _draw(self) -> str:
        """The HTML for a browser: the picture and the controls."""
        return self._picture()

    def _handlers(self) -> Mapping[str, Handler]:
        """The handler of each event, by the event's name."""
        return {}

    def redraw(self) -> None:
        """Draw, and send the result if it differs from what is shown. An exception is shown instead of the picture."""
        with self._lock:
            try:
                fault = note("✖", self._fault, urgent=True) if self._fault else ""
                self.content = self._draw() + fault
            except Exception as error:  # called on the feed's thread, where nobody could catch it
                _log.exception("%s cannot be drawn", type(self).__name__)
                self.content = note("✖", f"Cannot draw this: {type(error).__name__}: {error}", urgent=True)

    def move_focus(self, key: str) -> None:
        """Move the keyboard focus to the element with this `data-key`."""
        self._focus_count += 1
        self.focus = f"{key} {self._focus_count}"

    def _on_message(self, _widget: Any, message: Any, _buffers: Any) -> None:
        self.has_view = True
        if message["type"] == "resize":
            self._resize(int(message["value"]))
            return
        if message["type"] == "probe":  # the browser has lost its connection, and checks that the widget exists
            self.handled = message["id"]
            return
        self._fault = ""
        try:
            self._handlers()[message["name"]](message["value"])
        except Exception as error:
            self._fault = str(error)
            self.redraw()
        finally:
            self.handled = message["id"]

    def _resize(self, width: int) -> None:
        width = min(max(width, MIN_WIDTH), WIDTH)
        if width != self._width:
            self._width = width
            self.redraw()


def static_html(picture: str) -> str:
    """A picture as HTML that needs no widget, for GitHub, reports and exported pages."""
    style = re.sub(r"/\*.*?\*/|\n\s*", "", _STYLE.read_text(encoding="utf-8"), flags=re.DOTALL)
    return f"<style>{style}</style><div class='knb knb-static'>{picture}</div>"
