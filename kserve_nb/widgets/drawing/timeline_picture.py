"""The history of a rollout as a picture: one lane per revision, with traffic and pods, on one axis of time."""

from __future__ import annotations

from collections.abc import Callable

from kserve_nb.observe.history import RolloutHistory, Span, TimelineFrame, TimelineLanes, lanes_of, narrative
from kserve_nb.observe.snapshot import Event, clock
from kserve_nb.values.revisions import short
from kserve_nb.widgets.drawing import svg
from kserve_nb.widgets.drawing.palette import ACCENT, BAD, FAINT, INK, LINE, revision_colour, revision_shape
from kserve_nb.widgets.drawing.svg import WIDTH

LEFT, RIGHT = 92.0, 14.0  # px before and after the axis of time
_BAND, _POD, _PODS_SHOWN = 30.0, 8.0, 4  # heights in a revision's lane
_ROW, _ROWS = 15.0, 3  # height and number of rows for labels of requested percents
_CHARACTER = 6.4  # px, the average width of one
_STEPS_S = (1, 2, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 7200, 21600, 86400)
_TICK_PX = 100  # the least distance between two ticks
_EVENTS_SHOWN = 80
_MARGIN_S = 2.0  # an event may be recorded a moment before or after the change of its pod is seen
_STROKES = {
    "ready": f"stroke='{INK}' stroke-width='4'",
    "starting": f"stroke='{INK}' stroke-width='2' stroke-dasharray='2 3'",
    "ending": f"stroke='{LINE}' stroke-width='4' stroke-dasharray='7 3'",
    "failing": f"stroke='{BAD}' stroke-width='4' stroke-dasharray='1 3'",
}
_X = Callable[[float], float]


def picture(history: RolloutHistory, cursor: float | None = None, width: float = WIDTH) -> str:
    """The picture: a lane per revision on one axis of time; `cursor` marks a moment."""
    course = lanes_of(history)
    span = max(course.end - course.start, 1.0)
    right = width - RIGHT

    def x(at: float) -> float:
        return LEFT + (right - LEFT) * (min(max(at, course.start), course.end) - course.start) / span

    parts, y = _requested(course, x, right)
    for revision in course.traffic:
        drawn, y = _lane(course, revision, x, y, right)
        parts += drawn
    if history.samples:
        parts += _requests(history, course, x, y, right)
        y += 22
    parts += _events(history, course, x, y)
    y += 22
    parts += [part for gap in course.unobserved for part in _gap(gap, x, y)]
    parts += _axis(course, x, y, right)
    if cursor is not None:
        parts.append(svg.line(x(cursor), 4, x(cursor), y, ACCENT, "stroke-width='2'"))
        parts.append(f"<path d='M{x(cursor) - 5:.1f} 0h10l-5 7z' fill='{ACCENT}'/>")
    return svg.picture(y + 20, label(history), parts, width)


def key(*, has_requests: bool) -> str:
    """The legend: what each mark of the picture means."""
    marks = [
        (
            svg.rect(1, 2, 20, 10, "var(--knb-r1, #2b6cb0)", more="opacity='.55'"),
            "share of traffic, in the revision's colour",
        ),
        *((svg.line(0, 6, 22, 6, INK, stroke), f"pod {word}") for word, stroke in _STROKES.items()),
        (svg.text_at(8, 11, "·", more="font-weight='700' font-size='18'"), "event"),
        (svg.text_at(6, 10, "✖", more=f"fill='{BAD}' font-size='11'"), "warning"),
        (_gap_box(1, 1, 20, 10), "no data"),
    ]
    if has_requests:
        bar = svg.rect(9, 0, 3, 12, FAINT) + svg.rect(9, 7, 3, 5, "var(--knb-r2, #c05621)")
        marks.append((bar, "requests, filled to the share that LATEST answered"))
    items = "".join(
        f"<span><svg aria-hidden='true' viewBox='0 0 22 12' fill='{INK}'>{mark}</svg>{words}</span>"
        for mark, words in marks
    )
    return f"<div class='knb-key'>{items}</div>"


