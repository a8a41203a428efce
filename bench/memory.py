"""Memory and idle CPU time of a cluster with two revisions."""

from __future__ import annotations

import time

import psutil

from bench.cluster import MODEL, cluster, kubectl, manifest, until
from bench.table import show

IDLE_S = 20
KIND_MIB = "2863"  # the same state on a kind cluster with KServe
SERVER = "server: API, controllers, node, gateway"
PARTS = {"supervision.supervisor": "supervisor", "embedded.server": SERVER,
         "node.runtime": "model runtime and pods", "envoy": "Envoy"}


def _what(process: psutil.Process) -> str:
    line = " ".join(process.cmdline())
    for word, name in PARTS.items():
        if word in line:
            return name
    return "model runtime and pods"


def run() -> None:
    with cluster("memory") as record:
        kubectl(record, "create", "namespace", record.namespace)
        kubectl(record, "apply", "-f", "-", stdin=manifest())
        until(record, "{.status.conditions[?(@.type=='Ready')].status}", "True")
        kubectl(record, "apply", "-f", "-", stdin=manifest(model=f"{MODEL}-2", percent=10))
        until(record, "{.status.components.predictor.traffic[0].revisionName}", "sklearn-iris-predictor-00002")
        assert record.pid is not None
        root = psutil.Process(record.pid)
        family = [root, *root.children(recursive=True)]
        before = {process: sum(process.cpu_times()[:2]) for process in family}
        time.sleep(IDLE_S)
        parts: dict[str, list[float]] = {}
        for process in family:
            part = parts.setdefault(_what(process), [0, 0, 0])
            part[0] += 1
            part[1] += process.memory_full_info().pss / 2**20
            part[2] += (sum(process.cpu_times()[:2]) - before[process]) / IDLE_S * 100
        rows = [(name, int(count), f"{pss:.0f}", f"{cpu:.2f}") for name, (count, pss, cpu) in parts.items()]
        used = sum(cpu for name, (_, _, cpu) in parts.items() if name in (SERVER, "supervisor"))
        total = [sum(column) for column in zip(*parts.values(), strict=True)]
        rows.append(("all (at most 330 MiB)", int(total[0]), f"{total[1]:.0f}", f"{total[2]:.2f}"))
        rows.append(("a kind cluster, recorded elsewhere", "", KIND_MIB, ""))
        rows.append(("supervisor and server (at most 0.5 %)", "", "", f"{used:.2f}"))
        show(f"Two revisions running, idle for {IDLE_S} s", ("part", "processes", "PSS MiB", "CPU % of a core"), rows)
