"""The embedded cluster goes through the recorded scenarios as a real KServe did, at the default speed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from tests.conformance import conformance

FOLDER = Path(conformance.__file__).parent
SCENARIOS = sorted((FOLDER / "scenarios").glob("*.yaml"))


@pytest.mark.parametrize("file", SCENARIOS, ids=lambda file: file.stem)
def test_a_scenario_goes_as_on_a_real_kserve(file: Path, request: pytest.FixtureRequest) -> None:
    scenario = yaml.safe_load(file.read_text())
    recorded = json.loads((FOLDER / "recorded" / f"{file.stem}.json").read_text())
    target = request.getfixturevalue(scenario["gateway"])
    namespace = scenario.get("namespace", "kserve-test")
    cluster = conformance.Cluster(target.kubeconfig, namespace, target.ingress)
    if cluster.kubectl("get", "ns", namespace).returncode:
        cluster.kubectl("create", "ns", namespace)
    cluster.kubectl("delete", "isvc", scenario["name"], "--ignore-not-found")

    got = conformance.play(cluster, scenario, target.speed)

    differences, _unseen = conformance.compare(scenario, got, recorded)
    assert not differences, "\n".join(differences)
