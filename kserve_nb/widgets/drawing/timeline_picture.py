"""A history as a picture: lanes of traffic and pods by revision, what was asked, events, and what nobody saw. Pure."""

from __future__ import annotations

from collections.abc import Callable
from html import escape

from kserve_nb.observe.history import RolloutHistory, Span, TimelineFrame, TimelineLanes, lanes_of, narrative
from kserve_nb.observe.snapshot import clock
from kserve_nb.values.revisions import short
from kserve_nb.widgets.drawing.draw import BAD, BRAND, FAINT, INK, LINE, WARN, WIDTH, line, rect, svg, text_at

_LEFT, _RIGHT = 92.0, WIDTH - 14.0  # between them time passes
_BAND, _POD, _PODS_SHOWN = 30.0, 8.0, 4  # heights in a revision's lane
_ROW, _ROWS = 15.0, 3  # of the words that say what was asked
_STEPS_S = (1, 2, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 7200, 21600, 86400)
_EVENTS_SHOWN = 80
_STROKES = {
    "ready": f"stroke='{INK}' stroke-width='4'",
    "starting": f"stroke='{INK}' stroke-width='2' stroke-dasharray='2 3'",
    "ending": f"stroke='{LINE}' stroke-width='4' stroke-dasharray='7 3'",
    "failing": f"stroke='{BAD}' stroke-width='4' stroke-dasharray='1 3'",
}
_X = Callable[[float], float]
HATCH = (
    f"<defs><pattern id='kserve-nb-unseen' width='6' height='6' patternUnits='userSpaceOnUse'>"
    f"<path d='M0 6L6 0' stroke='{LINE}'/></pattern></defs>"
)


def picture(history: RolloutHistory, cursor: float | None = None) -> str:
    """The lanes on one axis of time; `cursor` marks a moment."""
    course = lanes_of(history)
    span = max(course.end - course.start, 1.0)

    def x(at: float) -> float:
        return _LEFT + (_RIGHT - _LEFT) * (min(max(at, course.start), course.end) - course.start) / span

    parts, y = _asked(course, x)
    for revision in course.traffic:
        drawn, y = _lane(course, revision, x, y)
        parts += drawn
    if history.samples:
        parts += _requests(history, course, x, y)
        y += 22
    parts += _events(history, course, x, y)
    y += 22
    parts += [rect(x(s.start), 6, x(s.end) - x(s.start), y - 6, "url(#kserve-nb-unseen)", title="unobserved")
              for s in course.unobserved]  # fmt: skip
    parts += _axis(course, x, y)
    if cursor is not None:
        parts.append(line(x(cursor), 4, x(cursor), y, BRAND, "stroke-width='2'"))
    return svg(y + 20, label(history), [HATCH, *parts])


def label(history: RolloutHistory) -> str:
    """The picture in one sentence."""
    course = lanes_of(history)
    now = " · ".join(f"{spans[-1].percent} % → {short(name)}" for name, spans in course.traffic.items()
                     if spans and spans[-1].end == course.end)  # fmt: skip
    state = "unknown" if _unseen(course) else now or "nobody is served"
    return f"{history.name} from {clock(course.start)} to {clock(course.end)}: now {state}"


def story(history: RolloutHistory) -> str:
    """The course as lines of text: the picture's headless twin."""
    lines = [f"{clock(at)}  {words}" for at, words in narrative(history)]
    return "\n".join([label(history), *lines])


def frame_text(frame: TimelineFrame | None) -> str:
    """What was known at one moment, as text."""
    if frame is None or not frame.seen:
        return "unobserved: nobody knows what was"
    routed = " · ".join(f"{percent} % → {short(name)}" for name, percent in frame.traffic) or "nobody"
    pods = " · ".join(f"{short(revision)} {word}" for _, revision, word in frame.pods) or "none"
    asked = f"{frame.requested or 'nothing'} of {frame.model.rpartition('/')[2] or 'no model'}"
    phase = f"{frame.phase}: {frame.why}" if frame.why else frame.phase
    return f"asked {asked}\nrouted {routed}\npods {pods}\n{phase}"


def _asked(course: TimelineLanes, x: _X) -> tuple[list[str], float]:
    """Flags of what was asked, in as many rows as they need not to lie on each other."""
    ends = [0.0] * _ROWS
    parts: list[str] = []
    for at, said in course.actions:
        words = said.replace("asked: ", "")  # the lane says so
        width = 6.4 * len(words) + 14
        left = x(at) if x(at) + width <= _RIGHT else x(at) - width  # no words below their own mark
        row = next((n for n, end in enumerate(ends) if end <= left), None)
        top = 14 + (_ROWS - 1 if row is None else row) * _ROW
        mark = line(x(at), top - 8, x(at), top + 4, WARN, "stroke-width='2'")
        parts.append(f"<g><title>{escape(f'{clock(at)} {said}')}</title>{mark}</g>")
        if row is not None:  # else the mouse has to ask for the words
            ends[row] = left + width
            parts.append(text_at(left + 5, top + 2, words))
    used = 1 + max((n for n, end in enumerate(ends) if end), default=0)
    return [text_at(0, 16, "asked", style="font-weight:600"), *parts], 14 + used * _ROW


