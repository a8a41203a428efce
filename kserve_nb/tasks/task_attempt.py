"""One attempt at a task: it receives the cluster's states, and decides when the task is done. No I/O."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import Any, Literal

from kserve_nb.observe.snapshot import Snapshot
from kserve_nb.tasks.task import CourseTask, Start, Targets
from kserve_nb.values import manifest
from kserve_nb.values.labels import LAST_APPLIED

# A state has to last before it counts: one reading can fall between two writes of the controllers, and a conflict
# between two of them can look like a failure for a second.
SETTLED_FOR_S, FAILED_FOR_S = 1.0, 2.0
NUDGE, DIFFERENCE, COMMAND = 1, 2, 3  # rejected attempts after which a hint says more
_UNJUDGED = ("loading", "stale", "error", "closed")
Progress = Literal["waiting", "open", "done"]


@dataclass(frozen=True)
class TaskState:
    """The result of an attempt so far: what is missing, how often it was rejected, and the hints."""

    progress: Progress = "waiting"
    missing: str = "the cluster has not answered yet"
    rejected: int = 0
    hints: tuple[str, ...] = ()
    done_at: float = 0.0  # when it was last done, seconds since 1970
    shown: bool = False  # "Show me" has solved it


class TaskAttempt:
    """Follows one task from its first state on. A state that was there before the attempt began completes nothing."""

    def __init__(self, task: CourseTask, targets: Targets, namespace: str = "kserve-test"):
        self.task, self.targets, self.namespace = task, targets, namespace
        self.state = TaskState()
        self.start: Start | None = None
        self._was_there = False  # the goal held when the attempt began
        self._judged = ""  # the last document that was judged
        self._spoiled = ""
        self._lasting: tuple[str, float] = ("", 0.0)  # what has stayed the same, and since when

    def observe(self, seen: Snapshot, now: float) -> TaskState:
        """Take a state of the cluster into account, and return the result so far."""
        if seen.state in _UNJUDGED:
            return self.state
        if self.start is None:
            self.start = Start(seen, self.targets)
            self._judged = _fingerprint(seen)
            self._was_there = not self.task.goal(seen, self.start)
        missing = self.task.goal(seen, self.start)
        self._was_there = self._was_there and not missing
        self._note_spoiled(seen, self.start)
        if self._was_there:
            missing = "this state was there before the task began: change it, then reach it again"
        elif self._spoiled:
            missing = self._spoiled
        if not missing:
            self._judged = _fingerprint(seen)
            done_at = self.state.done_at if self.state.progress == "done" else now
            self.state = replace(self.state, progress="done", missing="", done_at=done_at)
        elif self.state.progress == "done":
            self._judged = _fingerprint(seen)  # a change that undoes a task is not an attempt
            self.state = replace(self.state, progress="open", missing=missing)
        else:
            self.state = replace(self.state, progress="open", missing=missing)
            self._count(seen, self.start, now)
        return self.state

    def resume(self, rejected: int) -> None:
        """Go on with the rejected attempts of an earlier kernel."""
        self.state = replace(self.state, rejected=rejected)

    def note_shown(self) -> None:
        """Record that "Show me" solves the task."""
        self.state = replace(self.state, shown=True)

    def _note_spoiled(self, seen: Snapshot, start: Start) -> None:
        if self.task.spoiled is None:
            return
        found = self.task.spoiled(seen, start)
        if found:
            self._spoiled = found
        elif self._spoiled and seen.phase == "settled" and seen.status and seen.status.requested_percent == 0:
            self._spoiled = ""  # back where no user meets it: a new try

    def _count(self, seen: Snapshot, start: Start, now: float) -> None:
        """Count a change that has ended without reaching the goal, once, and give the hints for it."""
        if _fingerprint(seen) == self._judged or not self._ended(seen, now):
            return
        self._judged = _fingerprint(seen)
        rejected = self.state.rejected + 1
        self.state = replace(self.state, rejected=rejected, hints=self._hints(seen, start, rejected))

    def _ended(self, seen: Snapshot, now: float) -> bool:
        """Whether nothing more happens without help, for some time already."""
        key = f"{seen.phase} {seen.failure} {_fingerprint(seen)}"
        if self._lasting[0] != key:
            self._lasting = (key, now)
        lasts_s = now - self._lasting[1]
        if seen.phase == "moving":
            return bool(self._spoiled)
        return lasts_s >= (FAILED_FOR_S if seen.phase == "failed" else SETTLED_FOR_S)

    def _hints(self, seen: Snapshot, start: Start, rejected: int) -> tuple[str, ...]:
        found = self._spoiled or next(filter(None, (mistake(seen, start) for mistake in self.task.mistakes)), "")
        hints = [found or self.task.nudge]
        if rejected >= DIFFERENCE:
            hints.append(self._difference(seen))
        if rejected >= COMMAND:
            hints.append(f"One way to do it:\n{self.task.commands(self.targets, self.namespace)}")
        return tuple(filter(None, hints))

    def _difference(self, seen: Snapshot) -> str:
        """The first difference: as the doctor explains a failure, or as a plan shows what a change would do."""
        if seen.failure:
            from kserve_nb.doctor import explain  # all rules are slow to import

            found = next(iter(explain(seen.failure)), None)
            if found:
                return f"The doctor: {found.id} {found.title}. {found.why}"
        wanted = manifest.merged(seen.document, self.task.patch(self.targets))
        change = next(iter(manifest.diff(seen.document, wanted)), None)
        if change is None:
            return f"The first difference: {self.state.missing}."
        before, after = (_word(value) for value in (change.before, change.after))
        return f"The first difference: {change.path} is {before}, and should be {after} ({change.consequence})."


def _word(value: Any) -> str:
    return "absent" if value is None else str(value)


def _fingerprint(seen: Snapshot) -> str:
    """Differs between two states if somebody changed the InferenceService between them."""
    document = seen.document
    annotations = (document.get("metadata") or {}).get("annotations") or {}
    uid = seen.status.uid if seen.status else ""
    return json.dumps([uid, document, annotations.get(LAST_APPLIED)], sort_keys=True, default=str)
