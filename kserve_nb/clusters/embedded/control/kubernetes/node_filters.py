"""The scheduler's filters: why a pod cannot run on the node, in the words of Kubernetes 1.35.

Sources: kubernetes pkg/scheduler/framework/types.go `FitError`, framework/plugins: volumebinding/volume_binding.go
`PreFilter`, nodeaffinity, nodeunschedulable, noderesources/fit.go `fitsRequest`.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

from kserve_nb.clusters.embedded.apimachinery import quantity
from kserve_nb.clusters.embedded.apimachinery.kinds import PERSISTENT_VOLUME_CLAIM, RESERVATION
from kserve_nb.clusters.embedded.apimachinery.objects import Object, Objects
from kserve_nb.clusters.embedded.control.kubernetes.pod_state import matches_expression

_NO_VICTIMS = "No preemption victims found for incoming pod."
_NOT_HELPFUL = "Preemption is not helpful for scheduling."


def unschedulable_reason(pod: Object, node: Object | None, objects: Objects) -> str | None:
    """The scheduler's message for a pod that does not fit the node. None if it fits."""
    if node is None:
        return "no nodes available to schedule pods"
    claim = next(_unusable_claims(pod, objects), None)
    if claim is not None:  # Kubernetes 1.35 appends `not found`, the error of a later plugin
        return f"0/1 nodes are available: {claim}. not found"
    if not _selects(pod["spec"], node["metadata"].get("labels") or {}):
        return _message("node(s) didn't match Pod's node affinity/selector", _NOT_HELPFUL)
    if node["spec"].get("unschedulable"):
        return _message("node(s) were unschedulable", _NOT_HELPFUL)
    return _lacking_resources(pod, node, objects)


def requests_of(pod: Object) -> dict[str, Decimal]:
    """The resources that a pod requests: the sum of its containers, or its largest init container if that is more.

    Source: kubernetes staging/src/k8s.io/component-helpers/resource/helpers.go `PodRequests`.
    """
    total: dict[str, Decimal] = {"cpu": Decimal(0), "memory": Decimal(0)}
    for container in pod["spec"]["containers"]:
        for resource, amount in _container_requests(container):
            total[resource] = total.get(resource, Decimal(0)) + amount
    for container in pod["spec"].get("initContainers") or []:
        for resource, amount in _container_requests(container):
            total[resource] = max(total.get(resource, Decimal(0)), amount)
    return total


def _container_requests(container: Object) -> Iterator[tuple[str, Decimal]]:
    resources = container.get("resources") or {}
    for resource, amount in ((resources.get("limits") or {}) | (resources.get("requests") or {})).items():
        yield resource, quantity.parse(amount)


def _unusable_claims(pod: Object, objects: Objects) -> Iterator[str]:
    """Why claims of the pod's volumes cannot be used."""
    for volume in pod["spec"].get("volumes") or []:
        name = (volume.get("persistentVolumeClaim") or {}).get("claimName")
        claim = objects.find(PERSISTENT_VOLUME_CLAIM, pod["metadata"]["namespace"], name) if name else None
        if name and claim is None:
            yield f'persistentvolumeclaim "{name}" not found'
        elif claim is not None and "deletionTimestamp" in claim["metadata"]:
            yield f'persistentvolumeclaim "{name}" is being deleted'
        elif claim is not None and (claim.get("status") or {}).get("phase") != "Bound":
            yield "pod has unbound immediate PersistentVolumeClaims"


def _selects(spec: Object, labels: dict[str, str]) -> bool:
    """Whether the pod's node selector and required node affinity match the node's labels."""
    if not (spec.get("nodeSelector") or {}).items() <= labels.items():
        return False
    affinity = (spec.get("affinity") or {}).get("nodeAffinity") or {}
    required = affinity.get("requiredDuringSchedulingIgnoredDuringExecution")
    terms = [term.get("matchExpressions") or [] for term in (required or {}).get("nodeSelectorTerms") or []]
    return required is None or any(
        expressions and all(matches_expression(e, labels) for e in expressions) for expressions in terms)


def _lacking_resources(pod: Object, node: Object, objects: Objects) -> str | None:
    allocatable = {resource: quantity.parse(amount)
                   for resource, amount in ((node.get("status") or {}).get("allocatable") or {}).items()}
    others = [r["status"] for r in objects.list(RESERVATION)
              if not r["status"]["waiting"] and r["status"]["podUID"] != pod["metadata"]["uid"]]
    if len(others) >= allocatable.get("pods", len(others) + 1):
        return _message("Too many pods", _NO_VICTIMS)
    requested = requests_of(pod)
    free = {resource: allocatable.get(resource, Decimal(0)) for resource in requested}
    for other in others:
        for resource, amount in other["requests"].items():
            if resource in free:
                free[resource] -= Decimal(amount)
    lacking = sorted(resource for resource in requested if 0 < requested[resource] > free[resource])
    if not lacking:
        return None
    hopeless = any(requested[resource] > allocatable.get(resource, 0) for resource in lacking)
    return _message(", 1 ".join(f"Insufficient {r}" for r in lacking), _NOT_HELPFUL if hopeless else _NO_VICTIMS)


def _message(reason: str, preemption: str) -> str:
    return (f"0/1 nodes are available: 1 {reason}. no new claims to deallocate, "
            f"preemption: 0/1 nodes are available: 1 {preemption}")
