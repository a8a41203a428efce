"""Time from nothing to the first prediction, and of each step of a rollout, beside those of a real kind cluster."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections.abc import Callable

from bench.cluster import MODEL, cluster, kubectl, manifest, until_predicted
from bench.table import show
from kserve_nb import connect
from kserve_nb.rollout.rollout import Rollout
from kserve_nb.values.rollout_status import RolloutStatus

RUNS, SHIFTS = 3, 5
DIFFERS = [[4.9, 2.5, 4.5, 1.7]]  # the first model answers 1, model-2 answers 2
UP, FIRST, CREATE, CANARY, PERCENT, DOWN, IMPORT = (
    "up", "up → first prediction", "create → Ready", "canary → Ready", "percent → first response of the canary", "down",
    "import kserve_nb")
TARGETS = {FIRST: 2.5, CREATE: 0.4, CANARY: 0.4, PERCENT: 0.1, IMPORT: 0.3}
KIND = {UP: "218", CREATE: "5.0", CANARY: "4.9", PERCENT: "0.24–0.53"}  # recorded elsewhere, also on 2 cores
_PAUSE_S = 0.005


def _once() -> dict[str, float]:
    """Run once, and return the seconds of each step."""
    taken = {IMPORT: _timed(lambda: subprocess.run([sys.executable, "-c", "import kserve_nb"], check=True))}
    began = time.monotonic()
    with cluster("start") as record:
        taken[UP] = time.monotonic() - began
        kubectl(record, "create", "namespace", record.namespace)
        kubectl(record, "apply", "-f", "-", stdin=manifest())
        until_predicted(record)
        taken[FIRST] = time.monotonic() - began
        rollout = connect(name=record.name).rollout()
        rollout.delete()
        _until(lambda: not rollout.pods())
        taken[CREATE] = _timed(lambda: (rollout.deploy(MODEL), _until_routed(rollout, "00001", 100)))
        taken[CANARY] = _timed(lambda: (rollout.canary(f"{MODEL}-2", 10), _until_routed(rollout, "00002", 10)))
        taken[PERCENT] = statistics.median(_shift(rollout) for _ in range(SHIFTS))
        began = time.monotonic()
    return taken | {DOWN: time.monotonic() - began}


def _shift(rollout: Rollout) -> float:
    """Seconds from the command that gives the second revision all traffic, which had none, to its first response."""
    rollout.canary(percent=0)
    _until_routed(rollout, "00002", 0)
    rollout.predict()  # opens the connection
    return _timed(lambda: (rollout.canary(percent=100), _until(lambda: rollout.predict(DIFFERS) == [2])))


def _timed(action: Callable[[], object]) -> float:
    began = time.monotonic()
    action()
    return time.monotonic() - began


def _until_routed(rollout: Rollout, revision: str, percent: int) -> None:
    """Return when the latest target is this revision with this percent, and the InferenceService is Ready."""
    def routed(status: RolloutStatus) -> bool:
        latest = status.latest
        return latest is not None and latest.revision.endswith(revision) and latest.percent == percent \
            and status.ready.status == "True"

    _until(lambda: routed(rollout.status()))


def _until(holds: Callable[[], bool], timeout_s: float = 60) -> None:
    deadline = time.monotonic() + timeout_s
    while not holds():
        if time.monotonic() > deadline:
            raise TimeoutError(f"a step took longer than {timeout_s:.0f} s")
        time.sleep(_PAUSE_S)


def run() -> None:
    runs = [_once() for _ in range(RUNS)]
    figures = (min, statistics.median, max)
    rows = [(step, *(f"{figure(run[step] for run in runs):.2f}" for figure in figures), TARGETS.get(step, ""),
             KIND.get(step, "")) for step in runs[0]]
    show(f"Time in seconds, {RUNS} runs; kind: recorded elsewhere",
         ("step", "min", "median", "max", "at most", "kind"), rows)
