"""Options, and lines of output, that several commands share."""

from __future__ import annotations

import os
from typing import Any

import click

from kserve_nb import clusters
from kserve_nb.clusters import ClusterError, Record
from kserve_nb.tasks import progress_text
from kserve_nb.tasks.learner_progress import LearnerProgress

NAME = click.option("--name", default=lambda: os.environ.get("KSERVE_NB_NAME", "default"), show_default="default",
                    help="The cluster's name; several clusters can run side by side.")
OUTPUT = click.option("-o", "output", type=click.Choice(["text", "json"]), default="text", help="The output format.")


def notify(text: str) -> None:
    """Print a line about the progress to standard error."""
    click.echo(text, err=True)


def show(record: Record) -> None:
    """Print how to reach a cluster."""
    details = clusters.backend(record.cluster).describe(record)
    kind = f"{record.cluster}, {details}" if details else record.cluster
    ingress = record.ingress or "found by connect(): LoadBalancer, NodePort or port-forward"
    click.echo(f"cluster     {record.name} ({kind})\nkubeconfig  {record.kubeconfig}\n"
               f"ingress     {ingress}\nnamespace   {record.namespace}")


def show_next_task() -> None:
    """Print the learner's progress and the next open task; nothing where no progress is kept."""
    progress = LearnerProgress()
    if progress.off:
        return
    following = progress_text.next_task(progress)
    click.echo(f"progress    {progress_text.headline(progress)}" + (f"\nnext task   {following}" if following else ""))


def usable(name: str) -> Record:
    """The record of a cluster that runs. Raises ClusterError if there is none."""
    record = clusters.existing(name)
    if not clusters.backend(record.cluster).usable(record):
        raise ClusterError(f"cluster {name!r} is not running. Start it: kserve-nb up --name {name}")
    return record


def usable_or_started(name: str, **options: Any) -> Record:
    """The named cluster. If it does not run, it is started, and stops when this process ends.

    Args:
        name: the cluster's name.
        options: further options of a cluster that does not exist yet.
    """
    record = clusters.read(name)
    if record is None:
        return clusters.start(name, notify=notify, owner=os.getpid(), **options)
    backend = clusters.backend(record.cluster)
    if backend.usable(record):
        return record
    owned: dict[str, Any] = {"owner": os.getpid()} if any(option.name == "owner" for option in backend.options) else {}
    return clusters.start(name, notify=notify, **owned)
