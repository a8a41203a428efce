"""Who answered: requests counted live, with the band in which the true share lies."""

from __future__ import annotations

import threading
from html import escape
from typing import Any

import ipywidgets as W  # noqa: N812 - short, as traits and widgets fill these lines
import traitlets as T  # noqa: N812 - as above

from kserve_nb.observe.snapshot import Observed, Snapshot
from kserve_nb.rollout.discriminating_input import find_discriminating_input
from kserve_nb.rollout.rollout import Rollout
from kserve_nb.rollout.sampling import Tally
from kserve_nb.rollout.statistics import Verdict, interval
from kserve_nb.values.render import split_line
from kserve_nb.values.revisions import short
from kserve_nb.widgets.drawing.draw import (
    BRAND,
    FAINT,
    LINE,
    WARN,
    WIDTH,
    Picture,
    framed,
    line,
    rect,
    share_words,
    svg,
    text_at,
    with_state,
)  # fmt: skip
from kserve_nb.widgets.drawing.markup import note
from kserve_nb.widgets.feed.rollout_feed import Seat, faces_of, leave

_BATCH = 25  # requests between two pictures
_COUNTS = (50, 300, 1000)
_LEFT, _TOP, _HEIGHT = 44.0, 14.0, 150.0  # of the chart, in its own pixels
_WORDS = {"consistent": "✔", "not": "✖", "too few": "◌"}


class SplitChart(W.VBox):  # type: ignore[misc]  # ipywidgets ships no types
    """The share that LATEST answers, as requests come in; live until `close()`.

    A button sends requests and the chart follows; in code: `chart.send(300)`. When traffic moves, counting begins anew.

    >>> chart = SplitChart(rollout)
    >>> chart.send(100).split.failed
    0
    >>> chart.close()
    """

    snapshot: Snapshot = T.Instance(Snapshot, ("",))  # type: ignore[assignment]  # traitlets hands the value out
    sending = T.Unicode()  # how far it has come; empty while nothing is sent
    error = T.Unicode()  # why the last requests were not sent

    _sender: threading.Thread | None = None

    def __init__(self, rollout: Rollout):
        self._rollout = rollout
        self._stop = threading.Event()
        self._picture = Picture(lambda: self.html)
        self.send_buttons = tuple(W.Button(description=f"Send {count}", layout={"width": "auto"}) for count in _COUNTS)
        self.stop_button = W.Button(description="Stop", disabled=True, layout={"width": "auto"})
        self.reset_button = W.Button(description="Count anew", layout={"width": "auto"})
        buttons = W.HBox([*self.send_buttons, self.stop_button, self.reset_button], layout={"flex_flow": "row wrap"})
        super().__init__([self._picture.view, buttons])
        for count, button in zip(_COUNTS, self.send_buttons, strict=True):
            button.tooltip = f"send {count} requests through the main door"
            button.on_click(lambda _button, count=count: self._begin(count))
        self.stop_button.on_click(lambda _button: self._stop.set())
        self.reset_button.on_click(lambda _button: self.reset())
        self._seat = Seat(rollout, lambda snapshot: self.set_trait("snapshot", snapshot))

    def send(self, count: int = 300) -> Tally | None:
        """Send requests in batches and count who answers; what a Send button does, but waits until it is done.

        Returns the count since traffic last moved; None where nothing could be counted.
        """
        if count < 1:
            raise ValueError(f"{count} requests: send at least one.")
        self._stop.clear()
        self.error = ""
        try:
            probe = find_discriminating_input(self._rollout, self._rollout.status())
            for done in range(0, count, _BATCH):
                if self._stop.is_set():
                    break
                self.sending = f"{done} of {count} sent"
                batch = self._rollout.send(min(_BATCH, count - done), known=probe)
                self._seat.live.observe(batch)
                if batch.moved:
                    probe = find_discriminating_input(self._rollout, self._rollout.status())
        finally:
            self.sending = ""
        return self._seat.live.sample()

    def reset(self) -> None:
        """Forget what was counted."""
        self._seat.live.forget()

    @property
    def text(self) -> str:
        """The count and what it says, as text."""
        return text(self.snapshot)

    @property
    def html(self) -> str:
        """The chart as HTML."""
        said = note("…", self.sending) if self.sending else ""
        wrong = note("✖", f"not sent: {self.error}", urgent=True) if self.error else ""
        return html(self.snapshot) + said + wrong

    @property
    def json(self) -> dict[str, Any]:
        """All that is known, as JSON's own types."""
        return self.snapshot.as_json()

    def close(self) -> None:
        """Stop sending and following; what was seen last stays in view."""
        if self._sender is not None:
            self._stop.set()
            self._sender.join(timeout=30)
        leave(self)

    def _begin(self, count: int) -> None:
        if not self.sending:
            self.sending = "looking for an input that tells the revisions apart"
            self._sender = threading.Thread(target=self._send_or_say, args=(count,), name="requests", daemon=True)
            self._sender.start()

    def _send_or_say(self, count: int) -> None:
        try:
            self.send(count)
        except Exception as error:  # a thread has no cell to raise into
            self.error = str(error)

    @T.observe("snapshot", "sending", "error")
    def _show(self, _change: Any) -> None:
        for button in self.send_buttons:
            button.disabled = bool(self.sending) or self.snapshot.state == "closed"
        self.stop_button.disabled = not self.sending
        self._picture.draw()

    def _repr_mimebundle_(self, **kwargs: Any) -> dict[str, Any]:
        return faces_of(self, super()._repr_mimebundle_(**kwargs))


