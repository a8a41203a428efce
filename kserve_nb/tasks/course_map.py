"""The map of the course with the learner's progress, as the start page shows it."""

from __future__ import annotations

import html
from dataclasses import dataclass

from kserve_nb.tasks import progress_text
from kserve_nb.tasks.course_tasks import NOTEBOOKS, tasks_of
from kserve_nb.tasks.learner_progress import LearnerProgress

SHORT_PATH = ("00_setup", "01_first_inference_service", "03_canary", "06_promote", "07_rollback")  # 45 minutes
_QUESTIONS = {
    "00_setup": "If you write one object, who writes the pods?",
    "01_first_inference_service": "Why is PREV empty?",
    "02_ingress_and_predictions": "Which component returned the 404?",
    "03_canary": "Why is PREV 90 while both names are revision 1?",
    "04_old_schema": "Which one wins if a document has both schemas?",
    "05_more_requests": "How many requests do you need?",
    "06_promote": "When do the old pods stop?",
    "07_rollback": "Why do two pods keep running?",
    "08_tag_routing": "Why is there a revision 3?",
    "09_gates": "What does a rollout do without evidence?",
    "10_broken_canary": "How many users does a bad model reach?",
    "11_compare": "Where do two models differ, and which one is better?",
    "12_scale_to_zero": "Who answers when no pod runs?",
    "13_load": "Does a request fail if users are moved under load?",
    "14_your_own_model": "Why does a published version never change?",
}
_MARKS = {"done": "✔", "begun": "◐", "new": "○"}


@dataclass(frozen=True)
class MapRow:
    """One notebook of the map."""

    notebook: str
    mark: str
    question: str
    minutes: int
    done: int  # tasks
    tasks: int
    short_path: bool


class CourseMap:
    """The notebooks with your progress, the open tasks, and the next step."""

    def __init__(self, progress: LearnerProgress):
        self._progress = progress

    @property
    def rows(self) -> tuple[MapRow, ...]:
        """One row for each notebook."""
        opened, finished = self._progress.opened(), progress_text.finished(self._progress)
        records = self._progress.tasks()
        rows = []
        for name, minutes in NOTEBOOKS.items():
            tasks = tasks_of(name)
            done = sum(task.id in records and records[task.id].done for task in tasks)
            mark = _MARKS["done" if name in finished else "begun" if name in opened else "new"]
            whole = minutes + sum(task.minutes for task in tasks)
            rows.append(MapRow(name, mark, _QUESTIONS[name], whole, done, len(tasks), name in SHORT_PATH))
        return tuple(rows)

    @property
    def text(self) -> str:
        """The map as text."""
        lines = [progress_text.headline(self._progress)]
        for row in self.rows:
            tasks = f"{row.done}/{row.tasks} tasks" if row.tasks else "no task"
            short = "45 min path" if row.short_path else ""
            lines.append(f"{row.mark} {row.notebook:<28}{row.minutes:>3} min  {tasks:<10} {short}".rstrip())
        return "\n".join([*lines, *self._last_lines()])

    def _last_lines(self) -> list[str]:
        following, problem = progress_text.next_task(self._progress), self._progress.problem
        return [*([f"next: {following}"] if following else []), *([problem] if problem else [])]

    def __repr__(self) -> str:
        return self.text

    def _repr_html_(self) -> str:
        body = "".join(_html(row) for row in self.rows)
        words = ("", "notebook", "you can answer", "tasks", "minutes", "45 min path")
        head = "".join(f"<th scope='col'>{word}</th>" for word in words)
        lines = [progress_text.headline(self._progress), *self._last_lines()]
        notes = "".join(f"<div>{html.escape(line)}</div>" for line in lines)
        return f"{notes}<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def course_map() -> CourseMap:
    """The map of the course with your progress.

    >>> print(course_map())
    0 of 15 notebooks done · 18 tasks open · about ... min left
    ○ 00_setup                      5 min  no task    45 min path
    ...
    next: A second model, all at once (01_first_inference_service.ipynb)
    """
    return CourseMap(LearnerProgress())


def _html(row: MapRow) -> str:
    link = f"<a href='{row.notebook}.ipynb'>{row.notebook.replace('_', ' ')}</a>"
    tasks = f"{row.done} of {row.tasks}" if row.tasks else "–"
    cells = (row.mark, link, html.escape(row.question), tasks, str(row.minutes), "✔" if row.short_path else "")
    return "<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>"
