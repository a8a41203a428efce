"""Time from nothing to the first prediction, and of each step of a rollout."""

from __future__ import annotations

import statistics
import time

from bench.cluster import MODEL, cluster, kubectl, manifest, until, until_predicted
from bench.table import show

RUNS = 3
LATEST = "{.status.components.predictor.traffic[0].revisionName}"
PERCENT = "{.status.components.predictor.traffic[0].percent}"


def _once() -> dict[str, float]:
    began = time.monotonic()
    with cluster("start") as record:
        taken = {"up": time.monotonic() - began}
        kubectl(record, "create", "namespace", record.namespace)
        kubectl(record, "apply", "-f", "-", stdin=manifest())
        until_predicted(record)
        taken["up → first prediction (at most 5 s)"] = time.monotonic() - began
        until(record, "{.status.conditions[?(@.type=='Ready')].status}", "True")
        for step, percent, path, wanted in (
                ("canary → its revision has traffic", 10, LATEST, "sklearn-iris-predictor-00002"),
                ("percent only → routed", 40, PERCENT, "40")):
            began_step = time.monotonic()
            kubectl(record, "apply", "-f", "-", stdin=manifest(model=f"{MODEL}-2", percent=percent))
            until(record, path, wanted)
            taken[step] = time.monotonic() - began_step
        began_step = time.monotonic()
    taken["down"] = time.monotonic() - began_step
    return taken


def run() -> None:
    runs = [_once() for _ in range(RUNS)]
    figures = (min, statistics.median, max)
    rows = [(step, *(f"{figure(run[step] for run in runs):.2f}" for figure in figures)) for step in runs[0]]
    show(f"Time in seconds, {RUNS} runs", ("step", "min", "median", "max"), rows)
