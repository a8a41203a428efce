"""A task as a card: the goal, the live state, hints after failed attempts, and "Show me"."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from kserve_nb.access.api_client import RefusedError
from kserve_nb.observe.snapshot import KINDS, Snapshot, belongs_to, clock, snapshot_of
from kserve_nb.rollout.rollout import Rollout
from kserve_nb.tasks import states
from kserve_nb.tasks.learner_progress import LearnerProgress
from kserve_nb.tasks.task import CourseTask, Targets, solve
from kserve_nb.tasks.task_attempt import TaskAttempt, TaskState
from kserve_nb.widgets.drawing.frame import card, with_state
from kserve_nb.widgets.drawing.markup import button, chip, command, note, safe, toolbar
from kserve_nb.widgets.sheet.rollout_widget import RolloutWidget
from kserve_nb.widgets.sheet.sheet import Handler

_CHIPS = {"waiting": ("…", "connecting", ""), "open": ("○", "open", ""), "done": ("✔", "done", "good")}


@dataclass(frozen=True)
class TaskResult:
    """The result of an attempt at a task, when the notebook continues."""

    id: str
    title: str
    state: TaskState

    @property
    def done(self) -> bool:
        """Whether the task is done."""
        return self.state.progress == "done"

    def __repr__(self) -> str:
        if self.done:
            return f"✔ task {self.id}: {self.title}{' (shown)' if self.state.shown else ''}"
        return (f"○ task {self.id} is open: {self.state.missing}. The notebook goes on without it. To do it later, run "
                "the cell of the task again.")  # fmt: skip


class TaskCard(RolloutWidget):
    """A task, live until `finish()` or `close()`. It is done when the cluster has the requested state.

    The values to reach are `percent`, `rest`, `number`, `service` and `model`.
    """

    def __init__(self, task: CourseTask, rollout: Rollout, targets: Targets, progress: LearnerProgress, seed: str = ""):
        self.task, self.targets, self._rollout = task, targets, rollout
        self._progress, self._seed = progress, seed
        self._attempt = TaskAttempt(task, targets, rollout.client.namespace)
        self._newest = Snapshot("")  # the newest snapshot that was observed
        self._recorded: TaskState | None = None
        self._solving, self._problem = False, ""
        self._state_lock = threading.Lock()  # held for a moment only, and never while a trait is set
        progress.note_opened(task.notebook)
        before = progress.task(task.id)
        self.was_done = before.done
        if before.seed == seed:
            self._attempt.resume(before.rejected)
        self._read_now()
        super().__init__(rollout)
        self.redraw()

    @property
    def percent(self) -> int:
        """The percent that LATEST should receive."""
        return self.targets.percent

    @property
    def rest(self) -> int:
        """The percent that is left for PREV."""
        return self.targets.rest

    @property
    def service(self) -> str:
        """The name of the InferenceService."""
        return self.targets.service

    @property
    def model(self) -> str:
        """The storageUri of the model."""
        return self.targets.model

    @property
    def state(self) -> TaskState:
        """The result of the attempt so far."""
        return self._attempt.state

    @property
    def done(self) -> bool:
        """Whether the task is done now."""
        return self.state.progress == "done"

    def finish(self) -> TaskResult:
        """Read the cluster once more, stop watching, and return the result of the attempt."""
        self._read_now()
        self.close()
        self.redraw()
        return TaskResult(self.task.id, self.task.title, self.state)

    async def solve(self, timeout_s: float = 180) -> None:
        """Solve the task, as "Show me" does, and record that the solution was shown."""
        self._attempt.note_shown()
        self._solving, self._problem = True, ""
        self.redraw()
        try:
            await solve(self._rollout, self.task.solution(self.targets), timeout_s)
        finally:
            self._solving = False
            self._read_now()
            self.redraw()

    @property
    def text(self) -> str:
        """The task as text."""
        rows = [f"{_CHIPS[self.state.progress][0]} task: {self.task.title}", f"  {self.task.text(self.targets)}"]
        rows += [f"  {line}" for line in self._lines()]
        rows += [f"  hint: {hint}" for hint in self._shown_hints()]
        return with_state(self.snapshot, "\n".join(rows))

    @property
    def json(self) -> dict[str, Any]:
        """The task and its state as dicts and lists."""
        state = self.state
        return {"id": self.task.id, "progress": state.progress, "missing": state.missing, "rejected": state.rejected,
                "hints": list(state.hints), "shown": state.shown}  # fmt: skip

    def _picture(self) -> str:
        glyph, word, look = _CHIPS[self.state.progress]
        lines = "".join(f"<div>{safe(line)}</div>" for line in self._lines())
        body = f"<p>{_code(self.task.text(self.targets))}</p><div role='status'>{lines}</div>{self._hint_rows()}"
        return card(self.snapshot, f"Your turn: {self.task.title}", body, chip(glyph, word, look))

    def _draw(self) -> str:
        if self.done:
            return self._picture()
        why = self._rollout.read_only or ("It is being solved." if self._solving else "")
        return self._picture() + toolbar(
            button("show", "Show me", why_not=why, title="Solves the task, so that you can go on.")
        )

    def _lines(self) -> list[str]:
        state = self.state
        if state.progress == "done":
            how = "It was shown to you" if state.shown else f"Done at {clock(state.done_at)}"
            return [f"{how}: {states.percents(self._newest)}."]
        lines = [f"Now: {state.missing}."]
        if self._solving:
            lines.append("Show me: the cluster is being changed …")
        if self._problem:
            lines.append(f"Show me: {self._problem}")
        if state.rejected:
            lines.append(f"Attempts without success: {state.rejected}.")
        if state.done_at:
            lines.append(f"It was done at {clock(state.done_at)}, and has been undone.")
        elif self.was_done:
            lines.append("You have done this task before.")
        return lines

    def _shown_hints(self) -> tuple[str, ...]:
        return () if self.done else self.state.hints

    def _hint_rows(self) -> str:
        rows = []
        for hint in self._shown_hints():
            words, _, lines = hint.partition("\n")
            rows.append(note("→", words) + (command(lines) if lines else ""))
        return "".join(rows)

    def _handlers(self) -> Mapping[str, Handler]:
        return {"show": self._on_show}

    def _on_show(self, _value: str) -> None:
        if not self._solving and not self.done and not self._rollout.read_only:
            threading.Thread(target=self._solve_in_thread, name=f"solution of {self.task.id}", daemon=True).start()

    def _solve_in_thread(self) -> None:
        try:
            asyncio.run(self.solve())
        except Exception as error:  # this runs on a thread, so the card shows the error
            self._problem = str(error)
            self.redraw()

    def _on_snapshot(self, snapshot: Snapshot) -> None:
        self._observe(snapshot)
        super()._on_snapshot(snapshot)
        self.redraw()

    def _read_now(self) -> None:
        """Observe the cluster as it is at this moment; the feed can be a moment behind."""
        client, name = self._rollout.client, self._rollout.name
        try:
            found = {kind: [obj for obj in client.find_all(kind) if belongs_to(name, kind, obj)] for kind in KINDS}
        except RefusedError:
            return  # the feed retries, and shows the reason
        self._observe(snapshot_of(name, found))

    def _observe(self, snapshot: Snapshot) -> None:
        with self._state_lock:
            if _is_older(snapshot, self._newest):
                return
            if snapshot.state == "live":
                self._newest = snapshot
            state = self._attempt.observe(snapshot, time.time())
            if state != self._recorded and state.progress != "waiting":
                self._recorded = state
                self._progress.note_task(self.task.id, state, self._seed)


def _is_older(one: Snapshot, other: Snapshot) -> bool:
    """Whether a snapshot was read before another one of the same object."""
    a, b = one.status, other.status
    if a is None or b is None or a.uid != b.uid or not (a.version.isdigit() and b.version.isdigit()):
        return False
    return int(a.version) < int(b.version)


def _code(text: str) -> str:
    """Text with `code` as HTML."""
    parts = safe(text).split("`")
    return "".join(f"<code>{part}</code>" if n % 2 else part for n, part in enumerate(parts))
