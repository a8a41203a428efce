"""Small pieces of SVG: lines, boxes, text, and the picture around them."""

from __future__ import annotations

from html import escape

from kserve_nb.widgets.drawing.palette import INK, LINE

WIDTH, MIN_WIDTH = 760, 280  # px of a picture: as wide as its cell, within these limits


def picture(height: float, label: str, parts: list[str], width: float = WIDTH) -> str:
    """A picture, with the label that a screen reader reads for it."""
    return (
        f"<svg role='img' aria-label='{escape(label, quote=True)}' viewBox='0 0 {width:g} {height:g}' "
        f"font-size='12' fill='{INK}'>{''.join(parts)}</svg>"
    )


def text_at(x: float, y: float, words: str, *, anchor: str = "start", more: str = "") -> str:
    """Text in SVG; `y` is its base line."""
    return f"<text x='{x:.1f}' y='{y:.1f}' text-anchor='{anchor}' {more}>{escape(words)}</text>"


def line(x1: float, y1: float, x2: float, y2: float, colour: str = LINE, more: str = "") -> str:
    """A straight line in SVG."""
    return f"<line x1='{x1:.1f}' y1='{y1:.1f}' x2='{x2:.1f}' y2='{y2:.1f}' stroke='{colour}' {more}/>"


def rect(x: float, y: float, width: float, height: float, fill: str, *, title: str = "", more: str = "") -> str:
    """A rectangle in SVG, with a tooltip."""
    tooltip = f"<title>{escape(title)}</title>" if title else ""
    return (
        f"<rect x='{x:.1f}' y='{y:.1f}' width='{max(width, 0):.1f}' height='{max(height, 0):.1f}' fill='{fill}' {more}>"
        f"{tooltip}</rect>"
    )


def grouped(title: str, *parts: str) -> str:
    """SVG parts that share one tooltip."""
    return f"<g><title>{escape(title)}</title>{''.join(parts)}</g>"