def label(history: RolloutHistory) -> str:
    """The picture in one sentence, for screen readers."""
    course = lanes_of(history)
    now = " · ".join(f"{spans[-1].percent} % → {short(name)}" for name, spans in course.traffic.items()
                     if spans and spans[-1].end == course.end)  # fmt: skip
    state = "unknown" if _is_unseen(course) else now or "no traffic"
    return f"{history.name} from {clock(course.start)} to {clock(course.end)}: now {state}"


def story(history: RolloutHistory) -> str:
    """The history as lines of text, with the same content as the picture."""
    lines = [f"{clock(at)}  {words}" for at, words in narrative(history)]
    return "\n".join([label(history), *lines])


def frame_text(frame: TimelineFrame | None) -> str:
    """The state of the rollout at one moment, as text."""
    if frame is None or not frame.seen:
        return "no data: the cluster did not answer at this moment"
    routed = " · ".join(f"{percent} % → {short(name)}" for name, percent in frame.traffic) or "none"
    pods = " · ".join(f"{short(revision)} {word}" for _, revision, word in frame.pods) or "none"
    requested = f"{frame.requested or 'nothing'} for {frame.model.rpartition('/')[2] or 'no model'}"
    phase = f"{frame.phase}: {frame.why}" if frame.why else frame.phase
    return f"requested {requested}\nrouted {routed}\npods {pods}\n{phase}"


def why_normal(event: Event, course: TimelineLanes) -> str:
    """Why a warning is part of normal operation; empty if it points to a fault."""
    if "the object has been modified" in event.message:
        return "normal: two controllers wrote at the same time, and one retries"
    if event.reason != "Unhealthy":
        return ""
    spans = [span for pods in course.pods.values() for span in pods.get(event.name, ())]
    if any(span.what == "ending" and span.start - _MARGIN_S <= event.at for span in spans):
        return "normal while a pod drains"
    is_starting = any(
        span.what == "starting" and span.start - _MARGIN_S <= event.at <= span.end + _MARGIN_S for span in spans
    )
    return "normal while a pod starts" if is_starting else ""


def _requested(course: TimelineLanes, x: _X, right: float) -> tuple[list[str], float]:
    """The requested changes, in so many rows that their labels do not overlap."""
    ends = [0.0] * _ROWS
    parts: list[str] = []
    for at, sentence in course.actions:
        words = sentence.replace("asked: ", "").replace("requested: ", "")  # the lane is named `requested`
        width = _CHARACTER * len(words) + 14
        left = x(at) if x(at) + width <= right else x(at) - width  # left of its mark where there is no room
        row = next((n for n, end in enumerate(ends) if end <= left), None)
        top = 14 + (_ROWS - 1 if row is None else row) * _ROW
        mark = svg.line(x(at), top - 8, x(at), top + 4, INK, "stroke-width='2'")
        parts.append(svg.grouped(f"{clock(at)} {sentence}", mark))
        if row is not None:  # without room for the text, it is in the tooltip only
            ends[row] = left + width
            parts.append(svg.text_at(left + 5, top + 2, words))
    used = 1 + max((n for n, end in enumerate(ends) if end), default=0)
    return [svg.text_at(0, 16, "requested", more="font-weight='600'"), *parts], 14 + used * _ROW


def _lane(course: TimelineLanes, revision: str, x: _X, y: float, right: float) -> tuple[list[str], float]:
    """A revision's share of the traffic as a band, and a line for each of its pods."""
    base, colour = y + _BAND, revision_colour(revision)
    spans = course.traffic[revision]
    now = spans[-1].percent if spans and spans[-1].end == course.end else None
    parts = [
        svg.text_at(0, y + 14, revision_shape(revision), more=f"fill='{colour}'"),
        svg.text_at(16, y + 14, short(revision), more="font-weight='600'"),
        svg.text_at(16, y + 28, "unknown" if _is_unseen(course) else "no traffic" if now is None else f"{now} %"),
        svg.line(LEFT, base, right, base, FAINT),
    ]
    for span in spans:
        high = (_BAND - 6) * span.percent / 100
        title = f"{span.what} of the traffic from {clock(span.start)} to {clock(span.end)}"
        parts.append(svg.rect(x(span.start), base - high, x(span.end) - x(span.start), high, colour, title=title,
                              more="opacity='.55'"))  # fmt: skip
        if x(span.end) - x(span.start) > 40 and span.percent:
            parts.append(svg.text_at(x(span.start) + 4, base - 5, span.what))
    pods = list(course.pods.get(revision, {}).items())
    for number, (name, states) in enumerate(pods[:_PODS_SHOWN]):
        parts += [_pod(x, base + 6 + number * _POD, name, state) for state in states]
    if len(pods) > _PODS_SHOWN:
        parts.append(svg.text_at(LEFT - 4, base + 10, f"{len(pods)} pods", anchor="end"))
    return parts, base + 10 + _POD * min(len(pods), _PODS_SHOWN)


