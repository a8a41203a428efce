"""10,000 requests during every event that can happen to a model: none fails, and the right revision answers."""

from __future__ import annotations

from pathlib import Path

from kserve_nb.lab import Lab
from kserve_nb.values.cluster import Cluster
from kserve_nb.values.manifest import MODEL, MODEL_2
from tests.cluster import shifts
from tests.cluster.conftest import Target


def test_users_never_notice(target: Target) -> None:
    lab = Lab(Cluster(Path(target.kubeconfig), target.ingress, target.namespace, speed=target.speed))

    with shifts.stage(lab, target.kubeconfig) as stage:
        moments = shifts.play(stage, lambda shift: shift.part)
    seen = {each.shift: each for each in shifts.noticed(stage, moments)}

    failures = [failure for each in seen.values() for failure in each.failures]
    assert not failures, f"{len(failures)} of {stage.load.sent} requests:\n" + "\n".join(failures[:50])
    assert sum(len(each.shots) for each in seen.values()) >= 10_000
    for shift in ("canary 10 %", "percent 50", "percent 90"):  # otherwise the answers would prove nothing
        assert set(seen[shift].answers) == {MODEL, MODEL_2}, shift
