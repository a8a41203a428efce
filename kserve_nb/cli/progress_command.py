"""`kserve-nb progress`: what the learner has done, and what comes next."""

from __future__ import annotations

import json
from dataclasses import asdict

import click

from kserve_nb.cli.common_options import OUTPUT, echo
from kserve_nb.tasks import progress_text
from kserve_nb.tasks.course_tasks import TASKS
from kserve_nb.tasks.learner_progress import LearnerProgress, TaskRecord


@click.command()
@click.option("--start-over", is_flag=True, help="Forget your progress. The former file is kept beside the new one.")
@OUTPUT
def progress(start_over: bool, output: str) -> None:
    """Show which notebooks and tasks you have done, with attempts, hints and minutes, and the next step.

    The progress is kept in a file on this machine. Nothing is sent anywhere.
    """
    found = LearnerProgress()
    if start_over:
        found.start_over()
    if output == "json":
        records = found.tasks()
        rows = {id_: {**asdict(record), "done": record.done, "minutes": round(record.minutes, 1)}
                for id_, record in ((id_, records.get(id_, TaskRecord())) for id_ in TASKS)}
        echo(json.dumps({"file": str(found.file), "headline": progress_text.headline(found),
                               "next": progress_text.next_task(found), "tasks": rows}, indent=2))
        return
    echo(f"{progress_text.table(found)}\nfile: {found.file}")
