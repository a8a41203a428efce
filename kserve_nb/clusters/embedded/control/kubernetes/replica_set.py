"""ReplicaSets: the desired number of pods of one template.

Source: kubernetes pkg/controller/replicaset (replica_set.go `manageReplicas`, replica_set_utils.go
`calculateStatus`).
"""

from __future__ import annotations

from kserve_nb.clusters.embedded.apimachinery.kinds import POD, REPLICA_SET
from kserve_nb.clusters.embedded.apimachinery.objects import Object, Objects, StatusError, copied, owner_reference, utc
from kserve_nb.clusters.embedded.control.framework.child_names import pod_name
from kserve_nb.clusters.embedded.control.framework.reconciler import Changes, Moment, Reconciler
from kserve_nb.clusters.embedded.control.kubernetes.pod_state import (
    available_in_s,
    controller_uid,
    is_active,
    is_ready,
    matches,
)

_COMPONENT = "replicaset-controller"
_RETRY_S = 5.0


def reconcile(replica_set: Object, objects: Objects, moment: Moment) -> Changes:
    """Create or delete pods until their number is the desired one, and write the status (`syncReplicaSet`)."""
    changes = Changes()
    meta, spec = replica_set["metadata"], replica_set["spec"]
    selector = spec["selector"]
    owned = [pod for pod in objects.list(POD, meta["namespace"], selector.get("matchLabels"))
            if controller_uid(pod) == meta["uid"] and matches(selector, pod["metadata"].get("labels", {}))]
    active = [pod for pod in owned if is_active(pod)]
    failure = None
    if "deletionTimestamp" not in meta:
        missing = spec.get("replicas", 1) - len(active)
        if missing > 0:
            failure = _create_pods(replica_set, missing, objects, moment, changes)
        for pod in _surplus(active, -missing):
            changes.delete(POD, pod)
            changes.event(replica_set, "Normal", "SuccessfulDelete", f"Deleted pod: {pod['metadata']['name']}",
                          _COMPONENT)
    status = _status(replica_set, active, sum("deletionTimestamp" in p["metadata"] for p in owned), moment, changes)
    _set_failure(replica_set, status, failure, moment.now)
    if status != replica_set.get("status"):
        changes.update_status(REPLICA_SET, {**replica_set, "status": status})
    return changes


def make_pod(replica_set: Object, name: str) -> Object:
    """A pod of the ReplicaSet's template (controller_utils.go `GetPodFromTemplate`)."""
    template, meta = copied(replica_set["spec"]["template"]), replica_set["metadata"]
    kept = {key: template.get("metadata", {})[key] for key in ("annotations", "labels", "finalizers")
            if template.get("metadata", {}).get(key)}
    return {
        "apiVersion": POD.api_version, "kind": POD.kind,
        "metadata": {**kept, "generateName": f"{meta['name']}-", "name": name, "namespace": meta["namespace"],
                     "ownerReferences": [owner_reference(replica_set)]},
        "spec": template["spec"],
    }


def _create_pods(replica_set: Object, missing: int, objects: Objects, moment: Moment,
                 changes: Changes) -> StatusError | None:
    """Create the missing pods. If the API server refuses the first one, report that and return the error."""
    meta = replica_set["metadata"]
    seed = meta["uid"], meta["resourceVersion"], moment.now
    pods = [make_pod(replica_set, pod_name(meta["name"], *seed, i)) for i in range(missing)]
    try:
        objects.create(POD, pods[0], dry_run=True)
    except StatusError as refusal:
        changes.event(replica_set, "Warning", "FailedCreate", f"Error creating: {refusal.message}", _COMPONENT)
        changes.requeue_after(_RETRY_S)
        return refusal
    for pod in pods:
        changes.create(POD, pod)
        changes.event(replica_set, "Normal", "SuccessfulCreate", f"Created pod: {pod['metadata']['name']}", _COMPONENT)
    return None


def _surplus(active: list[Object], count: int) -> list[Object]:
    """The pods to delete: unscheduled ones first, then pods that are not ready, then the youngest (`ActivePods`)."""
    if count <= 0:
        return []
    by_age = sorted(active, key=lambda pod: str(pod["metadata"]["creationTimestamp"]), reverse=True)
    return sorted(by_age, key=lambda pod: (bool(pod["spec"].get("nodeName")), is_ready(pod)))[:count]


def _status(replica_set: Object, active: list[Object], terminating: int, moment: Moment, changes: Changes) -> Object:
    min_ready_s = float(replica_set["spec"].get("minReadySeconds") or 0)
    waits = [wait for pod in active if (wait := available_in_s(pod, min_ready_s, moment.now)) is not None]
    for wait in waits:
        if wait > 0:
            changes.requeue_after(wait)
    labels = replica_set["spec"]["template"].get("metadata", {}).get("labels", {})
    counts = {
        "availableReplicas": sum(wait <= 0 for wait in waits),
        "fullyLabeledReplicas": sum(labels.items() <= pod["metadata"].get("labels", {}).items() for pod in active),
        "readyReplicas": len(waits)}
    status = {name: count for name, count in counts.items() if count}
    return status | {"observedGeneration": replica_set["metadata"]["generation"], "replicas": len(active),
                     "terminatingReplicas": terminating}


def _set_failure(replica_set: Object, status: Object, failure: StatusError | None, now: float) -> None:
    """Set ReplicaFailure; an existing one with the same reason keeps its message and time (`SetCondition`)."""
    if failure is not None:
        status["conditions"] = (replica_set.get("status") or {}).get("conditions") or [
            {"lastTransitionTime": utc(now), "message": failure.message, "reason": "FailedCreate", "status": "True",
             "type": "ReplicaFailure"}]


RECONCILERS: tuple[Reconciler, ...] = (
    Reconciler("replica set", REPLICA_SET, reconcile, owns=(POD,)),
)
