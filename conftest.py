"""Command-line options and clusters that several test folders need."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("cluster", "which cluster the cluster tests run on")
    group.addoption("--kubeconfig", help="run the cluster tests on the cluster of this file, not on an embedded one")
    group.addoption("--ingress", help="HOST:PORT of that cluster's ingress gateway")
    group.addoption("--gateway", choices=["istio", "kourier"], default="istio", help="that cluster's form of URLs")
    group.addoption("--speed", type=float, default=1.0, help="how much faster than real that cluster's windows pass")
    parser.addoption("--all-faults", action="store_true", help="also run the tests marked `long`, as make faults does")


def pytest_configure(config: pytest.Config) -> None:
    """Put the project's kubectl first on PATH, and start a cluster if nbval runs notebooks."""
    os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    if bool(config.getoption("--kubeconfig")) != bool(config.getoption("--ingress")):
        raise pytest.UsageError("--kubeconfig and --ingress go together: a cluster is reached by both")
    nbval = config.getoption("nbval", False) or config.getoption("nbval_lax", False)
    if nbval and "KSERVE_NB_NAME" not in os.environ and not config.getoption("collectonly"):
        from kserve_nb import clusters

        name = f"nbval-{os.getpid()}"
        clusters.start(name, owner=os.getpid(), temporary=True)
        os.environ["KSERVE_NB_NAME"] = name


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out `long` tests, and give cells with outputs an execution count.

    nbval compares only cells that have a count, and git keeps no counts.
    """
    if not config.getoption("--all-faults"):
        config.hook.pytest_deselected(items=[item for item in items if item.get_closest_marker("long")])
        items[:] = [item for item in items if not item.get_closest_marker("long")]
    for item in items:
        cell = getattr(item, "cell", None)
        if cell is not None and cell.get("outputs"):
            cell.execution_count = 1


def pytest_unconfigure(config: pytest.Config) -> None:
    name = f"nbval-{os.getpid()}"
    if os.environ.get("KSERVE_NB_NAME") == name:
        from kserve_nb import clusters
        from kserve_nb.clusters import state

        record = state.read(name)
        if record is not None:
            clusters.delete(record.name)
