"""The reconcilers of the embedded cluster: pure functions of one object and a view of all others, run by one loop."""

from __future__ import annotations

from importlib import import_module

from kserve_nb.clusters.embedded.control.loop import Reconciler

MODULES = (
    "isvc", "ksvc", "configuration", "labeler", "route", "kingress", "gc",
    "revision", "pod_autoscaler", "serverless_service", "deployment", "replica_set", "scheduler", "endpoints",
    "endpoint_slices", "garbage",
)


def reconcilers() -> tuple[Reconciler, ...]:
    """All reconcilers. Where one change wakes several, they run in this order."""
    return tuple(
        reconciler for module in MODULES for reconciler in import_module(f"{__name__}.{module}").RECONCILERS)
