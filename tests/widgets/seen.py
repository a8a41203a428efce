"""Wait until a widget shows an expected state."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

DEADLINE_S = 60


def until(widget: Any, condition: Callable[[Any], bool], trait: str = "snapshot") -> None:
    """Wait until a trait of a widget has the expected value. Fails with the widget's text."""
    arrived = threading.Event()

    def look(_change: Any = None) -> None:
        if condition(getattr(widget, trait)):
            arrived.set()

    widget.observe(look, trait)
    look()
    try:
        assert arrived.wait(DEADLINE_S), widget.text
    finally:
        widget.unobserve(look, trait)
