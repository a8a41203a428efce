"""`kserve-nb up`. Its options are those of the kinds of clusters."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from kserve_nb import clusters
from kserve_nb.cli.backend_options import with_option
from kserve_nb.cli.common_options import NAME, notify, show, show_next_task
from kserve_nb.clusters import ClusterError, Option

_KINDS = "; ".join(f"{kind}: {clusters.backend(kind).summary}" for kind in clusters.kinds())


def _backend_options() -> dict[Option, list[str]]:
    """Each option of `up` with the kinds of clusters that take it."""
    found: dict[Option, list[str]] = {}
    for kind in clusters.kinds():
        for option in clusters.backend(kind).options:
            found.setdefault(option, []).append(kind)
    return found


def _with_backend_options(command: Callable[..., None]) -> Callable[..., None]:
    """The command with an option for each option of a backend."""
    for option, kinds in reversed(_backend_options().items()):
        command = with_option(command, option, f"{', '.join(kinds)}: ")
    return command


@click.command()
@NAME
@click.option("--cluster", "kind", type=click.Choice(clusters.kinds()),
              help=f"The kind of cluster. {_KINDS}.  [default: the one that the cluster has, or {clusters.DEFAULT}]")
@click.option("--namespace", default="kserve-test", show_default=True,
              help="The namespace of the kubeconfig's context.")
@_with_backend_options
def up(name: str, kind: str | None, namespace: str, **options: Any) -> None:
    """Start a cluster in the background, and return when it answers.

    A cluster that was stopped is resumed with its objects. If the cluster is running already, nothing is started.
    """
    clusters.delete_abandoned()
    record = clusters.read(name)
    kind = kind or (record.cluster if record is not None else clusters.DEFAULT)
    taken = {option.name for option in clusters.backend(kind).options}
    for option in _backend_options():
        if options[option.name] is not None and option.name not in taken:
            raise click.UsageError(f"{option.flag} does not go with --cluster {kind}")
    record = clusters.start(name, kind, namespace=namespace, notify=notify, **options)
    show(record)
    show_next_task()
    status = clusters.status(record)
    for problem in status.problems:
        notify(f"problem     {problem}")
    if not status.ready and clusters.is_current(record):  # no other command has deleted or restarted it meanwhile
        raise ClusterError(f"cluster {name!r} is not ready: {status.reason}")
