"""The learner's progress, stored in the state folder of the user: tasks, predictions, drills, and the present attempt.

Nothing of it leaves the machine. `KSERVE_NB_PROGRESS=off` keeps a run of notebooks from writing it.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import platformdirs

from kserve_nb.tasks.task_attempt import TaskState

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

FORMAT = 1  # raised when an older version would misread the file
OFF = "KSERVE_NB_PROGRESS"
_FILE = "progress.json"
_EMPTY: Mapping[str, Any] = {
    "format": FORMAT, "seed": "", "notebooks": {}, "tasks": {}, "predictions": {}, "drills": [],
}  # fmt: skip
_TYPES = {key: type(value) for key, value in _EMPTY.items()}


@dataclass(frozen=True)
class TaskRecord:
    """The stored record of one task."""

    seed: str = ""  # the seed of the attempt that the counts belong to
    opened_at: float = 0.0
    done_at: float = 0.0  # 0 while it is open
    rejected: int = 0
    hints: int = 0
    shown: bool = False
    first_done_at: float = 0.0  # stays when the task is undone, or attempted again

    @property
    def done(self) -> bool:
        """Whether it has been done at least once."""
        return self.first_done_at > 0

    @property
    def minutes(self) -> float:
        """How long it took the first time."""
        return max(0.0, self.first_done_at - self.opened_at) / 60 if self.done else 0.0


class LearnerProgress:
    """The learner's progress in a file, which is replaced atomically at each change. Processes can share it."""

    def __init__(self, file: Path | None = None):
        default = Path(platformdirs.user_state_path("kserve-nb")) / _FILE
        self.file = default if file is None else file
        self.off = file is None and os.environ.get(OFF) == "off"
        self._seed = ""  # the seed of the attempt that this process has begun
        self.problem = ""  # why nothing can be stored

    @property
    def seed(self) -> str:
        """The random seed of the values in the present attempt; empty for the defaults."""
        return self._seed or str(self._read()["seed"])

    def draw_seed(self) -> str:
        """A seed that no attempt has had yet."""
        return secrets.token_hex(4)

    def begin_attempt(self, seed: str) -> None:
        """Begin an attempt with other values, or go on with it."""
        self._seed = seed  # also where nothing is stored
        self._change(lambda data: data.update(seed=seed))

    def note_opened(self, notebook: str) -> None:
        """Record that a notebook was opened."""
        self._change(lambda data: data["notebooks"].setdefault(notebook, time.time()))

    def opened(self) -> frozenset[str]:
        """The notebooks that were opened."""
        return frozenset(self._read()["notebooks"])

    def task(self, id_: str) -> TaskRecord:
        """The record of a task; an empty one if it was never opened."""
        return _record(self._read()["tasks"].get(id_))

    def tasks(self) -> dict[str, TaskRecord]:
        """The records of all tasks that were opened."""
        return {id_: _record(row) for id_, row in self._read()["tasks"].items()}

    def note_task(self, id_: str, state: TaskState, seed: str) -> TaskRecord:
        """Record the result of an attempt at a task, and return the new record."""
        before = self.task(id_)
        same = before.seed == seed and before.opened_at
        done_at = state.done_at if state.progress == "done" else 0.0
        after = TaskRecord(
            seed, before.opened_at if same else time.time(), done_at, state.rejected, len(state.hints),
            state.shown or bool(same and before.shown), before.first_done_at or done_at)  # fmt: skip
        if after != before:
            self._change(lambda data: data["tasks"].update({id_: asdict(after)}))
        return after

    def note_prediction(self, id_: str, right: bool) -> None:
        """Record whether a prediction was right the first time."""
        self._change(lambda data: data["predictions"].setdefault(id_, right))

    def predictions(self) -> dict[str, bool]:
        """The predictions that were entered, and whether they were right."""
        return dict(self._read()["predictions"])

    def note_drill(self, row: Mapping[str, Any]) -> None:
        """Record the result of a drill."""
        self._change(lambda data: data["drills"].append(dict(row)))

    def drills(self) -> tuple[Mapping[str, Any], ...]:
        """The results of all drills, the oldest first."""
        return tuple(self._read()["drills"])

    def start_over(self) -> None:
        """Forget everything, and keep the former file beside the new one."""
        with contextlib.suppress(OSError), self._locked():
            self.file.replace(self.file.with_name(f"{_FILE}.before"))

    def _read(self) -> dict[str, Any]:
        empty: dict[str, Any] = json.loads(json.dumps(_EMPTY))
        try:
            found = _checked(json.loads(self.file.read_text(encoding="utf-8")))
        except FileNotFoundError:
            return empty
        except (OSError, ValueError) as error:
            self.problem = f"Cannot read {self.file}: {error}. It is kept as {_FILE}.damaged, and a new one begins."
            with contextlib.suppress(OSError):
                self.file.replace(self.file.with_name(f"{_FILE}.damaged"))
            return empty
        if found.get("format", 0) > FORMAT:
            self.problem = f"A newer version of kserve-nb wrote {self.file}, so this one changes nothing in it."
            self.off = True
        known = {key: found[key] for key in empty if isinstance(found.get(key), _TYPES[key])}
        return {**found, **empty, **known}

    def _change(self, change: Callable[[dict[str, Any]], object]) -> None:
        if self.off:
            return
        try:
            with self._locked():
                data = self._read()
                if self.off:
                    return
                change(data)
                self._write(json.dumps(data, indent=1))
        except OSError as error:
            self.problem = f"Cannot store your progress in {self.file}: {error.strerror}. The course works without."

    def _write(self, text: str) -> None:
        """Replace the file in one step: after a crash it has the old or the new content."""
        descriptor, draft = tempfile.mkstemp(dir=self.file.parent, prefix=".progress-")
        with open(descriptor, "w", encoding="utf-8") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        Path(draft).replace(self.file)

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        """Let one process at a time read, change and write."""
        self.file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with open(self.file.with_name(".progress.lock"), "w", encoding="utf-8") as stream:
            if fcntl is not None:
                fcntl.flock(stream, fcntl.LOCK_EX)
            yield


def _checked(found: Any) -> dict[str, Any]:
    """The content of a file. Raises ValueError if this version or an older one cannot have written it."""
    if not isinstance(found, dict) or not isinstance(found.get("format", 0), int):
        raise ValueError("it does not hold a learner's progress")
    tasks, drills = found.get("tasks"), found.get("drills")
    rows = [*(tasks.values() if isinstance(tasks, dict) else ()), *(drills if isinstance(drills, list) else ())]
    if found.get("format", 0) <= FORMAT and not all(isinstance(row, dict) for row in rows):
        raise ValueError("a task or a drill is not an object")
    return found


def _record(row: Any) -> TaskRecord:
    known = {field.name for field in fields(TaskRecord)}
    return TaskRecord(**{key: value for key, value in (row or {}).items() if key in known})
