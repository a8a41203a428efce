"""The status of a Deployment: counts of pods, and the conditions Available, Progressing and ReplicaFailure.

Source: kubernetes pkg/controller/deployment (progress.go `syncRolloutStatus`, sync.go `calculateStatus`,
util/deployment_util.go).
"""

from __future__ import annotations

import math

from kserve_nb.clusters.embedded.apimachinery.durations import seconds_since
from kserve_nb.clusters.embedded.apimachinery.objects import Object, condition, copied, utc
from kserve_nb.clusters.embedded.control.framework.reconciler import Changes, Moment

_COUNTS = ("replicas", "readyReplicas", "availableReplicas", "terminatingReplicas")


def status_of(deployment: Object, replica_sets: list[Object], newest: Object | None, moment: Moment,
              changes: Changes) -> Object:
    """The status of a Deployment with these ReplicaSets."""
    held = deployment.get("status") or {}
    status = _counts(deployment, replica_sets, newest)
    conditions = {c["type"]: c for c in copied(held.get("conditions") or [])}
    _set_available(deployment, status, conditions, moment.now)
    _set_failure(replica_sets, conditions, moment.now)
    if newest is not None and not deployment["spec"].get("paused"):
        _set_progressing(deployment, held, status, newest, conditions, moment, changes)
    status["conditions"] = list(conditions.values())
    return status


def surge_and_unavailable(deployment: Object) -> tuple[int, int]:
    """The numbers of extra and of missing pods that a rolling update may have (`ResolveFenceposts`)."""
    strategy = deployment["spec"].get("strategy") or {}
    if strategy.get("type") == "Recreate":
        return 0, 0
    update, replicas = strategy.get("rollingUpdate") or {}, deployment["spec"].get("replicas", 1)
    surge = math.ceil(_absolute(update.get("maxSurge", "25%"), replicas))
    unavailable = math.floor(_absolute(update.get("maxUnavailable", "25%"), replicas))
    return surge, min(unavailable if surge or unavailable else 1, replicas)


def _absolute(value: int | str, replicas: int) -> float:
    return value if isinstance(value, int) else replicas * int(value.rstrip("%")) / 100


def total(replica_sets: list[Object], field: str) -> int:
    """The sum of a count in the ReplicaSets' statuses."""
    return sum((rs.get("status") or {}).get(field, 0) for rs in replica_sets)


def _counts(deployment: Object, replica_sets: list[Object], newest: Object | None) -> Object:
    counts = {field: total(replica_sets, field) for field in _COUNTS}
    counts["updatedReplicas"] = total([newest] if newest else [], "replicas")
    desired = sum(rs["spec"].get("replicas", 1) for rs in replica_sets)
    counts["unavailableReplicas"] = max(desired - counts["availableReplicas"], 0)
    status: Object = {field: count for field, count in counts.items() if count or field == "terminatingReplicas"}
    status["observedGeneration"] = deployment["metadata"]["generation"]
    return status


def _set_available(deployment: Object, status: Object, conditions: dict[str, Object], now: float) -> None:
    minimum = deployment["spec"].get("replicas", 1) - surge_and_unavailable(deployment)[1]
    if status.get("availableReplicas", 0) >= minimum:
        _set(conditions, "Available", "True", "MinimumReplicasAvailable", "Deployment has minimum availability.", now)
    else:
        _set(conditions, "Available", "False", "MinimumReplicasUnavailable",
             "Deployment does not have minimum availability.", now)


def _set_failure(replica_sets: list[Object], conditions: dict[str, Object], now: float) -> None:
    failing = [c for rs in replica_sets if (c := condition(rs, "ReplicaFailure"))]
    if failing:
        _set(conditions, "ReplicaFailure", "True", failing[0]["reason"], failing[0]["message"], now)
    else:
        conditions.pop("ReplicaFailure", None)


def _set_progressing(deployment: Object, held: Object, status: Object, newest: Object, conditions: dict[str, Object],
                     moment: Moment, changes: Changes) -> None:
    """Set Progressing: the rollout continues, is complete, or has exceeded `progressDeadlineSeconds`."""
    about, now = f'ReplicaSet "{newest["metadata"]["name"]}"', moment.now
    current = conditions.get("Progressing", {})
    settled = status.get("replicas", 0) == status.get("updatedReplicas", 0)
    if settled and current.get("reason") == "NewReplicaSetAvailable":
        return
    if _complete(deployment, status):
        _set(conditions, "Progressing", "True", "NewReplicaSetAvailable", f"{about} has successfully progressed.", now)
    elif "uid" not in newest["metadata"]:  # about to be created
        _set(conditions, "Progressing", "True", "NewReplicaSetCreated",
             f'Created new replica set "{newest["metadata"]["name"]}"', now)
    elif not current or _progressed(held, status):
        began = current["lastTransitionTime"] if current.get("status") == "True" else utc(now)
        conditions.pop("Progressing", None)
        _set(conditions, "Progressing", "True", "ReplicaSetUpdated", f"{about} is progressing.", now)
        conditions["Progressing"]["lastTransitionTime"] = began
    elif current["reason"] not in ("NewReplicaSetAvailable", "ProgressDeadlineExceeded"):
        deadline_s = moment.settings.window_s(deployment["spec"].get("progressDeadlineSeconds", 600))
        late_s = seconds_since(current["lastUpdateTime"], now) - deadline_s
        if late_s > 0:
            _set(conditions, "Progressing", "False", "ProgressDeadlineExceeded",
                 f"{about} has timed out progressing.", now)
    _await_deadline(deployment, conditions["Progressing"], moment, changes)


def _await_deadline(deployment: Object, progressing: Object, moment: Moment, changes: Changes) -> None:
    if progressing["reason"] in ("NewReplicaSetAvailable", "ProgressDeadlineExceeded"):
        return
    deadline_s = moment.settings.window_s(deployment["spec"].get("progressDeadlineSeconds", 600))
    left_s = deadline_s - seconds_since(progressing["lastUpdateTime"], moment.now)
    changes.requeue_after(max(left_s, 0) + 0.01)


def _complete(deployment: Object, status: Object) -> bool:
    """Whether all pods are updated and available (`DeploymentComplete`)."""
    desired = deployment["spec"].get("replicas", 1)
    return all(status.get(f, 0) == desired for f in ("updatedReplicas", "replicas", "availableReplicas"))


def _progressed(before: Object, after: Object) -> bool:
    """Whether the rollout has progressed since the previous status (`DeploymentProgressing`)."""
    def more(field: str) -> bool:
        return bool(after.get(field, 0) > before.get(field, 0))

    def old(status: Object) -> int:
        return int(status.get("replicas", 0)) - int(status.get("updatedReplicas", 0))

    return more("updatedReplicas") or more("readyReplicas") or more("availableReplicas") or old(after) < old(before)


def _set(conditions: dict[str, Object], type_: str, status: str, reason: str, message: str, now: float) -> None:
    """Set a condition and move it to the end, unless status and reason are unchanged (`SetDeploymentCondition`)."""
    held = conditions.get(type_, {})
    if (held.get("status"), held.get("reason")) == (status, reason):
        return
    since = held["lastTransitionTime"] if held.get("status") == status else utc(now)
    conditions.pop(type_, None)
    conditions[type_] = {"lastTransitionTime": since, "lastUpdateTime": utc(now), "message": message,
                         "reason": reason, "status": status, "type": type_}
