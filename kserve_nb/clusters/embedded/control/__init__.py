"""The reconcilers of the embedded cluster: pure functions of one object and a view of all others, run by one loop."""

from __future__ import annotations

from importlib import import_module

from kserve_nb.clusters.embedded.control.framework.loop import Reconciler

MODULES = (
    "kserve.isvc", "knative.ksvc", "knative.configuration", "knative.labeler", "knative.route", "knative.kingress",
    "knative.revision_gc", "knative.revision", "knative.pod_autoscaler", "knative.serverless_service",
    "kubernetes.deployment", "kubernetes.replica_set", "kubernetes.scheduler", "kubernetes.endpoints",
    "kubernetes.endpoint_slices", "kubernetes.garbage_collector",
)


def reconcilers() -> tuple[Reconciler, ...]:
    """All reconcilers. Where one change wakes several, they run in this order."""
    return tuple(
        reconciler for module in MODULES for reconciler in import_module(f"{__name__}.{module}").RECONCILERS)
