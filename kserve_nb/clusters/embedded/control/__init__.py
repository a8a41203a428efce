"""The controllers of the embedded cluster: KServe's, Knative's and Kubernetes' own, run by one control loop.

Reconcilers are pure functions of one object and a view of the others. Each group depends on the groups below it:
`kserve`, `knative`, `kubernetes`, `framework`. They may import `apimachinery` and the modules
of `clusters.embedded` and `values`, but neither the API server nor the node nor the gateway.
"""

from __future__ import annotations

from dataclasses import replace
from importlib import import_module

from kserve_nb.clusters.embedded.control.framework.reconciler import Reconciler

MODULES = (
    "kserve.inference_service", "knative.knative_service", "knative.configuration", "knative.labeler", "knative.route",
    "knative.knative_ingress", "knative.revision_gc", "knative.revision", "knative.autoscaling.pod_autoscaler",
    "knative.serverless_service", "kubernetes.deployment", "kubernetes.replica_set", "kubernetes.volume_binder",
    "kubernetes.scheduler", "kubernetes.endpoints", "kubernetes.endpoint_slices", "kubernetes.garbage_collector",
    "kubernetes.custom_resource_definitions",
)

_MANAGERS = {"kserve": "manager", "knative.autoscaling": "autoscaler", "knative": "controller",
             "kubernetes.scheduler": "kube-scheduler", "kubernetes.custom_resource_definitions": "kube-apiserver",
             "kubernetes": "kube-controller-manager"}
"""The programs that contain the controllers on a real cluster, by the beginning of the module's name."""


def reconcilers() -> tuple[Reconciler, ...]:
    """All reconcilers, in the order in which they run when one change queues several of them."""
    return tuple(
        replace(reconciler, manager=_manager_of(module))
        for module in MODULES for reconciler in import_module(f"{__name__}.{module}").RECONCILERS)


def _manager_of(module: str) -> str:
    return next(manager for prefix, manager in _MANAGERS.items() if module.startswith(prefix))
