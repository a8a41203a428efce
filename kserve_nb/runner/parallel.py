"""Run notebooks side by side: each in a process of its own, on an embedded cluster of its own."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, as_completed

from kserve_nb.clusters import state
from kserve_nb.clusters.embedded import lifecycle
from kserve_nb.clusters.state import ClusterError, Record
from kserve_nb.runner.result import Run
from kserve_nb.runner.runner import Plan, run


def refuse_other_clusters(record: Record | None) -> None:
    """Raise ClusterError where the named cluster is one that cannot be multiplied."""
    if record is not None and record.cluster != "embedded":
        raise ClusterError(
            f"cluster {record.name!r} is {record.cluster}, and there is one of it: notebooks that run side by side "
            "would change each other's InferenceService. Leave --parallel out, or name an embedded cluster.")


def run_parallel(plan: Plan, like: Record | None, workers: int, say: Callable[[Run], object]) -> None:
    """Run the notebooks, so many at a time, and say how each went.

    Args:
        like: the cluster whose speed and gateway the notebooks' own clusters have.
    """
    refuse_other_clusters(like)
    context = multiprocessing.get_context("spawn")  # papermill changes the folder and the environment of its process
    rows = context.Queue()
    for row in range(workers):
        rows.put(row)
    owner = os.getpid()
    with ProcessPoolExecutor(workers, context, _prepare, (rows,)) as pool:
        asked = [pool.submit(_run_alone, plan, number, like, owner) for number in range(len(plan.notebooks))]
        try:
            for future in as_completed(asked):
                say(future.result())
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            for worker in multiprocessing.active_children():
                worker.terminate()  # its kernel ends with it, its cluster with us
            raise


_row = 0  # of this worker's progress bar


def _prepare(rows: multiprocessing.Queue[int]) -> None:
    global _row
    _row = rows.get()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent ends what it started


def _run_alone(plan: Plan, number: int, like: Record | None, owner: int) -> Run:
    """Run one notebook on a cluster that is there for it alone, and ends with `owner` at the latest."""
    name = f"run-{owner}-{number}"
    try:
        record = lifecycle.up(name, speed=like.speed if like else None, gateway=like.gateway if like else None,
                              owner=owner)
    except ClusterError as refused:
        return Run(plan.notebooks[number], plan.output / plan.notebooks[number].name, 0.0, error=str(refused))
    try:
        return run(plan, number, record, _row)
    finally:
        lifecycle.down(state.read(name) or record)
