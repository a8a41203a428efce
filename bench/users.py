"""What users notice while everything happens to their model that can: 10,000 requests at 200/s for each shift.

The shifts are those of the cluster tests, so is the judgement: a request fails when it is lost, or answered by a
revision that might not answer at that moment. The gap is the longest time without any answer. About 14 minutes.
"""

from __future__ import annotations

from pathlib import Path

from bench.cluster import cluster
from bench.table import show
from kserve_nb.access.api_client import NAMESPACE
from kserve_nb.lab import Lab
from kserve_nb.values.cluster import Cluster
from tests.cluster import shifts

REQUESTS = 10_000  # a shift


def run() -> None:
    with cluster("users") as record:
        lab = Lab(Cluster(Path(record.kubeconfig), record.ingress, record.namespace, speed=record.speed))
        lab.client.create(NAMESPACE, {"metadata": {"name": record.namespace}})
        with shifts.stage(lab, record.kubeconfig) as stage:
            moments = shifts.play(stage, lambda _shift: REQUESTS)
        seen = shifts.noticed(stage, moments)
    rows = [(each.shift, len(each.shots), len(each.failures), f"{each.p50_s * 1000:.1f}", f"{each.p99_s * 1000:.1f}",
             f"{each.longest_gap_s * 1000:.0f}") for each in seen]
    show("What users notice (none may fail)", ("shift", "requests", "failed", "p50 ms", "p99 ms", "gap ms"), rows)
    for failure in [failure for each in seen for failure in each.failures][:20]:
        print(f"  {failure}")
