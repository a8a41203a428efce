"""A drill as a card: a user's report, a box for a repaired command, the doctor's lock, and the result."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from kserve_nb.access.api_client import INFERENCE_SERVICE
from kserve_nb.observe.snapshot import Snapshot
from kserve_nb.rollout.rollout import Rollout
from kserve_nb.tasks.drill import HINT_AFTER_S, LOCKED, DrillClock, DrillResult, try_command
from kserve_nb.tasks.drill_faults import Fault, unrepaired
from kserve_nb.tasks.learner_progress import LearnerProgress
from kserve_nb.tasks.task import solve
from kserve_nb.widgets.drawing.markup import button, chip, command, note, safe, toolbar
from kserve_nb.widgets.sheet.rollout_widget import RolloutWidget
from kserve_nb.widgets.sheet.sheet import Handler


class DrillCard(RolloutWidget):
    """One fault to find and to repair, live until `finish()`. `try_curl(…)` does the same as the box and its button."""

    def __init__(self, seed: int, fault: Fault, rollout: Rollout, progress: LearnerProgress, host: str):
        self.fault, self._rollout, self._progress = fault, rollout, progress
        self._command = fault.command(host, rollout.ingress.address)
        self._clock = DrillClock(seed, fault, time.time())
        self._users = rollout.probe()
        self._hint_timer = threading.Timer(HINT_AFTER_S + 1, self.redraw)
        self._hint_timer.daemon = True
        self._answer, self._draft = "", self._command
        self._generation = 0  # the generation of the InferenceService with the fault
        self._fault_seen = False  # whether a snapshot has shown the fault, or its repair
        self._judged: Mapping[str, Any] = {}  # the last document that counted as an attempt
        self._noted = False
        super().__init__(rollout)
        self.redraw()

    async def begin(self) -> None:
        """Cause the fault, and start the clock."""
        for step in self.fault.changes:
            patched = await asyncio.to_thread(
                self._rollout.client.patch, INFERENCE_SERVICE, self._rollout.name, step.patch)
            self._generation = int(patched["metadata"].get("generation") or 0)
        self._clock.began = time.time()
        self._hint_timer.start()

    @property
    def is_locked(self) -> bool:
        """Whether the doctor is locked."""
        return self._clock.is_locked

    @property
    def repaired(self) -> bool:
        """Whether the fault is repaired."""
        return bool(self._clock.repaired_at)

    def try_curl(self, line: str) -> str:
        """Send a repaired command, and return the response as text. It counts as an attempt."""
        done, self._answer = try_command(line, {})
        self._clock.note(done and self.fault.in_request, time.time())
        self.redraw()
        return self._answer

    async def repair(self) -> None:
        """Repair a fault of the cluster with the solution."""
        await solve(self._rollout, self.fault.repair)

    def finish(self) -> DrillResult:
        """End the drill, store its result with your progress, and return it."""
        self._hint_timer.cancel()
        self._users.close()
        self.close()
        result = self._result()
        if not self._noted:
            self._noted = True
            self._progress.note_drill(asdict(result))
        self.redraw()
        return result

    @property
    def text(self) -> str:
        """The drill as text."""
        lines = [f"{'✔' if self.repaired else '○'} drill {self._clock.seed}", f"  A user reports: {self.fault.report}"]
        lines += [f"  {self._command}"] if self._command else []
        return "\n".join([*lines, *(f"  {line}" for line in self._lines())])

    def _result(self) -> DrillResult:
        users = self._users
        return self._clock.result(time.time(), users.answered + users.failed, users.failed)

    def _lines(self) -> list[str]:
        if self.repaired:
            return [repr(self._result())]
        lines = [f"Your command's answer: {self._answer}"] if self._answer else []
        lines.append(f"Attempts: {self._clock.attempts}. " + (f"{LOCKED.capitalize()}." if self.is_locked else
                     "The doctor helps now: lab.doctor()."))  # fmt: skip
        return [*lines, self._clock.hint(time.time())]

    def _picture(self) -> str:
        state = ("✔", "repaired", "good") if self.repaired else ("○", "open", "")
        head = f"<div class='knb-head'><span class='knb-title'>Drill {self._clock.seed}</span>{chip(*state)}</div>"
        lines = "".join(note("→", line) for line in self._lines())
        shown = command(self._command) if self._command else ""
        report = f"<p>A user reports: {safe(self.fault.report)}</p>"
        return f"<div class='knb-part' data-key='picture'>{head}{report}{shown}{lines}</div>"

    def _draw(self) -> str:
        if self.repaired or not self.fault.in_request:
            return self._picture()
        box = (f"<label data-key='box'>The repaired command<textarea rows='4' data-change='curl' data-selected="
               f"'{safe(self._draft)}'>{safe(self._draft)}</textarea></label>")  # fmt: skip
        return self._picture() + box + toolbar(button("try", "Send it", look="primary"))

    def _handlers(self) -> Mapping[str, Handler]:
        return {"curl": self._on_draft, "try": lambda _value: self.try_curl(self._draft)}

    def _on_draft(self, value: str) -> None:
        self._draft = value

    def _on_snapshot(self, snapshot: Snapshot) -> None:
        if snapshot.state == "live" and not self.fault.in_request and not self.repaired:
            self._judge(snapshot)
        super()._on_snapshot(snapshot)
        self.redraw()

    def _judge(self, snapshot: Snapshot) -> None:
        """Decide after a change: if the cluster is healthy, the fault is repaired; any other change is an attempt."""
        missing, status = unrepaired(snapshot), snapshot.status
        generation = status.generation if status else 0
        if status and generation < self._generation:
            return  # the snapshot is from before the fault
        if not self._fault_seen:
            changed = bool(self._generation) and generation > self._generation
            self._fault_seen = bool(missing) or changed
            self._judged = snapshot.document
            if missing or not changed:
                return
        if not missing:
            self._clock.note(True, time.time())
        elif snapshot.document != self._judged:
            self._judged = snapshot.document
            self._clock.note(False, time.time())
