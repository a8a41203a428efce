"""The runner of a gated rollout: its step, each gate's evidence, and buttons to start, pause, skip and roll back."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from typing import Any

import traitlets as T  # noqa: N812 - short, as traits fill these lines

from kserve_nb.gates import run_report
from kserve_nb.gates.execution.run_state import RunState
from kserve_nb.gates.execution.state_machine import WATCHING
from kserve_nb.gates.gated_rollout import GatedRollout
from kserve_nb.gates.plan import RolloutPlan
from kserve_nb.values.text.readable_error import ReadableError
from kserve_nb.widgets.drawing import gate_rows
from kserve_nb.widgets.drawing.markup import button, note, toolbar
from kserve_nb.widgets.sheet.sheet import Handler, Sheet

_LABELS = {"start": "Start", "pause": "Pause", "resume": "Resume", "skip": "Skip this step", "roll_back": "Roll back",
           "abort": "Abort"}  # fmt: skip
_PHASES: dict[str, tuple[str, ...]] = {  # the phases in which each button has an effect
    "pause": ("baking", "held"),
    "resume": ("paused", "held"),
    "skip": WATCHING,
}


class RunnerPanel(Sheet):
    """A plan and the runner that follows it: `panel = RunnerPanel(rollout, plan)`, then `await panel.follow()`.

    Each button has a method that does the same: `rollout.pause()`, `resume()`, `skip()`, `roll_back()` and `abort()`.

    >>> print(RunnerPanel(rollout, RolloutPlan(steps=(10, 100))).text)
    sklearn-iris: not started; steps 10, 100
    """

    state = T.Instance(RunState, allow_none=True)
    problem = T.Unicode()  # why the last button had no effect

    def __init__(self, rollout: GatedRollout, plan: RolloutPlan):
        self.rollout, self.plan = rollout, plan
        self._running: asyncio.Task[RunState] | None = None
        super().__init__()
        self.redraw()

    async def follow(self) -> RunState:
        """Follow the plan and show its state, as the button Start does."""
        return await self.rollout.follow(self.plan, on_change=self._show)

    @property
    def text(self) -> str:
        """The state as text, and the progress in one line."""
        if self.state is None:
            return f"{self.rollout.name}: not started; steps {', '.join(map(str, self.plan.steps))}"
        return f"{run_report.progress_line(self.plan, self.state, time.time())}\n{self.state!r}"

    @property
    def json(self) -> dict[str, Any]:
        """The state as dicts and lists; empty before the start."""
        return self.state.to_dict() if self.state else {}

    def close(self) -> None:
        """Stop a runner that the button started. The rollout stays as it is, and can be followed again."""
        if self._running:
            self._running.cancel()

    def _show(self, _plan: RolloutPlan, state: RunState) -> None:
        self.state = state

    def _picture(self) -> str:
        return gate_rows.html(self.rollout.name, self.plan, self.state, time.time())

    def _draw(self) -> str:
        failed = note("✖", self.problem, urgent=True) if self.problem else ""
        buttons = [button(name, label, why_not=self._why_not(name)) for name, label in _LABELS.items()]
        return toolbar(*buttons) + failed + self._picture()

    def _why_not(self, name: str) -> str:
        """Why a button has no effect now; empty if it has one."""
        if self.rollout.read_only:
            return f"this lab is read-only: {self.rollout.read_only}"
        if self.state is None or self.state.ended:
            return "" if name == "start" else "no rollout is in progress"
        if name == "start":
            return f"the rollout is in progress: {self.state.phase}"
        phases = _PHASES.get(name)
        return "" if phases is None or self.state.phase in phases else f"not while it is {self.state.phase}"

    def _handlers(self) -> Mapping[str, Handler]:
        return {name: self._handler(name) for name in _LABELS}

    def _handler(self, name: str) -> Callable[[str], object]:
        def press(_value: str) -> None:
            self.problem = ""
            try:
                if why := self._why_not(name):
                    self.problem = f"Cannot {_LABELS[name].lower()}: {why}."
                elif name == "start":
                    self._running = asyncio.get_event_loop().create_task(self.follow())
                    self._running.add_done_callback(self._ended)
                else:
                    getattr(self.rollout, name)()
            except ReadableError as error:
                self.problem = str(error)

        return press

    def _ended(self, task: asyncio.Task[RunState]) -> None:
        error = None if task.cancelled() else task.exception()
        if error is not None:
            self.problem = str(error)

    @T.observe("state", "problem")
    def _on_change(self, _change: Any) -> None:
        self.redraw()
