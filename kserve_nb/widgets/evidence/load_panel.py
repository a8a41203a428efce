"""A load on one rollout, with the changes of traffic during the load, as one line and one picture."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from typing import Any

import traitlets as T  # noqa: N812 - short, as traits fill these lines

from kserve_nb.gates.gated_rollout import GatedRollout
from kserve_nb.gates.load_generator import LoadResult
from kserve_nb.gates.load_phases import LoadChange, LoadPhase, distinct, phases
from kserve_nb.observe.snapshot import Snapshot
from kserve_nb.values.text.readable_error import ReadableError
from kserve_nb.widgets.drawing import load_picture
from kserve_nb.widgets.drawing.frame import CARD_PADDING, card, with_state
from kserve_nb.widgets.drawing.markup import button, note, safe, toolbar
from kserve_nb.widgets.sheet.rollout_widget import RolloutWidget
from kserve_nb.widgets.sheet.sheet import Handler

_RATES = (20, 50)
_DURATION_S, _POLL_S = 10.0, 0.05


class LoadPanel(RolloutWidget):
    """Requests at a constant rate, per second who answered and what failed, live until `close()`.

    A button sends requests for ten seconds; in code: `await panel.run(rate=50, duration_s=10)`. The traffic may change
    meanwhile: each change is a line in the picture, and each percent has its own count.

    >>> panel = LoadPanel(rollout)
    >>> asyncio.run(panel.run(rate=20, duration_s=1)).failed
    0
    >>> panel.close()
    """

    result = T.Instance(LoadResult, allow_none=True)
    sending = T.Unicode()  # what is being sent; empty while nothing is
    error = T.Unicode()  # why the last requests could not be sent

    def __init__(self, rollout: GatedRollout):
        self._rollout = rollout
        self._changes: list[LoadChange] = []
        self._began = 0.0
        self._running: asyncio.Task[LoadResult] | None = None
        super().__init__(rollout)
        self.redraw()

    async def run(self, rate: float = 50, duration_s: float = _DURATION_S) -> LoadResult:
        """Send requests at a constant rate, and return the result.

        Raises:
            LoadError: the load is too large, or goes to a gateway that others use.
        """
        return await self.start(rate, duration_s)

    def start(self, rate: float = 50, duration_s: float = _DURATION_S) -> asyncio.Task[LoadResult]:
        """Send requests in the background. Await the returned task for the result."""
        self.error, self.result, self._changes = "", None, []
        self.sending = f"sending {rate:g} requests a second for {duration_s:g} s"
        self._running = asyncio.get_running_loop().create_task(self._shoot(rate, duration_s))
        return self._running

    async def _shoot(self, rate: float, duration_s: float) -> LoadResult:
        try:
            self.result = await self._rollout.load(rate=rate, duration_s=duration_s, on_start=self._begin)
        finally:
            self._began, self.sending = 0.0, ""
        return self.result

    async def until(self, seconds: float) -> None:
        """Wait until the load has run for so many seconds, or has ended."""
        while self.sending and not (self._began and time.monotonic() - self._began >= seconds):
            await asyncio.sleep(_POLL_S)

    @property
    def phases(self) -> tuple[LoadPhase, ...]:
        """The last load, divided into one part for each percent that was routed during it."""
        return phases(self.result, distinct(self._changes)) if self.result and self._changes else ()

    @property
    def text(self) -> str:
        """The result, with one line for each percent."""
        if self.result is None:
            return with_state(self.snapshot, self.sending or f"{self.snapshot.name}: no load yet. Call panel.run()")
        _, *latencies = str(self.result).splitlines()
        total = f"{self.result.failed} of {len(self.result.shots):,} requests failed"
        return with_state(self.snapshot, "\n".join([*map(str, self.phases), total, *latencies]))

    def close(self) -> None:
        """Stop a load that a button started, and stop updating."""
        if self.__dict__.get("_running"):
            self._running.cancel()  # type: ignore[union-attr]
        super().close()

    def _begin(self) -> None:
        self._began = time.monotonic()
        self._note_change(self.snapshot)

    def _on_snapshot(self, snapshot: Snapshot) -> None:
        if self._began:
            self._note_change(snapshot)
        super()._on_snapshot(snapshot)

    def _note_change(self, snapshot: Snapshot) -> None:
        status = snapshot.status
        if status is None:
            return
        latest = status.latest_ready
        at_s = round(time.monotonic() - self._began, 2) if self._changes else 0.0
        self._changes.append(LoadChange(at_s, status.requested_percent, snapshot.routed.get(latest)))

    def _picture(self) -> str:
        drawn = load_picture.picture(self.result, distinct(self._changes), self._width - CARD_PADDING)
        marks = "".join(f"<span style='color:{colour}' aria-hidden='true'>{shape}</span> {safe(number)} "
                        for shape, colour, number in load_picture.legend(self.result))
        words = "".join(f"<div>{safe(line)}</div>" for line in self.text.splitlines())
        below = f"<div class='knb-chart-words' role='status'>{words}</div>"
        return card(self.snapshot, f"Load on {self.snapshot.name}", f"<div>{marks}</div>{drawn}{below}")

    def _draw(self) -> str:
        busy = "Requests are being sent." if self.sending else ""
        why_not = "The widget is closed." if self.snapshot.state == "closed" else busy
        buttons = [button("run", f"{rate} a second", value=str(rate), why_not=why_not,
                          title=f"Send {rate} requests a second for {_DURATION_S:.0f} s.") for rate in _RATES]
        failed = note("✖", f"Cannot send requests: {self.error}", urgent=True) if self.error else ""
        progress = note("…", self.sending, soft=True) if self.sending else ""
        return self._picture() + toolbar(*buttons) + f"<div class='knb-message'>{progress}{failed}</div>"

    def _handlers(self) -> Mapping[str, Handler]:
        return {"run": self._on_run}

    def _on_run(self, value: str) -> None:
        if not self.sending:
            self.start(rate=float(value)).add_done_callback(self._on_end)

    def _on_end(self, task: asyncio.Task[LoadResult]) -> None:
        error = None if task.cancelled() else task.exception()
        if error is not None:
            self.error = str(error) if isinstance(error, ReadableError) else f"{type(error).__name__}: {error}"

    @T.observe("result", "sending", "error")
    def _on_view_change(self, _change: Any) -> None:
        self.redraw()
