"""`kserve-nb up`. Its options are those of the kinds of clusters."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from kserve_nb import clusters
from kserve_nb.cli.common_options import NAME, notify, show
from kserve_nb.clusters import ClusterError, Option

_KINDS = "; ".join(f"{kind}: {clusters.backend(kind).summary}" for kind in clusters.kinds())


class Number(click.FloatRange):
    """A number in a range. `nan` is not one: it passes FloatRange, because every comparison with it is false."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """The number that was typed."""
        number = float(super().convert(value, param, ctx))
        return self.fail(f"{value} is not a number.", param, ctx) if math.isnan(number) else number


def _backend_options() -> dict[Option, list[str]]:
    """Each option of `up` with the kinds of clusters that take it."""
    found: dict[Option, list[str]] = {}
    for kind in clusters.kinds():
        for option in clusters.backend(kind).options:
            found.setdefault(option, []).append(kind)
    return found


def _type(option: Option) -> click.ParamType[Any] | type[str]:
    if option.choices:
        return click.Choice(option.choices)
    if option.type is Path:
        return click.Path(path_type=Path)
    if option.type is int:
        low, high = option.minimum, option.maximum
        return click.IntRange(None if low is None else int(low), None if high is None else int(high))
    if option.type is float:
        return Number(option.minimum, option.maximum, min_open=option.above_minimum)
    return str


def _with_backend_options(command: Callable[..., None]) -> Callable[..., None]:
    """The command with an option for each option of a backend."""
    for option, kinds in reversed(_backend_options().items()):
        default = f"  [default: {option.default}]" if option.default else ""
        decorate = click.option(option.flag, option.name, type=_type(option), metavar=option.metavar,
                                help=f"{', '.join(kinds)}: {option.help}{default}")
        command = decorate(command)
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
    record = clusters.read(name)
    kind = kind or (record.cluster if record is not None else clusters.DEFAULT)
    taken = {option.name for option in clusters.backend(kind).options}
    for option in _backend_options():
        if options[option.name] is not None and option.name not in taken:
            raise click.UsageError(f"{option.flag} does not go with --cluster {kind}")
    record = clusters.start(name, kind, namespace=namespace, notify=notify, **options)
    show(record)
    status = clusters.status(record)
    if not status.ready:
        raise ClusterError(f"cluster {name!r} is not ready: {status.reason}")