def _lane(course: TimelineLanes, revision: str, x: _X, y: float) -> tuple[list[str], float]:
    """The band of a revision's traffic, as high as its percent, and a line for each of its pods."""
    base = y + _BAND
    spans = course.traffic[revision]
    now = spans[-1].percent if spans and spans[-1].end == course.end else None
    parts = [
        text_at(0, y + 14, short(revision), style="font-weight:600"),
        text_at(0, y + 28, "unknown" if _unseen(course) else "no traffic" if now is None else f"{now} %"),
        line(_LEFT, base, _RIGHT, base, FAINT),
    ]
    for span in spans:
        high = (_BAND - 6) * span.percent / 100
        title = f"{span.what} of the users from {clock(span.start)} to {clock(span.end)}"
        parts.append(rect(x(span.start), base - high, x(span.end) - x(span.start), high, BRAND, title=title,
                          more="opacity='.55'"))  # fmt: skip
        if x(span.end) - x(span.start) > 40 and span.percent:
            parts.append(text_at(x(span.start) + 4, base - 5, span.what))
    pods = list(course.pods.get(revision, {}).items())
    for number, (name, states) in enumerate(pods[:_PODS_SHOWN]):
        parts += [_pod(x, base + 6 + number * _POD, name, state) for state in states]
    if len(pods) > _PODS_SHOWN:
        parts.append(text_at(_LEFT - 4, base + 10, f"{len(pods)} pods", anchor="end"))
    return parts, base + 10 + _POD * min(len(pods), _PODS_SHOWN)


def _unseen(course: TimelineLanes) -> bool:
    return any(span.end == course.end for span in course.unobserved)


def _pod(x: _X, y: float, name: str, state: Span) -> str:
    title = f"pod {name}: {state.what} from {clock(state.start)} to {clock(state.end)}"
    end = max(x(state.end), x(state.start) + 2)
    return f"<g><title>{escape(title)}</title>{line(x(state.start), y, end, y, INK, _STROKES[state.what])}</g>"


def _requests(history: RolloutHistory, course: TimelineLanes, x: _X, y: float) -> list[str]:
    """A stroke a batch of requests, as high as the share that LATEST answered; a mark above where some failed."""
    base = y + 18
    parts = [text_at(0, y + 14, "requests", style="font-weight:600"), line(_LEFT, base, _RIGHT, base, FAINT)]
    for one in history.samples:
        if course.start <= one.at <= course.end:
            title = f"{clock(one.at)} {one.hits} of {one.sent} answered by {short(one.latest)}, {one.failed} failed"
            colour = BAD if one.failed else BRAND
            parts.append(rect(x(one.at) - 1, y + 2, 2, 16, FAINT, title=title))
            high = 16 * one.percent / 100
            parts.append(rect(x(one.at) - 1, base - high, 2, high, colour, title=title))
            parts += [text_at(x(one.at), y + 4, "✖", anchor="middle", style=f"fill:{BAD}")] * bool(one.failed)
    return parts


def _events(history: RolloutHistory, course: TimelineLanes, x: _X, y: float) -> list[str]:
    shown = [event for event in history.events if course.start <= event.at <= course.end][-_EVENTS_SHOWN:]
    parts = [text_at(0, y + 14, "events", style="font-weight:600")]
    for event in shown:
        mark, colour = ("✖", BAD) if event.warning else ("·", INK)
        title = f"{clock(event.at)} {event.kind} {event.reason}: {event.message[:200]}"
        parts.append(
            f"<g><title>{escape(title)}</title>"
            f"<text x='{x(event.at):.1f}' y='{y + 14:.1f}' text-anchor='middle' fill='{colour}' "
            f"font-weight='700' font-size='{11 if event.warning else 18}'>{mark}</text></g>"
        )
    return parts


def _axis(course: TimelineLanes, x: _X, y: float) -> list[str]:
    span = max(course.end - course.start, 1.0)
    step = next((step for step in _STEPS_S if span / step <= 7), _STEPS_S[-1])
    first = -(-course.start // step) * step
    marks = [first + n * step for n in range(int((course.end - first) // step) + 1)] if first <= course.end else []
    parts = [line(_LEFT, y, _RIGHT, y, LINE)]
    for at in marks:
        anchor = "middle" if x(at) + 26 < WIDTH else "end"
        parts += [line(x(at), y, x(at), y + 4, LINE), text_at(x(at), y + 16, clock(at), anchor=anchor)]
    return parts
