"""The share of requests that LATEST answered, over the number of requests, with its narrowing band."""

from __future__ import annotations

from collections.abc import Callable

from kserve_nb.observe.snapshot import Observed
from kserve_nb.rollout.statistics import Verdict
from kserve_nb.values.revisions import short
from kserve_nb.widgets.drawing import svg
from kserve_nb.widgets.drawing.palette import FAINT, INK, LINE, PAPER, revision_colour, revision_shape
from kserve_nb.widgets.drawing.shares import band
from kserve_nb.widgets.drawing.svg import WIDTH

_LEFT, _RIGHT, _TOP, _HEIGHT = 44.0, 116.0, 12.0, 150.0  # px around and of the plot
_EMPTY_TOP = 40.0  # % at the top of the axis before the first request
_LABEL_HEIGHT = 15.0

_Scale = Callable[[float], float]


def chart(observed: Observed | None, verdict: Verdict | None, width: float = WIDTH) -> str:
    """The chart as SVG; empty axes of the same size before the first request."""
    if observed is None or verdict is None or not observed.path[-1][0]:
        return _empty(width)
    right = width - _RIGHT
    most = observed.path[-1][0]
    bands = [(sent, hits, *band(hits, sent, verdict.percent)) for sent, hits in observed.path if sent]
    top = min(100.0, max(verdict.percent * 1.5, 10.0, *(high for *_, high in bands)))

    def x(sent: float) -> float:
        return _LEFT + (right - _LEFT) * sent / most

    def y(percent: float) -> float:
        return _TOP + _HEIGHT * (1 - min(percent, top) / top)

    latest = observed.tally.latest
    parts = [
        *_axes(top, right, y, most),
        *_band(bands, x, y, revision_colour(latest)),
        svg.line(
            _LEFT, y(verdict.percent), right, y(verdict.percent), INK, "stroke-dasharray='6 4' stroke-width='1.5'"
        ),
        *_labels(bands[-1], verdict.percent, latest, right, x, y),
    ]
    return svg.picture(_TOP + _HEIGHT + 24, f"share of {short(latest)} over requests: {verdict!r}", parts, width)


def _empty(width: float) -> str:
    right = width - _RIGHT
    parts = _axes(_EMPTY_TOP, right, lambda percent: _TOP + _HEIGHT * (1 - percent / _EMPTY_TOP), 0)
    parts.append(svg.text_at((_LEFT + right) / 2, _TOP + _HEIGHT / 2, "no requests yet", anchor="middle"))
    return svg.picture(_TOP + _HEIGHT + 24, "share of LATEST over requests: no requests yet", parts, width)


def _axes(top: float, right: float, y: _Scale, most: int) -> list[str]:
    step = next(step for step in (2, 5, 10, 20, 25) if top / step <= 5)
    marks = [step * n for n in range(int(top // step) + 1)]
    base = _TOP + _HEIGHT + 16
    return [
        *(svg.line(_LEFT, y(mark), right, y(mark), FAINT if mark else LINE) for mark in marks),
        *(svg.text_at(_LEFT - 6, y(mark) + 4, f"{mark} %", anchor="end") for mark in marks),
        svg.text_at(_LEFT, base, "0", anchor="middle"),
        svg.text_at(right, base, f"{most} requests" if most else "", anchor="end"),
    ]


def _band(bands: list[tuple[int, int, float, float]], x: _Scale, y: _Scale, colour: str) -> list[str]:
    lower = [f"{x(sent):.1f},{y(low):.1f}" for sent, _, low, _ in bands]
    upper = [f"{x(sent):.1f},{y(high):.1f}" for sent, _, _, high in reversed(bands)]
    middle = " ".join(f"{x(sent):.1f},{y(100 * hits / sent):.1f}" for sent, hits, *_ in bands)
    sent, _, low, high = bands[-1]
    return [
        f"<polygon points='{' '.join(lower + upper)}' fill='{colour}' opacity='.22'/>",
        f"<polyline points='{middle}' fill='none' stroke='{colour}' stroke-width='2'/>",
        svg.rect(x(sent) - 1, y(high), 2, y(low) - y(high), colour, title=f"95 % band: {low:.1f} to {high:.1f} %"),
    ]


def _labels(
    last: tuple[int, int, float, float], routed: int, latest: str, right: float, x: _Scale, y: _Scale
) -> list[str]:
    """The labels `routed` and `observed` to the right of the plot, placed so that they do not overlap."""
    sent, hits, *_ = last
    share = 100 * hits / sent
    routed_y, observed_y = y(routed), y(share)
    if abs(routed_y - observed_y) < _LABEL_HEIGHT:
        middle, sign = (routed_y + observed_y) / 2, 1 if routed_y >= observed_y else -1
        routed_y, observed_y = middle + sign * _LABEL_HEIGHT / 2, middle - sign * _LABEL_HEIGHT / 2
    shape = f"fill='{revision_colour(latest)}' stroke='{PAPER}' stroke-width='3' paint-order='stroke' font-size='13'"
    return [
        svg.text_at(x(sent), y(share) + 4, revision_shape(latest), anchor="middle", more=shape),
        svg.text_at(right + 8, routed_y + 4, f"routed {routed} %"),
        svg.text_at(right + 8, observed_y + 4, f"observed {share:.1f} %", more="font-weight='600'"),
    ]
