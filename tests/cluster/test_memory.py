"""Each process of an embedded cluster stays within its memory budget, also on a cluster that other tests have used."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import psutil
import pytest

from kserve_nb.clusters import state
from kserve_nb.lab import Lab
from kserve_nb.values.cluster import Cluster
from tests.cluster.conftest import Target

# Mebibytes of proportional set size (PSS). A new cluster uses two thirds of this; Envoy keeps memory of past loads.
BUDGETS = {"supervisor": 25, "server": 80, "envoy": 200, "runtime": 110, "pod": 75}
WORDS = {"supervision.supervisor": "supervisor", "embedded.server": "server", "bootstrap.json": "envoy",
         "runtime.zygote": "runtime"}


def part_of(process: psutil.Process) -> str:
    """The part of the cluster that a process is. A pod is a fork of the model runtime."""
    line = " ".join(process.cmdline())
    part = next((name for word, name in WORDS.items() if word in line), line)
    parent = process.parent()
    return "pod" if part == "runtime" and parent and "runtime.zygote" in " ".join(parent.cmdline()) else part


def test_each_process_stays_within_its_budget(
    target: Target, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    if request.config.getoption("--kubeconfig") or sys.platform != "linux":
        pytest.skip("the budgets are those of an embedded cluster, and only Linux reports PSS")
    lab = Lab(Cluster(Path(target.kubeconfig), target.ingress, target.namespace, speed=target.speed))
    folder = Path(target.kubeconfig).parent
    monkeypatch.setenv("XDG_STATE_HOME", str(folder.parents[2]))  # of the session's cluster
    record = state.read(folder.name)
    assert record is not None and record.pid is not None

    asyncio.run(lab.ensure("canary-10"))
    supervisor = psutil.Process(record.pid)
    used: dict[str, float] = {}
    for process in (supervisor, *supervisor.children(recursive=True)):
        try:
            part, mib = part_of(process), process.memory_full_info().pss / 2**20
        except psutil.NoSuchProcess:  # a pod of another test has just ended
            continue
        used[part] = max(used.get(part, 0), mib)

    assert used.keys() == BUDGETS.keys()
    assert {part: mib for part, mib in used.items() if mib > BUDGETS[part]} == {}
