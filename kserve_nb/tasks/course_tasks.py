"""All tasks of the course in order, and the notebooks with the minutes that each takes."""

from __future__ import annotations

from kserve_nb.tasks.first_tasks import FIRST_TASKS
from kserve_nb.tasks.gate_tasks import GATE_TASKS
from kserve_nb.tasks.later_tasks import LATER_TASKS
from kserve_nb.tasks.task import CourseTask

TASKS = {task.id: task for task in (*FIRST_TASKS, *LATER_TASKS, *GATE_TASKS)}

# The notebooks of the course in order, and how many minutes reading and running one takes, without its tasks.
NOTEBOOKS = {
    "00_setup": 5,
    "01_first_inference_service": 5,
    "02_ingress_and_predictions": 8,
    "03_canary": 8,
    "04_old_schema": 5,
    "05_more_requests": 8,
    "06_promote": 6,
    "07_rollback": 8,
    "08_tag_routing": 6,
    "09_gates": 9,
    "10_broken_canary": 8,
    "11_compare": 7,
    "12_scale_to_zero": 6,
    "13_load": 7,
    "14_your_own_model": 7,
}


def task_named(id_: str) -> CourseTask:
    """The task with this id. Raises ValueError if there is none."""
    if id_ not in TASKS:
        raise ValueError(f"There is no task {id_!r}. The tasks are: {', '.join(TASKS)}.")
    return TASKS[id_]


def tasks_of(notebook: str) -> tuple[CourseTask, ...]:
    """The tasks of a notebook, in order."""
    return tuple(task for task in TASKS.values() if task.notebook == notebook)
