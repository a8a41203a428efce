"""Gated rollouts on a cluster: a bad model is rolled back after it has served very few requests."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from kserve_nb.gates.execution.run_state import RunState
from kserve_nb.lab import Lab
from kserve_nb.values.cluster import Cluster
from kserve_nb.values.manifest import MODEL
from tests import gated_models
from tests.cluster.conftest import Target


def followed(target: Target, folder: Path, kind: str) -> tuple[RunState, Lab]:
    """The final state of a rollout with that kind of model, and the lab."""
    if target.kubeconfig and not (folder.exists() and target.ingress.startswith("127.0.0.1")):
        pytest.skip("the models are files of this machine")
    lab = Lab(Cluster(Path(target.kubeconfig), target.ingress, target.namespace, speed=target.speed))
    rollout = lab.rollout()
    rollout.deploy(MODEL)
    asyncio.run(rollout.wait())
    return asyncio.run(rollout.follow(gated_models.plan(gated_models.build(folder, kind)))), lab


def test_a_dead_canary_is_rolled_back_before_many_users_meet_it(target: Target, tmp_path: Path) -> None:
    state, lab = followed(target, tmp_path, "dead")

    assert state.phase == "rolled back", state
    assert state.affected <= 3, state
    assert lab.rollout().status().requested_percent == 0
    lease = target.kubectl("get", "lease", "kserve-nb-rollout-sklearn-iris", "-o", "jsonpath={.spec.holderIdentity}")
    assert lease == ""
