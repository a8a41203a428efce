"""The embedded cluster goes through the recorded scenarios as a real KServe did, at the default speed."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import yaml

from kserve_nb import clusters
from tests.cluster.conftest import Target
from tests.conformance import conformance

FOLDER = Path(conformance.__file__).parent
SCENARIOS = sorted((FOLDER / "scenarios").glob("*.yaml"))
AT_ONCE = 3  # each has its own cluster of 350 MB
REMOVED_S = 120


def play(scenario: dict[str, Any], target: Target) -> list[Any]:
    """Play one scenario from its beginning, and return the observations of each step. Leaves no pod behind."""
    namespace = scenario.get("namespace", "kserve-test")
    cluster = conformance.Cluster(target.kubeconfig, namespace, target.ingress)
    if cluster.kubectl("get", "ns", namespace).returncode:
        cluster.kubectl("create", "ns", namespace)
    remove(cluster, scenario["name"])
    try:
        return conformance.play(cluster, scenario, target.speed)
    finally:
        remove(cluster, scenario["name"])


def remove(cluster: conformance.Cluster, name: str) -> None:
    """Delete the InferenceService and wait until its pods are gone, because the next scenario needs the processors."""
    cluster.kubectl("delete", "isvc", name, "--ignore-not-found")
    deadline = time.monotonic() + REMOVED_S
    while cluster.isvc(name) is not None or cluster.pods(name):
        assert time.monotonic() < deadline, f"{name} still has pods after {REMOVED_S} s"
        time.sleep(0.2)


def play_alone(file: Path) -> list[Any]:
    """Play one scenario on its own embedded cluster."""
    scenario = yaml.safe_load(file.read_text())
    name = f"play-{SCENARIOS.index(file)}-{os.getpid()}"
    record = clusters.start(name, gateway=scenario["gateway"], owner=os.getpid(), temporary=True)
    try:
        return play(scenario, Target(record.kubeconfig, record.ingress, record.gateway, record.speed))
    finally:
        clusters.delete(record.name)


@pytest.fixture(scope="module")
def plays(request: pytest.FixtureRequest) -> Iterator[Mapping[Path, Future[list[Any]]]]:
    """The observations of each scenario of this run, on embedded clusters.

    Scenarios mostly wait, so some are played at the same time. The longest ones, which are the last, start first."""
    chosen = [item.callspec.params["file"] for item in request.session.items
              if isinstance(item, pytest.Function) and item.path == request.path]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        yield {file: pool.submit(play_alone, file) for file in reversed(chosen)}


@pytest.mark.parametrize("file", SCENARIOS, ids=lambda file: file.stem)
def test_a_scenario_behaves_as_on_a_real_kserve(file: Path, request: pytest.FixtureRequest) -> None:
    scenario = yaml.safe_load(file.read_text())
    recorded = json.loads((FOLDER / "recorded" / f"{file.stem}.json").read_text())

    if request.config.getoption("--kubeconfig"):
        got = play(scenario, request.getfixturevalue(scenario["gateway"]))
    else:
        got = request.getfixturevalue("plays")[file].result()

    differences, _unseen = conformance.compare(scenario, got, recorded)
    assert not differences, "\n".join(differences)
