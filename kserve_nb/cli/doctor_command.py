"""`kserve-nb doctor`."""

from __future__ import annotations

import sys

import click

from kserve_nb import clusters
from kserve_nb.cli.command_group import CommandFailure
from kserve_nb.cli.common_options import NAME, OUTPUT
from kserve_nb.doctor import examine
from kserve_nb.magics.command_line import CommandError
from kserve_nb.values.cluster import Cluster


@click.command()
@NAME
@click.option("--curl", metavar="COMMAND", help="Explain this curl command first.")
@click.option("--error", metavar="TEXT", help="Explain this message first; - reads it from standard input.")
@OUTPUT
def doctor(name: str, curl: str | None, error: str | None, output: str) -> None:
    """Find out what is wrong and what to do about it; change nothing. The exit code is 1 if something is blocked."""
    record = clusters.read(name)
    cluster = clusters.cluster_of(record) if record is not None else _without_record(name)
    try:
        report = examine(cluster, curl=curl, error=sys.stdin.read() if error == "-" else error)
    except CommandError as unread:
        raise CommandFailure(f"--curl: {unread} Copy the whole command, with the lines that end in \\.") from None
    click.echo(report.to_json() if output == "json" else report.text)
    sys.exit(1 if report.blocked else 0)


def _without_record(name: str) -> Cluster:
    """A cluster that does not exist, for the doctor to report that."""
    return Cluster(clusters.folder(name) / "kubeconfig", "", name=name)
