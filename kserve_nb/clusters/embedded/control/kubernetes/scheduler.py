"""The scheduler, for a cluster with one node: assigns pods that fit, and reports why others do not.

Source: kubernetes pkg/scheduler/schedule_one.go.
"""

from __future__ import annotations

from collections.abc import Iterable

from kserve_nb.clusters.embedded.apimachinery.kinds import NODE, PERSISTENT_VOLUME_CLAIM, POD, RESERVATION
from kserve_nb.clusters.embedded.apimachinery.objects import Object, Objects, condition, key_of, utc
from kserve_nb.clusters.embedded.control.framework.reconciler import Changes, Key, Moment, Reconciler, without_version
from kserve_nb.clusters.embedded.control.kubernetes.node_filters import requests_of, unschedulable_reason

_COMPONENT = "default-scheduler"


def reconcile(pod: Object, objects: Objects, moment: Moment) -> Changes:
    """Assign a pod to the node, or mark it Unschedulable (`ScheduleOne`)."""
    changes = Changes()
    if not _is_waiting(pod):
        if _occupies(pod, moment.settings.node):
            _reserve(pod, objects, changes, waiting=False)  # created with a node name, or before a restart
        return changes
    node = objects.find(NODE, None, moment.settings.node)
    reason = unschedulable_reason(pod, node, objects)
    _reserve(pod, objects, changes, waiting=reason is not None)
    if reason is None:
        _assign(pod, moment, changes)
    elif condition(pod, "PodScheduled").get("message") != reason:
        failed = {"message": reason, "reason": "Unschedulable", "status": "False"}
        _set_scheduled(pod, failed, moment, changes)
        changes.event(pod, "Warning", "FailedScheduling", reason, _COMPONENT)
    return changes


def reconcile_reservation(reservation: Object, objects: Objects, _moment: Moment) -> Changes:
    """Delete the reservation of a pod that has ended or is gone."""
    changes = Changes()
    pod = objects.find(POD, *key_of(reservation))
    if pod is None or pod["metadata"]["uid"] != reservation["status"]["podUID"] or _has_ended(pod):
        changes.delete(RESERVATION, reservation)
    return changes


def _is_waiting(pod: Object) -> bool:
    spec = pod["spec"]
    ours = spec.get("schedulerName", _COMPONENT) == _COMPONENT and not spec.get("schedulingGates")
    return ours and not spec.get("nodeName") and "deletionTimestamp" not in pod["metadata"]


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


def _set_scheduled(pod: Object, fields: Object, moment: Moment, changes: Changes) -> None:
    status = pod.get("status") or {}
    others = [c for c in status.get("conditions") or [] if c["type"] != "PodScheduled"]
    scheduled = {"lastProbeTime": None, "lastTransitionTime": utc(moment.now),
                 "observedGeneration": pod["metadata"].get("generation", 1), **fields, "type": "PodScheduled"}
    body = {"phase": "Pending", **status, "conditions": [*others, scheduled]}
    changes.update_status(POD, {**without_version(pod), "status": body})


def _waiting(_obj: Object, objects: Objects) -> Iterable[Key]:
    """The pods that are not scheduled yet."""
    return [key_of(r) for r in objects.list(RESERVATION) if r["status"]["waiting"]]


def _waiting_after(reservation: Object, objects: Objects) -> Iterable[Key]:
    """The pods that are not scheduled yet, once a reservation has been deleted."""
    return _waiting(reservation, objects) if objects.find(RESERVATION, *key_of(reservation)) is None else ()


def _of_ending(pod: Object, objects: Objects) -> Iterable[Key]:
    if _has_ended(pod) or objects.find(POD, *key_of(pod)) is None:
        yield key_of(pod)


RECONCILERS: tuple[Reconciler, ...] = (
    Reconciler("scheduler", POD, reconcile,
               watches={RESERVATION: _waiting_after, NODE: _waiting, PERSISTENT_VOLUME_CLAIM: _waiting}),
    Reconciler("reservation", RESERVATION, reconcile_reservation, watches={POD: _of_ending}),
)
