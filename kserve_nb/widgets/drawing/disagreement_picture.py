"""Where in the input space two revisions give different answers, as a grid of circles. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from kserve_nb.access.ingress import Rows
from kserve_nb.widgets.drawing import svg
from kserve_nb.widgets.drawing.palette import BAD, FAINT, LINE
from kserve_nb.widgets.drawing.svg import WIDTH

_LEFT, _RIGHT, _TOP, _HEIGHT = 60.0, 24.0, 12.0, 220.0  # px
_LARGEST, _SMALLEST = 15.0, 5.0  # radius


def picture(rows: Rows, differing: Sequence[int], across: int, up: int, names: Sequence[str],
            width: float = WIDTH) -> str:
    """One circle for each pair of values: its filled part is the share of rows with different answers."""
    if not rows:
        return svg.picture(_TOP + _HEIGHT, "no rows", [], width)
    place = [(row[across], row[up]) for row in rows]
    total, differ = Counter(place), Counter(place[number] for number in differing)
    xs, ys = (sorted({point[axis] for point in place}) for axis in (0, 1))

    def x(value: float) -> float:
        return _scaled(value, xs, _LEFT + _LARGEST, width - _RIGHT - _LARGEST)

    def y(value: float) -> float:
        return _scaled(value, ys, _TOP + _HEIGHT - _LARGEST, _TOP + _LARGEST)

    parts = [svg.line(_LEFT, _TOP + _HEIGHT, width - _RIGHT, _TOP + _HEIGHT, LINE),
             svg.line(_LEFT, _TOP, _LEFT, _TOP + _HEIGHT, LINE)]
    parts += [svg.text_at(x(value), _TOP + _HEIGHT + 16, f"{value:g}", anchor="middle") for value in _marks(xs)]
    parts += [svg.text_at(_LEFT - 6, y(value) + 4, f"{value:g}", anchor="end") for value in _marks(ys)]
    parts.append(svg.text_at(width - _RIGHT, _TOP + _HEIGHT + 34, names[across], anchor="end"))
    parts.append(svg.text_at(4, _TOP + _HEIGHT + 34, f"up: {names[up]}"))
    for point, count in sorted(total.items()):
        parts.append(_circle(x(point[0]), y(point[1]), differ[point], count, point, names, (across, up)))
    label = f"{len(differing)} of {len(rows)} rows get different answers, by {names[across]} and {names[up]}"
    return svg.picture(_TOP + _HEIGHT + 42, label, parts, width)


def _circle(x: float, y: float, differ: int, count: int, point: tuple[float, float], names: Sequence[str],
            axes: tuple[int, int]) -> str:  # fmt: skip
    where = f"{names[axes[0]]} {point[0]:g}, {names[axes[1]]} {point[1]:g}"
    title = f"{where}: {differ} of {count} rows get different answers"
    if not differ:
        return svg.grouped(title, f"<circle cx='{x:.1f}' cy='{y:.1f}' r='3' fill='none' stroke='{LINE}'/>")
    radius = _SMALLEST + (_LARGEST - _SMALLEST) * differ / count
    return svg.grouped(
        title, f"<circle cx='{x:.1f}' cy='{y:.1f}' r='{_LARGEST}' fill='none' stroke='{FAINT}'/>",
        f"<circle cx='{x:.1f}' cy='{y:.1f}' r='{radius:.1f}' fill='{BAD}' opacity='.25' stroke='{BAD}'/>",
        svg.text_at(x, y + 4, str(differ), anchor="middle", more="font-size='11'"))


def _marks(values: list[float]) -> list[float]:
    return values if len(values) <= 10 else [values[0], values[len(values) // 2], values[-1]]


def _scaled(value: float, values: list[float], low: float, high: float) -> float:
    span = values[-1] - values[0]
    return low + (high - low) * ((value - values[0]) / span if span else 0.5)
