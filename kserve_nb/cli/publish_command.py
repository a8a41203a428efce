"""`kserve-nb publish`: put a model file where the cluster can read it."""

from __future__ import annotations

import warnings
from pathlib import Path

import click

from kserve_nb import clusters
from kserve_nb.cli.command_group import CommandFailure
from kserve_nb.cli.common_options import NAME, NAMESPACE, echo, notify


@click.command()
@NAME
@NAMESPACE
@click.argument("file", type=click.Path(path_type=Path))
@click.argument("version", metavar="NAME/VERSION")
def publish(name: str, namespace: str | None, file: Path, version: str) -> None:
    """Publish the scikit-learn model FILE, or the folder of one, as NAME/VERSION, and print its storageUri.

    FILE is a joblib file or a pickle. It is not loaded here. A published version never changes.
    """
    publisher = clusters.ModelPublisher(clusters.cluster_of(clusters.existing(name), namespace))
    try:
        with warnings.catch_warnings(record=True) as found:
            warnings.simplefilter("always", clusters.ModelWarning)
            uri = publisher.publish(file, version)
    except clusters.PublishError as error:
        raise CommandFailure(str(error)) from None
    for warning in found:
        notify(f"warning: {warning.message}")
    echo(uri)
