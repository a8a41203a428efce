"""The group `kserve-nb KIND`, with the commands that exist for one kind of cluster only."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from kserve_nb import clusters
from kserve_nb.cli.backend_options import with_option
from kserve_nb.clusters import BackendCommand
from kserve_nb.values.text.foreign_text import safe


def kind_group(kind: str) -> click.Group | None:
    """The group of a kind of cluster; None if the kind has no own commands."""
    backend = clusters.backend(kind)
    if not backend.commands:
        return None
    group = click.Group(kind, help=f"Commands for clusters {backend.summary}.")
    for command in backend.commands:
        group.add_command(_command(command))
    return group


def _command(command: BackendCommand) -> click.Command:
    def run(**options: Any) -> None:
        for line in command.run({key: value for key, value in options.items() if value is not None}):
            click.echo(safe(line))

    decorated: Callable[..., None] = run
    for option in reversed(command.options):
        decorated = with_option(decorated, option)
    return click.command(command.name, help=command.help)(decorated)
