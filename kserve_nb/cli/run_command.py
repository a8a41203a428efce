"""`kserve-nb run`: notebooks run from top to bottom, without a browser."""

from __future__ import annotations

import os
import signal
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from kserve_nb import clusters, runner
from kserve_nb.cli.common_options import NAME, echo, usable_or_started
from kserve_nb.cli.lab_command import original
from kserve_nb.clusters import ClusterError, Record
from kserve_nb.doctor import summary


@click.command()
@NAME
@click.option("-p", "--parameter", "parameters", nargs=2, multiple=True, metavar="NAME VALUE",
              help="Set a notebook's parameter; may be repeated. The value is read as YAML: 20 is a number.")
@click.option("--parallel", "workers", is_flag=False, flag_value=str(os.cpu_count() or 1), metavar="[N]",
              help="Run N notebooks at a time, each on a cluster of its own.  [default: one after the other; without N "
              "as many as there are processors]")
@click.option("--solve", is_flag=True, help="Also run the cells that solve the tasks. Without it, tasks stay open.")
@click.option("--output", type=click.Path(path_type=Path, file_okay=False), default=Path("build/notebooks"),
              show_default=True, help="The folder for the executed notebooks and report.html.")
@click.option("--junit", type=click.Path(path_type=Path, dir_okay=False), help="Also write JUnit XML to this file.")
@click.argument("notebooks", nargs=-1, type=click.Path(path_type=Path, dir_okay=False))
def run(name: str, parameters: tuple[tuple[str, str], ...], workers: str | None, solve: bool, output: Path,
        junit: Path | None, notebooks: tuple[Path, ...]) -> None:
    """Run notebooks from top to bottom, without a browser; without arguments all of the tutorial, in order.

    Starts a cluster if none is running. Afterwards it deletes what it created: that cluster, or on a cluster that
    existed the InferenceServices of the notebooks. The exit code is 1 if a notebook failed.
    """
    count, chosen = _chosen(workers, notebooks)
    try:
        values = runner.read(parameters, chosen)
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    plan = runner.Plan(chosen, output.resolve(), summary.in_full, values, solve, sys.stderr.isatty())
    clusters.delete_abandoned()
    signal.signal(signal.SIGTERM, _exit)
    with runner.reporting(plan, echo, junit) as collector:
        if count:
            runner.run_parallel(plan, clusters.read(name), count, collector)
        else:
            with _cluster(name, values.get("namespace")) as record:
                runner.run_all(plan, record, collector)
    echo(f"report: {plan.report}\n{runner.verdict(collector.runs)}")
    sys.exit(0 if all(done.passed for done in collector.runs) else 1)


def _exit(*_: object) -> None:
    """On SIGTERM, unwind the stack: the report is written, and what was started is deleted."""
    sys.exit(128 + signal.SIGTERM)


def _chosen(workers: str | None, notebooks: tuple[Path, ...]) -> tuple[int, tuple[Path, ...]]:
    """How many notebooks run at a time (0: all on one cluster), and which ones.

    click gives the word behind `--parallel` to that option, although it may be a notebook.
    """
    if workers is not None and not workers.isdecimal():
        notebooks, workers = (Path(workers), *notebooks), str(os.cpu_count() or 1)
    missing = [str(path) for path in notebooks if not path.is_file()]
    if missing:
        raise click.UsageError(f"there is no notebook {', '.join(missing)}")
    twice = [name for name, count in Counter(path.name for path in notebooks).items() if count > 1]
    if twice:
        raise click.UsageError(f"two notebooks are named {twice[0]}, and both would be written to one output file")
    if workers is not None and int(workers) < 1:
        raise click.UsageError("--parallel takes a number from 1 on")
    chosen = notebooks or tuple(sorted(original().glob("[0-9][0-9]_*.ipynb")))
    if not chosen:
        raise ClusterError("There is no notebook to run. Name one, or run this command in a clone of the project.")
    return min(int(workers or 0), len(chosen)), chosen


@contextmanager
def _cluster(name: str, namespace: str | None) -> Iterator[Record]:
    """The named cluster. If it did not exist, it is created, and deleted afterwards.

    On a cluster that is kept, the InferenceServices that the notebooks create are deleted afterwards.
    """
    created = clusters.read(name) is None
    record = usable_or_started(name, temporary=True)
    if not created:
        with runner.deleting_created(clusters.cluster_of(record, namespace), echo):
            yield record
        return
    try:
        yield record
    finally:
        clusters.delete(name, only=record.id)
