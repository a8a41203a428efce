"""Text and HTML beside a widget's view, so that every front end shows something."""

from __future__ import annotations

from typing import Any


def with_faces(bundle: Any, text: str, html: str) -> dict[str, Any]:
    """A widget's mime bundle with its words as text and as HTML."""
    return {**(bundle or {}), "text/plain": text, "text/html": html}
