"""Errors that a notebook shows as their message, without the stack of the package's own code."""

from __future__ import annotations

import textwrap
from typing import Any

_WIDTH = 100
_MOST_SHOWN = 60


class ReadableError(Exception):
    """Base of the errors whose message tells the learner what failed, why, and what to do next.

    >>> print("\\n".join(ReadableError("sklearn-iris: it has only one revision.")._render_traceback_()))
    ReadableError: sklearn-iris: it has only one revision.
    """

    def _render_traceback_(self) -> list[str]:
        """What IPython shows instead of a traceback."""
        return wrapped(f"{type(self).__name__}: {self}")


def wrapped(text: str) -> list[str]:
    """The text's lines, wrapped between words. Commands and addresses stay in one piece."""
    return [
        line
        for row in text.splitlines()
        for line in textwrap.wrap(row, _WIDTH, break_long_words=False, break_on_hyphens=False) or [""]
    ]


def short_repr(value: Any) -> str:
    """The repr of a value for a message, shortened if it is long.

    >>> short_repr([0] * 1000)
    '[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,…'
    """
    text = repr(value)
    return text if len(text) <= _MOST_SHOWN else f"{text[:_MOST_SHOWN]}…"
