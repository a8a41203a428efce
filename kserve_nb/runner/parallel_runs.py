"""Run notebooks in parallel: each in its own process and on its own temporary cluster."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, as_completed

from kserve_nb import clusters
from kserve_nb.clusters import ClusterError, Record
from kserve_nb.runner.notebook_runner import Plan, run
from kserve_nb.runner.run_result import Run


def run_parallel(plan: Plan, like: Record | None, workers: int, collect: Callable[[Run], object]) -> None:
    """Run the notebooks, several at a time, and call `collect` with each result.

    Args:
        plan: the notebooks.
        like: the cluster whose settings the temporary clusters have; None for the defaults.
        workers: how many notebooks run at a time.
        collect: receives each result.

    Raises:
        ClusterError: clusters of that kind cannot run side by side.
    """
    _require_side_by_side(like)
    context = multiprocessing.get_context("spawn")  # papermill changes the folder and the environment of its process
    rows = context.Queue()
    for row in range(workers):
        rows.put(row)
    with ProcessPoolExecutor(workers, context, _prepare_worker, (rows,)) as pool:
        futures = [pool.submit(_run_alone, plan, number, like, os.getpid()) for number in range(len(plan.notebooks))]
        try:
            for future in as_completed(futures):
                collect(future.result())
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            for worker in multiprocessing.active_children():
                worker.terminate()
                worker.join()
            for number in range(len(plan.notebooks)):
                _delete_cluster(os.getpid(), number)
            raise


def _require_side_by_side(record: Record | None) -> None:
    if record is not None and not clusters.backend(record.cluster).side_by_side:
        raise ClusterError(
            f"Cannot run notebooks side by side on cluster {record.name!r}: it is of kind {record.cluster}, and they "
            "would change each other's InferenceService. Leave --parallel out, or name an embedded cluster.")


_row = 0  # the terminal row of this worker's progress bar
_number: int | None = None  # the notebook that this worker runs


def _prepare_worker(rows: multiprocessing.Queue[int]) -> None:
    global _row
    _row = rows.get()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent handles it
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """When the parent has ended, even by SIGKILL, delete this worker's cluster and end it. Its kernel ends too."""
    parent = multiprocessing.parent_process()
    if parent is not None and parent.pid is not None:
        parent.join()
        try:
            if _number is not None:
                _delete_cluster(parent.pid, _number)
        finally:
            os._exit(1)


def _delete_cluster(owner: int, number: int) -> None:
    name = _cluster_name(owner, number)
    record = clusters.read(name)
    if record is not None and record.owner == owner:
        clusters.delete(name, only=record.id)


def _cluster_name(owner: int, number: int) -> str:
    return f"run-{owner}-{number}"


def _run_alone(plan: Plan, number: int, like: Record | None, owner: int) -> Run:
    """Run one notebook on a temporary cluster, which stops with the process `owner` at the latest."""
    global _number
    _number = number
    settings = clusters.settings_for_copy(like) if like else {}
    try:
        record = clusters.start(_cluster_name(owner, number), like.cluster if like else clusters.DEFAULT, owner=owner,
                                temporary=True, **settings)
    except ClusterError as error:
        return Run(plan.notebooks[number], plan.output / plan.notebooks[number].name, 0.0, error=str(error))
    try:
        return run(plan, number, record, _row)
    finally:
        clusters.delete(record.name, only=record.id)
