"""Deployments: a ReplicaSet for each version of the pod template, and rolling updates between them.

Source: kubernetes pkg/controller/deployment (deployment_controller.go `syncDeployment`, sync.go, rolling.go,
recreate.go).
"""

from __future__ import annotations

from kserve_nb.clusters.embedded.apimachinery.kinds import DEPLOYMENT, REPLICA_SET
from kserve_nb.clusters.embedded.apimachinery.objects import Object, Objects, copied, owner_reference
from kserve_nb.clusters.embedded.control.framework.child_names import template_hash
from kserve_nb.clusters.embedded.control.framework.reconciler import Changes, Moment, Reconciler, without_version
from kserve_nb.clusters.embedded.control.kubernetes.deployment_status import status_of, surge_and_unavailable, total
from kserve_nb.clusters.embedded.control.kubernetes.pod_state import controller_uid
from kserve_nb.values.labels import LAST_APPLIED

_COMPONENT = "deployment-controller"
_PREFIX = "deployment.kubernetes.io/"
_REVISION = f"{_PREFIX}revision"
_HASH = "pod-template-hash"
_HISTORY_LIMIT = 10
_NOT_COPIED = {
    LAST_APPLIED, _REVISION, f"{_PREFIX}desired-replicas", f"{_PREFIX}max-replicas"}


def reconcile(deployment: Object, objects: Objects, moment: Moment) -> Changes:
    """Write the ReplicaSets of a Deployment and its status (`syncDeployment`)."""
    changes = Changes()
    meta, spec = deployment["metadata"], deployment["spec"]
    owned = [rs for rs in objects.list(REPLICA_SET, meta["namespace"], spec["selector"].get("matchLabels"))
             if controller_uid(rs) == meta["uid"]]
    newest = _newest_replica_set(deployment, owned)
    if "deletionTimestamp" not in meta:
        if newest is None and not spec.get("paused"):
            newest = _create(deployment, owned, objects, changes)
            owned.append(newest)
        elif newest is not None:
            _roll(deployment, newest, [rs for rs in owned if rs is not newest], changes)
            _clean_up(deployment, newest, owned, changes)
        if newest is not None:
            _set_revision_annotation(deployment, newest, changes)
    status = status_of(deployment, owned, newest, moment, changes)
    if status != deployment.get("status"):
        changes.update_status(DEPLOYMENT, {**without_version(deployment), "status": status})
    return changes


def make_replica_set(deployment: Object, replicas: int, number: int) -> Object:
    """The ReplicaSet for the current pod template (sync.go `getNewReplicaSet`)."""
    meta, spec = deployment["metadata"], deployment["spec"]
    template = copied(spec["template"])
    hash_ = template_hash(template)
    labels = template.setdefault("metadata", {}).get("labels", {}) | {_HASH: hash_}
    template["metadata"]["labels"] = labels
    selector = copied(spec["selector"])
    selector["matchLabels"] = selector.get("matchLabels", {}) | {_HASH: hash_}
    body: Object = {
        "apiVersion": REPLICA_SET.api_version, "kind": REPLICA_SET.kind,
        "metadata": {
            "annotations": _annotations(deployment, number), "labels": dict(labels),
            "name": f"{meta['name']}-{hash_}", "namespace": meta["namespace"],
            "ownerReferences": [owner_reference(deployment)]},
        "spec": {"replicas": replicas, "selector": selector, "template": template},
    }
    if spec.get("minReadySeconds"):
        body["spec"]["minReadySeconds"] = spec["minReadySeconds"]
    return body


def _newest_replica_set(deployment: Object, owned: list[Object]) -> Object | None:
    """The ReplicaSet whose hash is that of the current pod template (`FindNewReplicaSet`)."""
    hash_ = template_hash(deployment["spec"]["template"])
    return next((rs for rs in owned if rs["metadata"].get("labels", {}).get(_HASH) == hash_), None)


def _annotations(deployment: Object, number: int) -> dict[str, str]:
    replicas = deployment["spec"].get("replicas", 1)
    most = replicas + surge_and_unavailable(deployment)[0] if replicas else 0
    copied = {k: v for k, v in deployment["metadata"].get("annotations", {}).items() if k not in _NOT_COPIED}
    return {**copied, _REVISION: str(number), f"{_PREFIX}desired-replicas": str(replicas),
            f"{_PREFIX}max-replicas": str(most)}


def _number_of(replica_set: Object) -> int:
    return int(replica_set["metadata"].get("annotations", {}).get(_REVISION, 0))


def _create(deployment: Object, owned: list[Object], objects: Objects, changes: Changes) -> Object:
    number = max((_number_of(rs) for rs in owned), default=0) + 1
    new = make_replica_set(deployment, _new_size(deployment, 0, owned), number)
    changes.create(REPLICA_SET, new)
    if new["spec"]["replicas"]:
        _record_scaled(deployment, new, 0, new["spec"]["replicas"], changes)
    return new


