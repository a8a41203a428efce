"""The scheduler of a cluster with one node: a pod runs there if its requests fit, else it says why not.

Source: kubernetes pkg/scheduler (schedule_one.go, framework/types.go `FitError`,
framework/plugins/noderesources/fit.go, nodeaffinity). The words are those of Kubernetes 1.35.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

from kserve_nb.clusters.embedded import quantity
from kserve_nb.clusters.embedded.control.framework.kreconciler import without_version
from kserve_nb.clusters.embedded.control.framework.loop import Changes, Key, Moment, Reconciler
from kserve_nb.clusters.embedded.kinds import NODE, POD, RESERVATION
from kserve_nb.clusters.embedded.objects import Object, Objects, condition, key_of, utc

_COMPONENT = "default-scheduler"
_RESOURCES = ("cpu", "memory")
_NO_VICTIMS = "No preemption victims found for incoming pod."
_NO_HELP = "Preemption is not helpful for scheduling."


def reconcile(pod: Object, objects: Objects, moment: Moment) -> Changes:
    """Assign a pod to the node, or mark it Unschedulable (`ScheduleOne`)."""
    changes = Changes()
    if not _is_waiting(pod):
        if _occupies(pod, moment.settings.node):
            _reserve(pod, objects, changes, waiting=False)  # it was created with its node, or before a restart
        return changes
    node = objects.find(NODE, None, moment.settings.node)
    refusal = _refusal(pod, node, objects)
    _reserve(pod, objects, changes, waiting=refusal is not None)
    if refusal is None:
        _assign(pod, moment, changes)
    elif condition(pod, "PodScheduled").get("message") != refusal:
        failed = {"message": refusal, "reason": "Unschedulable", "status": "False"}
        _set_scheduled(pod, failed, moment, changes)
        changes.event(pod, "Warning", "FailedScheduling", refusal, _COMPONENT)
    return changes


def reconcile_reservation(reservation: Object, objects: Objects, _moment: Moment) -> Changes:
    """A pod that has ended or gone gives its room back."""
    changes = Changes()
    pod = objects.find(POD, *key_of(reservation))
    if pod is None or pod["metadata"]["uid"] != reservation["status"]["podUID"] or _has_ended(pod):
        changes.delete(RESERVATION, reservation)
    return changes


def requests_of(pod: Object) -> dict[str, Decimal]:
    """What a pod asks of its node: its containers together, or its largest init container (resource helpers
    `PodRequests`)."""
    def of(container: Object, resource: str) -> Decimal:
        resources = container.get("resources") or {}
        asked = (resources.get("requests") or {}).get(resource) or (resources.get("limits") or {}).get(resource)
        return quantity.parse(asked) if asked else Decimal(0)

    spec = pod["spec"]
    return {
        resource: max(sum((of(c, resource) for c in spec["containers"]), Decimal(0)),
                      max((of(c, resource) for c in spec.get("initContainers") or []), default=Decimal(0)))
        for resource in _RESOURCES}


def _is_waiting(pod: Object) -> bool:
    spec = pod["spec"]
    ours = spec.get("schedulerName", _COMPONENT) == _COMPONENT and not spec.get("schedulingGates")
    return ours and not spec.get("nodeName") and "deletionTimestamp" not in pod["metadata"]


def _refusal(pod: Object, node: Object | None, objects: Objects) -> str | None:
    """Why the pod cannot run on the node, in the scheduler's words; None: it can."""
    if node is None:
        return "no nodes available to schedule pods"
    labels = node["metadata"].get("labels") or {}
    if not (pod["spec"].get("nodeSelector") or {}).items() <= labels.items():
        return _words("node(s) didn't match Pod's node affinity/selector", _NO_HELP)
    if node["spec"].get("unschedulable"):
        return _words("node(s) were unschedulable", _NO_HELP)
    asked, allocatable = requests_of(pod), (node.get("status") or {}).get("allocatable") or {}
    room = {resource: quantity.parse(allocatable[resource]) for resource in _RESOURCES if resource in allocatable}
    free = dict(room)
    for other in objects.list(RESERVATION):
        if not other["status"]["waiting"] and other["status"]["podUID"] != pod["metadata"]["uid"]:
            for resource, amount in other["status"]["requests"].items():
                if resource in free:
                    free[resource] -= Decimal(amount)
    short = [resource for resource in free if 0 < asked[resource] > free[resource]]
    if not short:
        return None
    hopeless = any(asked[resource] > room[resource] for resource in short)
    return _words(", 1 ".join(f"Insufficient {r}" for r in short), _NO_HELP if hopeless else _NO_VICTIMS)


def _occupies(pod: Object, node: str) -> bool:
    return bool(pod["spec"].get("nodeName") == node) and not _has_ended(pod)


def _has_ended(pod: Object) -> bool:
    return (pod.get("status") or {}).get("phase") in ("Succeeded", "Failed")


def _assign(pod: Object, moment: Moment, changes: Changes) -> None:
    namespace, name = key_of(pod)
    node = moment.settings.node
    changes.update(POD, {**pod, "spec": {**pod["spec"], "nodeName": node}})
    _set_scheduled(pod, {"status": "True"}, moment, changes)
    changes.event(pod, "Normal", "Scheduled", f"Successfully assigned {namespace}/{name} to {node}", _COMPONENT)


def _reserve(pod: Object, objects: Objects, changes: Changes, *, waiting: bool) -> None:
    namespace, name = key_of(pod)
    requests = {resource: str(amount) for resource, amount in requests_of(pod).items()}
    status = {"podUID": pod["metadata"]["uid"], "waiting": waiting, "requests": requests}
    held = objects.find(RESERVATION, namespace, name)
    if held is None:
        changes.create(RESERVATION, {
            "apiVersion": RESERVATION.api_version, "kind": RESERVATION.kind,
            "metadata": {"name": name, "namespace": namespace}, "status": status})
    elif held["status"] != status:
        changes.update_status(RESERVATION, {**held, "status": status})


def _words(why: str, preemption: str) -> str:
    return (f"0/1 nodes are available: 1 {why}. no new claims to deallocate, "
            f"preemption: 0/1 nodes are available: 1 {preemption}")


def _set_scheduled(pod: Object, fields: Object, moment: Moment, changes: Changes) -> None:
    status = pod.get("status") or {}
    others = [c for c in status.get("conditions") or [] if c["type"] != "PodScheduled"]
    scheduled = {"lastProbeTime": None, "lastTransitionTime": utc(moment.now),
                 "observedGeneration": pod["metadata"].get("generation", 1), **fields, "type": "PodScheduled"}
    body = {"phase": "Pending", **status, "conditions": [*others, scheduled]}
    changes.update_status(POD, {**without_version(pod), "status": body})


def _waiting(_obj: Object, objects: Objects) -> Iterable[Key]:
    """The pods that wait for room, or for a node that takes them."""
    return [key_of(r) for r in objects.list(RESERVATION) if r["status"]["waiting"]]


def _waiting_after(reservation: Object, objects: Objects) -> Iterable[Key]:
    """The same, once a reservation has gone."""
    return _waiting(reservation, objects) if objects.find(RESERVATION, *key_of(reservation)) is None else ()


def _of_ending(pod: Object, objects: Objects) -> Iterable[Key]:
    if _has_ended(pod) or objects.find(POD, *key_of(pod)) is None:
        yield key_of(pod)


RECONCILERS: tuple[Reconciler, ...] = (
    Reconciler("scheduler", POD, reconcile, watches={RESERVATION: _waiting_after, NODE: _waiting}),
    Reconciler("reservation", RESERVATION, reconcile_reservation, watches={POD: _of_ending}),
)
