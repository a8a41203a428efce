"""One line in a notebook that shows how far `lab.ensure()` has come."""

from __future__ import annotations

import time
from typing import Any


class StepProgress:
    """A line that is replaced in place. In a script it shows nothing.

    Args:
        goal: the step to reach.
        notebook: whether there is a notebook to show the line in.
    """

    def __init__(self, goal: str, *, notebook: bool):
        self._goal, self._notebook = goal, notebook
        self._began = time.monotonic()
        self._handle: Any = None

    def show(self, doing: str) -> None:
        """Show what is being done now."""
        self._write(f"… {self._goal}: {doing}")

    def end(self) -> None:
        """Show that the step is reached, if anything had to be done for it."""
        if self._handle is not None:
            self._write(f"✔ {self._goal}: reached after {time.monotonic() - self._began:.0f} s")

    def _write(self, line: str) -> None:
        if not self._notebook:
            return
        from IPython.display import display

        content = {"text/plain": line}
        if self._handle is None:
            self._handle = display(content, raw=True, display_id=True)  # type: ignore[no-untyped-call]
        else:
            self._handle.update(content, raw=True)
