"""`kserve-nb publish`, `load` and `compare`: publish a model file, load a model, and compare its revisions."""

from __future__ import annotations

import asyncio
import json
import shlex
import sys
import warnings
from pathlib import Path

import click

from kserve_nb import clusters
from kserve_nb.cli.command_group import CommandFailure
from kserve_nb.cli.common_options import INGRESS, KUBECONFIG, NAME, NAMESPACE, OUTPUT, connected, echo, notify
from kserve_nb.clusters.publishing.model_claim import VersionTakenError
from kserve_nb.clusters.publishing.model_package import SUFFIXES
from kserve_nb.gates import load_generator
from kserve_nb.gates.comparison import compare_revisions
from kserve_nb.rollout.discriminating_input import find_discriminating_input
from kserve_nb.values.text.readable_error import ReadableError


@click.command()
@NAME
@KUBECONFIG
@INGRESS
@NAMESPACE
@click.option("--rate", type=float, default=50, show_default=True,
              help="Requests a second; slow responses do not delay the next ones.")
@click.option("--duration", "duration_s", type=float, default=10, show_default=True, help="Seconds.")
@OUTPUT
@click.argument("inference_service")
def load(name: str, kubeconfig: Path | None, ingress: str | None, namespace: str | None, rate: float,
         duration_s: float, output: str, inference_service: str) -> None:
    """Send requests to INFERENCE_SERVICE at a constant rate, and print failures, latencies and the split.

    Latencies count from the moment at which a request was due. The exit code is 1 if a request failed.
    """
    try:
        rollout = connected(name, kubeconfig, ingress, namespace, inference_service)
        address = rollout.ingress.address
        load_generator.check(rate, duration_s, address, attached=kubeconfig is not None)
        status = rollout.status()
        known = find_discriminating_input(rollout, status)
        result = asyncio.run(load_generator.send(
            address, rollout.host(), rollout.name, known, status, rate=rate, duration_s=duration_s))
    except ReadableError as error:
        raise CommandFailure(str(error)) from None
    echo(json.dumps(result.seconds) if output == "json" else str(result))
    sys.exit(1 if result.failed else 0)


@click.command()
@NAME
@KUBECONFIG
@INGRESS
@NAMESPACE
@click.option("--rows", "rows_path", type=click.Path(path_type=Path, exists=True, dir_okay=False),
              help="A JSON file with a list of rows.  [default: 240 flowers]")
@OUTPUT
@click.argument("inference_service")
def compare(name: str, kubeconfig: Path | None, ingress: str | None, namespace: str | None, rows_path: Path | None,
            output: str, inference_service: str) -> None:
    """Send the same rows to both revisions of INFERENCE_SERVICE, which no user notices, and print where they differ.

    Needs the host of the tag latest. The exit code is 1 if an answer differs.
    """
    try:
        rollout = connected(name, kubeconfig, ingress, namespace, inference_service)
        rows = json.loads(rows_path.read_text(encoding="utf-8")) if rows_path else None
        result = compare_revisions(rollout, rows)
    except (ReadableError, ValueError) as error:
        raise CommandFailure(str(error)) from None
    echo(json.dumps(result.to_dict()) if output == "json" else str(result))
    sys.exit(1 if result.differing else 0)


@click.command()
@NAME
@NAMESPACE
@click.argument("file", type=click.Path(path_type=Path))
@click.argument("version", metavar="NAME/VERSION")
def publish(name: str, namespace: str | None, file: Path, version: str) -> None:
    """Publish the scikit-learn model FILE, or the folder of one, as NAME/VERSION, and print its storageUri.

    FILE is a joblib file or a pickle. It is not loaded here. A published version never changes. A namespace that does
    not exist is created, with a warning.
    """
    if version.endswith(SUFFIXES):
        raise CommandFailure("The arguments are in the wrong order. Publish the file: "
                             + shlex.join(["kserve-nb", "publish", version, str(file)]))
    try:
        checked = None if namespace is None else clusters.check_namespace(namespace)
        publisher = clusters.ModelPublisher(clusters.cluster_of(clusters.existing(name), checked))
        with warnings.catch_warnings(record=True) as found:
            for category in (clusters.ModelWarning, clusters.NamespaceWarning):
                warnings.simplefilter("always", category)
            uri = publisher.publish(file, version)
    except VersionTakenError as error:
        same = ["--name", name] * (name != "default") + (["-n", namespace] if namespace else [])
        command = shlex.join(["kserve-nb", "publish", str(file), error.free, *same])
        raise CommandFailure(error.reason + command) from None
    except clusters.PublishError as error:
        raise CommandFailure(str(error)) from None
    for warning in found:
        notify(f"warning: {warning.message}")
    echo(uri)
