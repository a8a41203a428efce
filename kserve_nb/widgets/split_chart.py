"""Send requests and count live which revision answers, with the band in which the true share lies."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import traitlets as T  # noqa: N812 - short, as traits fill these lines

from kserve_nb.observe.snapshot import Snapshot
from kserve_nb.rollout.rollout import Rollout
from kserve_nb.rollout.sampling import Tally
from kserve_nb.rollout.statistics import Verdict
from kserve_nb.values.revisions import short
from kserve_nb.values.text.render import split_line
from kserve_nb.widgets.drawing.frame import CARD_PADDING, card, with_state
from kserve_nb.widgets.drawing.markup import button, note, safe, toolbar
from kserve_nb.widgets.drawing.share_chart import chart
from kserve_nb.widgets.drawing.shares import latest_share, share_of
from kserve_nb.widgets.drawing.svg import WIDTH
from kserve_nb.widgets.request_sender import RequestSender
from kserve_nb.widgets.sheet.rollout_widget import RolloutWidget
from kserve_nb.widgets.sheet.sheet import Handler

_COUNTS = (50, 300, 1000)
_GLYPHS = {"consistent": "✔", "not": "✖", "too few": "◌"}


class SplitChart(RolloutWidget):
    """The share of requests that LATEST answers, live until `close()`.

    A button sends requests and the chart follows; in code: `chart.send(300)`. When the traffic moves, the count starts
    again at zero.

    >>> chart = SplitChart(rollout)
    >>> chart.send(100).split.failed
    0
    >>> chart.close()
    """

    sending = T.Unicode()  # how many requests have been sent so far; empty while none are being sent
    error = T.Unicode()  # why the last requests could not be sent

    def __init__(self, rollout: Rollout):
        super().__init__(rollout)
        self._sender = RequestSender(rollout, self._subscription.feed, self._on_progress)

    @property
    def text(self) -> str:
        """The count and the verdict, as text."""
        return text(self.snapshot)

    def send(self, count: int = 300) -> Tally | None:
        """Send requests as a Send button does, and wait for the answers.

        Returns the count since the traffic last moved; None if no answer could be counted.
        """
        return self._sender.send(count)

    def reset(self) -> None:
        """Start the count again at zero."""
        self._subscription.feed.reset_requests()

    def close(self) -> None:
        """Stop sending and updating; the last state stays visible."""
        sender: RequestSender | None = self.__dict__.get("_sender")
        if sender is not None:  # ipywidgets also closes widgets whose __init__ failed
            sender.close()
        super().close()

    def _picture(self) -> str:
        return html(self.snapshot, self._width - CARD_PADDING)

    def _draw(self) -> str:
        why_not = "The widget is closed." if self.snapshot.state == "closed" else ""
        busy = "Requests are being sent." if self.sending else ""
        sends = (
            button("send", f"Send {count}", value=str(count), why_not=why_not or busy,
                   title=f"Send {count} requests to the main host.") for count in _COUNTS
        )  # fmt: skip
        stop = button("stop", "Stop", why_not="" if self.sending else "No requests are being sent.")
        progress = note("…", self.sending, soft=True) if self.sending else ""
        failed = note("✖", f"Cannot send requests: {self.error}", urgent=True) if self.error else ""
        message = f"<div class='knb-message' data-key='message'>{progress}{failed}</div>"
        return self._picture() + toolbar(*sends, stop, button("reset", "Reset count", why_not=why_not)) + message

    def _handlers(self) -> Mapping[str, Handler]:
        return {
            "send": lambda value: self._start(int(value)),
            "stop": lambda _value: self._sender.stop(),
            "reset": lambda _value: self.reset(),
        }

    def _start(self, count: int) -> None:
        if self.snapshot.state != "closed":
            self._sender.start(count)

    def _on_progress(self) -> None:
        self.set_trait("error", self._sender.error)
        self.set_trait("sending", self._sender.progress)

    @T.observe("sending", "error")
    def _on_view_change(self, _change: Any) -> None:
        self.redraw()


def text(snapshot: Snapshot) -> str:
    """How many requests each revision answered, a bar for each, and the verdict."""
    tally = snapshot.sample
    if tally is None:
        return with_state(snapshot, _no_requests(snapshot))
    sent = tally.split.attributed
    lines = [split_line(tally.split)]
    for name in sorted(tally.split.counts):
        hits = tally.split.counts[name]
        lines.append(f"{short(name)} {_bar(hits, sent)} {share_of(tally, name)}")
    return with_state(snapshot, "\n".join([*lines, *_verdict_lines(snapshot, tally)]))


def html(snapshot: Snapshot, width: float = WIDTH - CARD_PADDING) -> str:
    """The chart with its words below."""
    tally = snapshot.sample
    if tally is None:
        picture, lines = chart(None, None, width), [_no_requests(snapshot)]
    else:
        picture = chart(snapshot.observed, tally.verdict(), width)
        lines = [split_line(tally.split), *_verdict_lines(snapshot, tally)]
    words = "".join(f"<div>{safe(line)}</div>" for line in lines)
    below = f"<div class='knb-chart-words' role='status'>{words}</div>"
    return card(snapshot, f"Requests to {snapshot.name} by revision", picture + below)


def _verdict_lines(snapshot: Snapshot, tally: Tally) -> list[str]:
    verdict = tally.verdict()
    mixed = snapshot.observed.mixed if snapshot.observed else 0
    left_out = [f"{mixed} more requests are not counted: the traffic moved while they were sent"] if mixed else []
    return [f"{_GLYPHS.get(verdict.word, '·')} {_verdict_text(verdict, tally)}", f"how we know: {tally.how}", *left_out]


def _verdict_text(verdict: Verdict, tally: Tally) -> str:
    """The verdict, with the band that is valid while the count grows."""
    if verdict.word == "unseen":
        return repr(verdict)
    seen = f"{verdict.hits} of {verdict.sent} = {latest_share(tally)}"
    if verdict.word == "too few":
        return f"too few requests to tell {verdict.percent} %: {seen}. Send {verdict.more} more"
    if verdict.word == "not":
        return f"not {verdict.percent} %: {seen}"
    return f"consistent with {verdict.percent} %: {seen}. The band is valid however often you look"


def _no_requests(snapshot: Snapshot) -> str:
    if snapshot.observed is not None:
        return f"{snapshot.name}: no requests since the traffic moved. Press Send, or call chart.send(300)"
    return f"{snapshot.name}: no requests counted yet. Press Send, or call chart.send(300)"


def _bar(hits: int, sent: int) -> str:
    filled = round(30 * hits / sent) if sent else 0
    return "█" * filled + "·" * (30 - filled)