def _is_unseen(course: TimelineLanes) -> bool:
    return any(span.end == course.end for span in course.unobserved)


def _gap(gap: Span, x: _X, bottom: float) -> list[str]:
    """A time in which the cluster did not answer."""
    width = x(gap.end) - x(gap.start)
    parts = [_gap_box(x(gap.start), 6, width, bottom - 6)]
    return parts + [svg.text_at(x(gap.start) + width / 2, bottom - 6, "no data", anchor="middle")] * (width > 50)


def _gap_box(x: float, y: float, width: float, height: float) -> str:
    more = f"fill-opacity='.6' stroke='{LINE}' stroke-dasharray='3 3'"
    return svg.rect(x, y, width, height, FAINT, title="no data: the cluster did not answer", more=more)


def _pod(x: _X, y: float, name: str, state: Span) -> str:
    title = f"pod {name}: {state.what} from {clock(state.start)} to {clock(state.end)}"
    end = max(x(state.end), x(state.start) + 2)
    return svg.grouped(title, svg.line(x(state.start), y, end, y, INK, _STROKES[state.what]))


def _requests(history: RolloutHistory, course: TimelineLanes, x: _X, y: float, right: float) -> list[str]:
    """A bar for each batch of requests, filled to the share that LATEST answered; a mark above it if some failed."""
    base = y + 18
    parts = [svg.text_at(0, y + 14, "requests", more="font-weight='600'"), svg.line(LEFT, base, right, base, FAINT)]
    for one in history.samples:
        if course.start <= one.at <= course.end:
            title = f"{clock(one.at)} {one.hits} of {one.sent} answered by {short(one.latest)}, {one.failed} failed"
            parts.append(svg.rect(x(one.at) - 1, y + 2, 2, 16, FAINT, title=title))
            high = 16 * one.percent / 100
            parts.append(svg.rect(x(one.at) - 1, base - high, 2, high, revision_colour(one.latest), title=title))
            parts += [svg.text_at(x(one.at), y + 4, "✖", anchor="middle", more=f"fill='{BAD}'")] * bool(one.failed)
    return parts


def _events(history: RolloutHistory, course: TimelineLanes, x: _X, y: float) -> list[str]:
    shown = [event for event in history.events if course.start <= event.at <= course.end][-_EVENTS_SHOWN:]
    parts = [svg.text_at(0, y + 14, "events", more="font-weight='600'")]
    for event in shown:
        normal = why_normal(event, course) if event.warning else ""
        is_warning = event.warning and not normal
        mark, colour, size = ("✖", BAD, 11) if is_warning else ("·", INK, 18)
        explained = f" ({normal})" if normal else ""
        title = f"{clock(event.at)} {event.kind} {event.reason}{explained}: {event.message[:200]}"
        look = f"fill='{colour}' font-weight='700' font-size='{size}'"
        parts.append(svg.grouped(title, svg.text_at(x(event.at), y + 14, mark, anchor="middle", more=look)))
    return parts


def _axis(course: TimelineLanes, x: _X, y: float, right: float) -> list[str]:
    span = max(course.end - course.start, 1.0)
    most = max((right - LEFT) / _TICK_PX, 1)
    step = next((step for step in _STEPS_S if span / step <= most), _STEPS_S[-1])
    first = -(-course.start // step) * step
    marks = [first + n * step for n in range(int((course.end - first) // step) + 1)] if first <= course.end else []
    parts = [svg.line(LEFT, y, right, y, LINE)]
    for at in marks:
        anchor = "middle" if x(at) + 26 < right + RIGHT else "end"
        parts += [svg.line(x(at), y, x(at), y + 4, LINE), svg.text_at(x(at), y + 16, clock(at), anchor=anchor)]
    return parts
