"""Twenty gated rollouts of real models on an embedded cluster: how they end, and how many users were affected."""

from __future__ import annotations

import asyncio
import tempfile
import time
from pathlib import Path

from bench.cluster import cluster
from bench.table import show
from kserve_nb.access.api_client import NAMESPACE
from kserve_nb.lab import Lab
from kserve_nb.values.cluster import Cluster
from kserve_nb.values.manifest import MODEL
from tests import gated_models

RUNS = {"good": 8, "dead": 6, "20 %": 6}


def run() -> None:
    rows: list[tuple[object, ...]] = []
    with cluster("rollouts") as record, tempfile.TemporaryDirectory() as folder:
        lab = Lab(Cluster(Path(record.kubeconfig), record.ingress, record.namespace, speed=record.speed))
        lab.client.create(NAMESPACE, {"metadata": {"name": record.namespace}})
        for kind, count in RUNS.items():
            for number in range(count):
                rows.append(_one(lab, Path(folder) / f"{kind[:2]}{number}", kind))
    show("Gated rollouts (dead: at most 3 users affected; 20 % errors: at most 10)",
         ("model", "ended as", "users affected", "of", "canary failed", "seconds"), rows)


def _one(lab: Lab, folder: Path, kind: str) -> tuple[object, ...]:
    rollout = lab.rollout()
    asyncio.run(lab.reset())
    rollout.deploy(MODEL)
    asyncio.run(rollout.wait())
    began = time.monotonic()
    state = asyncio.run(rollout.follow(gated_models.plan(gated_models.build(folder, kind))))
    evidence = state.evidence
    return (kind, state.phase, state.affected, evidence.users, f"{evidence.canary_failed} of {evidence.canary}",
            f"{time.monotonic() - began:.1f}")