def _roll(deployment: Object, newest: Object, old: list[Object], changes: Changes) -> None:
    """One step of a rollout to the newest ReplicaSet (rolling.go `rolloutRolling`, recreate.go)."""
    recreate = (deployment["spec"].get("strategy") or {}).get("type") == "Recreate"
    paused = deployment["spec"].get("paused")
    size = newest["spec"].get("replicas", 1)
    wait = recreate and total(old, "replicas") > 0
    # A previous template that is used again, as after `kubectl rollout undo`, gets a new number.
    number = max(_number_of(newest), max((_number_of(rs) for rs in old), default=0) + 1)
    _resize(deployment, newest, size if wait or paused else _new_size(deployment, size, old), number, changes)
    if paused:
        return
    old_pods = sum(rs["spec"].get("replicas", 1) for rs in old)
    removable = old_pods if recreate else _removable_old_pods(deployment, newest, old)
    # ReplicaSets without available pods are scaled down first (`cleanupUnhealthyReplicas`).
    for rs in sorted(old, key=lambda rs: (rs.get("status") or {}).get("availableReplicas", 0)):
        taken = min(removable, rs["spec"].get("replicas", 1))
        removable -= taken
        _resize(deployment, rs, rs["spec"].get("replicas", 1) - taken, _number_of(rs), changes)


def _new_size(deployment: Object, size: int, old: list[Object]) -> int:
    """The size that the newest ReplicaSet may have now (deployment_util.go `NewRSNewReplicas`)."""
    replicas = int(deployment["spec"].get("replicas", 1))
    others = sum(rs["spec"].get("replicas", 1) for rs in old)
    if (deployment["spec"].get("strategy") or {}).get("type") == "Recreate":
        return 0 if others else replicas
    room = replicas + surge_and_unavailable(deployment)[0] - others - size
    return size + max(0, min(room, replicas - size)) if size <= replicas else replicas


def _removable_old_pods(deployment: Object, newest: Object, old: list[Object]) -> int:
    """How many old pods can be removed while enough pods stay available (`reconcileOldReplicaSets`)."""
    minimum = int(deployment["spec"].get("replicas", 1)) - surge_and_unavailable(deployment)[1]
    unavailable = int(newest["spec"].get("replicas", 1)) - total([newest], "availableReplicas")
    pods = sum(int(rs["spec"].get("replicas", 1)) for rs in [newest, *old])
    return max(0, pods - minimum - unavailable)


def _resize(deployment: Object, replica_set: Object, size: int, number: int, changes: Changes) -> None:
    before = replica_set["spec"].get("replicas", 1)
    annotations = _annotations(deployment, number)
    if before == size and annotations == replica_set["metadata"].get("annotations", {}):
        return
    replica_set["spec"]["replicas"] = size
    replica_set["metadata"]["annotations"] = annotations
    changes.update(REPLICA_SET, replica_set)
    if before != size:
        _record_scaled(deployment, replica_set, before, size, changes)


def _record_scaled(deployment: Object, replica_set: Object, before: int, after: int, changes: Changes) -> None:
    way, name = "up" if after > before else "down", replica_set["metadata"]["name"]
    changes.event(deployment, "Normal", "ScalingReplicaSet",
                  f"Scaled {way} replica set {name} from {before} to {after}", _COMPONENT)


def _set_revision_annotation(deployment: Object, newest: Object, changes: Changes) -> None:
    annotations = deployment["metadata"].get("annotations", {})
    number = newest["metadata"]["annotations"][_REVISION]
    if annotations.get(_REVISION) != number:
        meta = {**deployment["metadata"], "annotations": {**annotations, _REVISION: number}}
        changes.update(DEPLOYMENT, {**deployment, "metadata": meta})


def _clean_up(deployment: Object, newest: Object, owned: list[Object], changes: Changes) -> None:
    """Delete old empty ReplicaSets beyond the history limit (sync.go `cleanupDeployment`)."""
    limit = deployment["spec"].get("revisionHistoryLimit", _HISTORY_LIMIT)
    empty = [rs for rs in owned if rs is not newest and not rs["spec"].get("replicas", 1)
             and not total([rs], "replicas") and "deletionTimestamp" not in rs["metadata"]]
    for rs in sorted(empty, key=_number_of)[:max(0, len(empty) - limit)]:
        changes.delete(REPLICA_SET, rs)


RECONCILERS: tuple[Reconciler, ...] = (
    Reconciler("deployment", DEPLOYMENT, reconcile, owns=(REPLICA_SET,)),
)
