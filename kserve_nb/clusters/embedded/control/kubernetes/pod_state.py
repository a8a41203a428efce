"""What several controllers ask of a pod."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kserve_nb.clusters.embedded.durations import seconds_since
from kserve_nb.clusters.embedded.objects import Object, condition, is_true


def is_active(pod: Object) -> bool:
    """Whether it counts as one of its ReplicaSet's: not ended, not ending (controller_utils.go `IsPodActive`)."""
    ended = (pod.get("status") or {}).get("phase") in ("Succeeded", "Failed")
    return not ended and "deletionTimestamp" not in pod["metadata"]


def is_ready(pod: Object) -> bool:
    """Whether its condition Ready is True."""
    return is_true(pod, "Ready")


def available_in_s(pod: Object, least_ready_s: float, now: float) -> float | None:
    """How long until it has been ready for `least_ready_s`; 0 or less: it has; None: it is not ready."""
    if not is_ready(pod):
        return None
    if not least_ready_s:
        return 0.0
    return least_ready_s - seconds_since(condition(pod, "Ready")["lastTransitionTime"], now)


def controller_uid(obj: Object) -> str | None:
    """The uid of the object that controls this one."""
    owners = obj["metadata"].get("ownerReferences") or []
    return next((owner["uid"] for owner in owners if owner.get("controller")), None)


def matches(selector: Mapping[str, Any] | None, labels: Mapping[str, str]) -> bool:
    """Whether a label selector (matchLabels, matchExpressions) selects these labels; none selects nothing."""
    if not selector:
        return False
    equal = all(labels.get(key) == value for key, value in (selector.get("matchLabels") or {}).items())
    return equal and all(_matches_expression(e, labels) for e in selector.get("matchExpressions") or [])


def _matches_expression(expression: Object, labels: Mapping[str, str]) -> bool:
    key, values = expression["key"], expression.get("values") or []
    match expression["operator"]:
        case "In":
            return key in labels and labels[key] in values
        case "NotIn":
            return key not in labels or labels[key] not in values
        case "Exists":
            return key in labels
        case _:
            return key not in labels
