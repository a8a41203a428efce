"""A learner's progress as text: one line for each notebook's start, and a table for the terminal."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping

from kserve_nb.tasks.course_tasks import NOTEBOOKS, TASKS, tasks_of
from kserve_nb.tasks.learner_progress import LearnerProgress, TaskRecord
from kserve_nb.tasks.task import CourseTask

_SESSION = "JPY_SESSION_NAME"  # set by a Jupyter server: the path of the kernel's notebook
_STEM = re.compile(r"(\d\d_\w+)\.ipynb$")


def running_notebook(environ: Mapping[str, str] = os.environ) -> str:
    """The name of the notebook that this kernel belongs to, such as `03_canary`; empty if it is unknown."""
    found = _STEM.search(environ.get(_SESSION, ""))
    return found[1] if found else ""


def open_tasks(progress: LearnerProgress) -> list[CourseTask]:
    """The tasks that were never done, in order."""
    records = progress.tasks()
    return [task for task in TASKS.values() if task.id not in records or not records[task.id].done]


def finished(progress: LearnerProgress) -> list[str]:
    """The notebooks that were opened and have no open task."""
    unfinished = {task.notebook for task in open_tasks(progress)}
    return [name for name in NOTEBOOKS if name in progress.opened() and name not in unfinished]


def minutes_left(progress: LearnerProgress) -> int:
    """About how many minutes the rest of the course takes."""
    opened = progress.opened()
    return sum(minutes for name, minutes in NOTEBOOKS.items() if name not in opened) + sum(
        task.minutes for task in open_tasks(progress))  # fmt: skip


def headline(progress: LearnerProgress) -> str:
    """The progress in one line.

    >>> from pathlib import Path
    >>> headline(LearnerProgress(Path("no-such-folder/progress.json")))
    '0 of 15 notebooks done · 18 tasks open · about 166 min left'
    """
    left = open_tasks(progress)
    done = f"{len(finished(progress))} of {len(NOTEBOOKS)} notebooks done"
    if not left:
        return f"{done} · all {len(TASKS)} tasks done"
    return f"{done} · {len(left)} task{'s' if len(left) > 1 else ''} open · about {minutes_left(progress)} min left"


def next_task(progress: LearnerProgress) -> str:
    """The next open task in one line; empty if all are done."""
    task = next(iter(open_tasks(progress)), None)
    return f"{task.title} ({task.notebook}.ipynb)" if task else ""


def table(progress: LearnerProgress) -> str:
    """The whole progress: the headline, a line for each notebook and task, and the next step."""
    records, done, opened = progress.tasks(), finished(progress), progress.opened()
    lines = [headline(progress)]
    for name in NOTEBOOKS:
        lines.append(f"{'✔' if name in done else '◐' if name in opened else '○'} {name}")
        lines += [f"    {_line(task, records.get(task.id, TaskRecord()))}" for task in tasks_of(name)]
    predictions, drills = progress.predictions(), progress.drills()
    if predictions:
        lines.append(f"predictions: {sum(predictions.values())} of {len(predictions)} right")
    if drills:
        lines.append(f"drills: {sum(bool(row.get('repaired')) for row in drills)} of {len(drills)} repaired")
    if following := next_task(progress):
        lines.append(f"next: {following}")
    return "\n".join([*lines, *([progress.problem] if progress.problem else [])])


def _line(task: CourseTask, record: TaskRecord) -> str:
    words = [f"{record.rejected} rejected attempt{'s' if record.rejected != 1 else ''}"] if record.rejected else []
    words += [f"{record.hints} hint{'s' if record.hints != 1 else ''}"] if record.hints else []
    words += ["shown"] if record.shown else []
    words += [f"{record.minutes:.0f} min"] if record.minutes >= 1 else []
    details = f" ({', '.join(words)})" if words else ""
    return f"{'✔' if record.done else '○'} {task.title}{details}"
