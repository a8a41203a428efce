"""The colour and the shape of each revision, the same in every widget: 00001 is a blue disc, 00002 an orange diamond.

The colours of both themes are in sheet.css; the values here are used if that style sheet is missing.
"""

from __future__ import annotations

from kserve_nb.values.revisions import short

_FALLBACKS = ("#2b6cb0", "#c05621", "#97266d", "#00706a", "#5a4fcf", "#5f6b7a")
_SHAPES = "●◆▲■★⬣"
INK = "currentColor"
LINE = "var(--knb-line, #718096)"
FAINT = "var(--knb-faint, #d5dbe3)"
PAPER = "var(--knb-paper, #fff)"
ACCENT = "var(--knb-accent, #1a5fb4)"
BAD = "var(--knb-bad, #c53030)"


def revision_colour(revision: str) -> str:
    """The colour of a revision, as a CSS value.

    >>> revision_colour("sklearn-iris-predictor-00002")
    'var(--knb-r2, #c05621)'
    """
    index = _index(revision)
    return f"var(--knb-r{index + 1}, {_FALLBACKS[index]})"


def revision_shape(revision: str) -> str:
    """The shape of a revision, as one character: it distinguishes revisions without colour.

    >>> revision_shape("sklearn-iris-predictor-00002")
    '◆'
    """
    return _SHAPES[_index(revision)]


def revision_mark(revision: str) -> str:
    """The shape of a revision in its colour, as HTML; decoration, so screen readers skip it."""
    return f"<span aria-hidden='true' style='color:{revision_colour(revision)}'>{revision_shape(revision)}</span>"


def _index(revision: str) -> int:
    number = short(revision)
    return (int(number) - 1) % len(_SHAPES) if number.isdigit() else len(_SHAPES) - 1
