"""`kserve-nb progress` and `kserve-nb drill`: what the learner has done, and a fault to repair in a terminal."""

from __future__ import annotations

import asyncio
import json
from dataclasses import asdict

import click

from kserve_nb.cli.common_options import NAME, OUTPUT, echo, usable
from kserve_nb.clusters import cluster_of
from kserve_nb.tasks import progress_text
from kserve_nb.tasks.course_tasks import TASKS
from kserve_nb.tasks.learner_progress import LearnerProgress, TaskRecord

_HELP = ("Repair the cluster in another terminal, or paste the repaired curl command here. "
         "Enter shows the state, `doctor` runs the doctor, `q` ends the drill.")


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


@click.command()
@NAME
@click.option("--seed", type=int, help="The number of the fault.  [default: a random one]")
def drill(name: str, seed: int | None) -> None:
    """Cause one fault on your cluster, which you find and repair. Prints your time and the users affected.

    The doctor helps after your first attempt: type `doctor`. A hint comes after two minutes. At the end the cluster
    is brought back to a healthy canary of 10 %.
    """
    from kserve_nb.lab import Lab  # slow to import, and progress does not need it

    lab = Lab(cluster_of(usable(name)))
    card = asyncio.run(lab.drill(seed))
    echo(f"{card.text}\n{_HELP}")
    try:
        while not card.repaired:
            line = click.prompt("", default="", show_default=False, prompt_suffix="> ").strip()
            if line == "q":
                break
            if line == "doctor":
                echo(lab.doctor().text)
            elif line:
                card.try_curl(line)
            if line != "doctor":
                echo(card.text)
    finally:
        echo(repr(card.finish()))
        asyncio.run(lab.ensure("canary-10"))
