"""Effect of each shift of a rollout on users: 10,000 requests at 200/s per shift.

The shifts and the judgement are those of the cluster tests. A request fails if it is lost, or if a revision answers it
that has no traffic at that moment. The gap is the longest time without any response. This takes about 14 minutes.
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
