"""Options, and lines of output, that several commands share."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from kserve_nb import clusters
from kserve_nb.access import in_cluster, kube_context
from kserve_nb.clusters import ClusterError, Record
from kserve_nb.values.cluster import Cluster
from kserve_nb.values.text.foreign_text import safe

if TYPE_CHECKING:
    from kserve_nb.gates.gated_rollout import GatedRollout

NAME = click.option("--name", default=lambda: os.environ.get("KSERVE_NB_NAME", "default"), show_default="default",
                    help="The cluster's name; several clusters can run side by side.")
KUBECONFIG = click.option("--kubeconfig", type=click.Path(path_type=Path, exists=True, dir_okay=False),
                          help="Use the current context of this file instead of a cluster of kserve-nb.")
INGRESS = click.option("--ingress", metavar="HOST:PORT", help="The address of the ingress gateway.  [default: found]")
NAMESPACE = click.option("-n", "--namespace", metavar="NAME", help="The namespace.  [default: the cluster's]")
OUTPUT = click.option("-o", "output", type=click.Choice(["text", "json"]), default="text", help="The output format.")


def echo(text: str, *, err: bool = False, nl: bool = True) -> None:
    """Print a text without the terminal escape sequences in it: logs, objects and responses may contain some.

    Args:
        text: what to print.
        err: print to standard error.
        nl: end the line.
    """
    click.echo(safe(text), err=err, nl=nl)


def notify(text: str) -> None:
    """Print a line about the progress to standard error."""
    echo(text, err=True)


def show(record: Record) -> None:
    """Print how to reach a cluster."""
    details = clusters.backend(record.cluster).describe(record)
    kind = f"{record.cluster}, {details}" if details else record.cluster
    ingress = record.ingress or "found by connect(): LoadBalancer, NodePort or port-forward"
    echo(f"cluster     {record.name} ({kind})\nkubeconfig  {record.kubeconfig}\n"
               f"ingress     {ingress}\nnamespace   {record.namespace}")


def show_next_task() -> None:
    """Print the learner's progress and the next open task; nothing where no progress is kept."""
    from kserve_nb.tasks import progress_text  # slow to import, and most commands do not need them
    from kserve_nb.tasks.learner_progress import LearnerProgress

    progress = LearnerProgress()
    if progress.off:
        return
    following = progress_text.next_task(progress)
    echo(f"your progress: {progress_text.headline(progress)}" + (f"\nnext task: {following}" if following else ""))


def connected(
    name: str, kubeconfig: Path | None, ingress: str | None, namespace: str | None, inference_service: str
) -> GatedRollout:
    """The rollout in the cluster of a kubeconfig file, of the pod that this process runs in, or of that name."""
    from kserve_nb.access import api_client, gateway_discovery  # slow to import, and most commands do not need them
    from kserve_nb.gates.gated_rollout import GatedRollout

    source = kubeconfig or (in_cluster.kubeconfig() if clusters.read(name) is None else None)
    if source is None:
        cluster = clusters.cluster_of(usable(name), namespace)
    else:
        cluster = Cluster(source, "", namespace or kube_context.current(source).namespace, name=name)
    client = api_client.Client(cluster)
    found = gateway_discovery.find(replace(cluster, ingress=ingress or cluster.ingress), client, os.environ)
    return GatedRollout(client, found, inference_service)


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
