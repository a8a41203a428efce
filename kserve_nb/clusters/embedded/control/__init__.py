"""The reconcilers of the embedded cluster: pure functions of one object and a view of all others, run by one loop."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec

from kserve_nb.clusters.embedded.control.loop import Reconciler

MODULES = (
    "isvc", "ksvc", "configuration", "labeler", "route", "kingress", "gc",
    "revision", "pod_autoscaler", "serverless_service", "deployment", "replica_set", "scheduler", "endpoints",
    "garbage",
)


def reconcilers() -> tuple[Reconciler, ...]:
    """All reconcilers. Where one change wakes several, they run in this order."""
    found: list[Reconciler] = []
    for module in MODULES:
        name = f"{__name__}.{module}"
        if find_spec(name) is not None:
            found.extend(import_module(name).RECONCILERS)
    return tuple(found)