def text(snapshot: Snapshot) -> str:
    """Who answered how many, a bar for each, and the verdict."""
    tally = snapshot.sample
    if tally is None:
        return with_state(snapshot, _nothing(snapshot))
    sent = tally.split.attributed
    names = sorted(tally.split.counts)
    lines = [split_line(tally.split)]
    for name in names:
        hits = tally.split.counts[name]
        lines.append(f"{short(name)} {_bar(hits, sent)} {share_words(hits, sent)}")
    return with_state(snapshot, "\n".join([*lines, *_said(snapshot, tally)]))


def html(snapshot: Snapshot) -> str:
    """The chart with its words below."""
    tally, observed = snapshot.sample, snapshot.observed
    if tally is None or observed is None:
        return framed(snapshot, note("·", _nothing(snapshot)))
    words = "".join(f"<div>{escape(said)}</div>" for said in (split_line(tally.split), *_said(snapshot, tally)))
    said = f"<div role='status' style='line-height:1.5'>{words}</div>"
    return framed(snapshot, chart(observed, tally.verdict()) + said)


def chart(observed: Observed, verdict: Verdict) -> str:
    """The share of LATEST over the number of requests, in a band that gets narrower."""
    most = observed.path[-1][0]
    bands = [(sent, hits, *interval(hits, sent)) for sent, hits in observed.path if sent]
    top = min(100.0, max([verdict.percent * 1.5, 10.0, *(high for sent, *_, high in bands if sent > most / 10)]))

    def x(sent: int) -> float:
        return _LEFT + (WIDTH - _LEFT - 110) * sent / most

    def y(percent: float) -> float:
        return _TOP + _HEIGHT * (1 - min(percent, top) / top)

    lower = [f"{x(sent):.1f},{y(low):.1f}" for sent, _, low, _ in bands]
    upper = [f"{x(sent):.1f},{y(high):.1f}" for sent, _, _, high in reversed(bands)]
    middle = " ".join(f"{x(sent):.1f},{y(100 * hits / sent):.1f}" for sent, hits, *_ in bands)
    sent, hits, low, high = bands[-1]
    asked_y, seen_y = y(verdict.percent), y(100 * hits / sent)
    apart = 14 if abs(asked_y - seen_y) < 14 else 0  # so that two labels never lie on each other
    parts = [
        *_grid(top, y),
        f"<polygon points='{' '.join(lower + upper)}' fill='{BRAND}' opacity='.22'/>",
        f"<polyline points='{middle}' fill='none' stroke='{BRAND}' stroke-width='2'/>",
        line(_LEFT, asked_y, WIDTH - 110, asked_y, WARN, "stroke-dasharray='6 4' stroke-width='1.5'"),
        text_at(WIDTH - 104, asked_y + 4 + (apart if asked_y >= seen_y else 0), f"routed {verdict.percent} %"),
        text_at(WIDTH - 104, seen_y + 4 - (0 if asked_y >= seen_y else -apart), f"seen {100 * hits / sent:.1f} %",
                style="font-weight:600"),
        rect(x(sent) - 1, y(high), 2, y(low) - y(high), BRAND, title=f"95 %: {low:.1f} to {high:.1f} %"),
        text_at(_LEFT, _TOP + _HEIGHT + 16, "0 requests"),
        text_at(WIDTH - 110, _TOP + _HEIGHT + 16, f"{most} requests", anchor="end"),
    ]
    label = f"share of LATEST over requests: {verdict!r}"
    return svg(_TOP + _HEIGHT + 24, label, parts)


def _grid(top: float, y: Any) -> list[str]:
    step = next(step for step in (2, 5, 10, 20, 25) if top / step <= 5)
    marks = [step * n for n in range(int(top // step) + 1)]
    rows = [line(_LEFT, y(mark), WIDTH - 110, y(mark), FAINT if mark else LINE) for mark in marks]
    return rows + [text_at(_LEFT - 6, y(mark) + 4, f"{mark} %", anchor="end") for mark in marks]


def _said(snapshot: Snapshot, tally: Tally) -> list[str]:
    verdict = tally.verdict()
    mixed = snapshot.observed.mixed if snapshot.observed else 0
    left = [f"{mixed} more are not counted: traffic moved while they were under way"] if mixed else []
    return [f"{_WORDS[verdict.word]} {verdict!r}", f"how we know: {tally.how}", *left]


def _nothing(snapshot: Snapshot) -> str:
    if snapshot.observed is not None:
        return f"{snapshot.name}: nothing counted since traffic moved. Send some requests"
    return f"{snapshot.name}: nothing counted yet. Send some requests: chart.send(300)"


def _bar(hits: int, sent: int) -> str:
    filled = round(30 * hits / sent) if sent else 0
    return "█" * filled + "·" * (30 - filled)
