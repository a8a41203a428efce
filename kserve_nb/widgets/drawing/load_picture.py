"""A load over time: per second who answered, what failed, the slowest response, and the changes of traffic. Pure."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from kserve_nb.gates.load_generator import LoadResult
from kserve_nb.gates.load_phases import LoadChange
from kserve_nb.widgets.drawing import svg
from kserve_nb.widgets.drawing.palette import BAD, FAINT, INK, LINE, revision_colour, revision_shape
from kserve_nb.widgets.drawing.svg import WIDTH

_LEFT, _RIGHT, _TOP, _HEIGHT, _GAP, _LOW = 44.0, 60.0, 24.0, 110.0, 24.0, 60.0  # px


def picture(result: LoadResult | None, changes: Sequence[LoadChange], width: float = WIDTH) -> str:
    """The picture of a load; empty axes of the same size before the first request."""
    seconds = result.seconds if result else []
    most = max((row["requests"] for row in seconds), default=0)
    slowest = max((row["slowest_ms"] for row in seconds), default=0.0)
    step = (width - _LEFT - _RIGHT) / max(len(seconds), 1)
    parts = [*_axes(width, most, slowest, len(seconds))]
    for row in seconds:
        parts += _second(row, _LEFT + step * row["second"], step, most, slowest)
    for before, change in itertools.pairwise([None, *changes]):
        if change and (before is None or before.requested_percent != change.requested_percent):
            parts += _change(change, _LEFT + step * change.at_s)
    if result is None:
        middle = (_LEFT + width - _RIGHT) / 2
        parts.append(svg.text_at(middle, _TOP + _HEIGHT / 2, "no requests yet", anchor="middle"))
    label = "requests per second by revision, and the slowest response: "
    return svg.picture(_TOP + _HEIGHT + _GAP + _LOW + 22, label + (result.sentence if result else "no requests yet"),
                       parts, width)  # fmt: skip


def legend(result: LoadResult | None) -> list[tuple[str, str, str]]:
    """Shape, colour and number of each revision that answered."""
    names = sorted({shot.revision for shot in result.shots if shot.revision}) if result else []
    return [(revision_shape(name), revision_colour(name), name.rpartition("-")[2]) for name in names]


def _axes(width: float, most: int, slowest: float, seconds: int) -> list[str]:
    right, low = width - _RIGHT, _TOP + _HEIGHT + _GAP
    return [
        svg.line(_LEFT, _TOP + _HEIGHT, right, _TOP + _HEIGHT, LINE),
        svg.line(_LEFT, _TOP, right, _TOP, FAINT),
        svg.text_at(_LEFT - 6, _TOP + 4, f"{most}/s" if most else "", anchor="end"),
        svg.text_at(_LEFT - 6, _TOP + _HEIGHT + 4, "0", anchor="end"),
        svg.line(_LEFT, low + _LOW, right, low + _LOW, LINE),
        svg.text_at(_LEFT - 6, low + 10, f"{slowest:.0f} ms" if slowest else "", anchor="end", more="font-size='10'"),
        svg.text_at(_LEFT, low - 6, "the slowest response of each second", more="font-size='10'"),
        svg.text_at(_LEFT, low + _LOW + 16, "0 s", anchor="middle"),
        svg.text_at(right, low + _LOW + 16, f"{seconds} s" if seconds else "", anchor="end"),
    ]


def _second(row: dict[str, object], x: float, step: float, most: int, slowest: float) -> list[str]:
    parts, base, low = [], _TOP + _HEIGHT, _TOP + _HEIGHT + _GAP + _LOW
    counts: dict[str, int] = dict(row["revisions"])  # type: ignore[call-overload]
    for number, count in sorted(counts.items()):
        height = _HEIGHT * count / max(most, 1)
        base -= height
        parts.append(svg.rect(x + 0.5, base, step - 1, height, revision_colour(f"-{number}"),
                              title=f"second {row['second']}: {count} answers of {number}"))
    failed = int(str(row["failed"]))
    if failed:
        parts.append(svg.text_at(x + step / 2, _TOP - 2, "✖", anchor="middle", more=f"fill='{BAD}'"))
    height = _LOW * float(str(row["slowest_ms"])) / max(slowest, 1)
    title = f"second {row['second']}: the slowest response took {row['slowest_ms']} ms, {failed} failed"
    parts.append(svg.rect(x + 0.5, low - height, step - 1, height, LINE, title=title))
    return parts


def _change(change: LoadChange, x: float) -> list[str]:
    end = _TOP + _HEIGHT + _GAP + _LOW
    return [svg.line(x, _TOP - 8, x, end, INK, "stroke-dasharray='4 3'"),
            svg.text_at(x + 3, _TOP - 11, change.label, more="font-size='11'")]
