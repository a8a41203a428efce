"""`kserve-nb doctor`."""

from __future__ import annotations

import os
import shlex
import sys

import click

from kserve_nb import clusters
from kserve_nb.cli.command_group import CommandFailure
from kserve_nb.cli.common_options import NAME, OUTPUT, echo
from kserve_nb.doctor import examine
from kserve_nb.magics.command_line import CommandError
from kserve_nb.values.cluster import Cluster


@click.command()
@NAME
@click.option("--curl", metavar="COMMAND", help="Explain this curl command first.")
@click.option("--error", metavar="TEXT", help="Explain this message first; - reads it from standard input.")
@click.option("-n", "--namespace", metavar="NAME", help="Examine this namespace.  [default: the cluster's]")
@click.option("-A", "--all-namespaces", is_flag=True, help="Examine every namespace that has InferenceServices.")
@OUTPUT
def doctor(
    name: str, curl: str | None, error: str | None, namespace: str | None, all_namespaces: bool, output: str
) -> None:
    """Find out what is wrong and what to do about it; change nothing.

    The exit code is 0 if nothing is wrong, 1 if something is, and 3 if something is in progress, was not examined,
    or is a message that the doctor does not know.
    """
    if namespace and all_namespaces:
        raise click.UsageError("--namespace and --all-namespaces exclude each other. Use one of them.")
    record = clusters.read(name)
    cluster = clusters.cluster_of(record) if record is not None else _without_record(name)
    try:
        report = examine(
            cluster, curl=curl, error=sys.stdin.read() if error == "-" else error, namespace=namespace,
            all_namespaces=all_namespaces,
        )  # fmt: skip
    except CommandError as unread:
        raise CommandFailure(f"--curl: {unread} Copy the whole command, with the lines that end in \\.") from None
    echo(report.to_json() if output == "json" else report.text)
    if output == "text" and report.has_commands and os.environ.get("KUBECONFIG") != str(cluster.kubeconfig):
        option = "" if name == "default" else f" --name {shlex.quote(name)}"
        echo(f'Before you paste a command, set this terminal\'s variables: eval "$(kserve-nb env{option})"')
    sys.exit(report.exit_code)


def _without_record(name: str) -> Cluster:
    """A cluster that does not exist, for the doctor to report that."""
    return Cluster(clusters.folder(name) / "kubeconfig", "", name=name)
