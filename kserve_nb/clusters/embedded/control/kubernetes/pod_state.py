"""Pod states that several controllers use, and label selectors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kserve_nb.clusters.embedded.apimachinery.durations import seconds_since
from kserve_nb.clusters.embedded.apimachinery.objects import Object, condition, is_true


def is_active(pod: Object) -> bool:
    """Whether a pod counts for its ReplicaSet: not ended and not being deleted (controller_utils.go `IsPodActive`)."""
    ended = (pod.get("status") or {}).get("phase") in ("Succeeded", "Failed")
    return not ended and "deletionTimestamp" not in pod["metadata"]


def is_ready(pod: Object) -> bool:
    """Whether a pod's condition Ready is True."""
    return is_true(pod, "Ready")


def available_in_s(pod: Object, min_ready_s: float, now: float) -> float | None:
    """The seconds until a pod has been ready for `min_ready_s`: 0 or less if it has; None if it is not ready."""
    if not is_ready(pod):
        return None
    if not min_ready_s:
        return 0.0
    return min_ready_s - seconds_since(condition(pod, "Ready")["lastTransitionTime"], now)


def controller_uid(obj: Object) -> str | None:
    """The uid of an object's controller, or None."""
    owners = obj["metadata"].get("ownerReferences") or []
    return next((owner["uid"] for owner in owners if owner.get("controller")), None)


def matches(selector: Mapping[str, Any] | None, labels: Mapping[str, str]) -> bool:
    """Whether a selector (matchLabels, matchExpressions) matches the labels. A missing one matches nothing."""
    if not selector:
        return False
    equal = all(labels.get(key) == value for key, value in (selector.get("matchLabels") or {}).items())
    return equal and all(matches_expression(e, labels) for e in selector.get("matchExpressions") or [])


def matches_expression(expression: Object, labels: Mapping[str, str]) -> bool:
    """Whether one expression of a selector (In, NotIn, Exists, DoesNotExist, Gt, Lt) matches the labels."""
    key, values = expression["key"], expression.get("values") or []
    match expression["operator"]:
        case "In":
            return key in labels and labels[key] in values
        case "NotIn":
            return key not in labels or labels[key] not in values
        case "Exists":
            return key in labels
        case "Gt" | "Lt":
            sign = 1 if expression["operator"] == "Gt" else -1
            return key in labels and labels[key].isdigit() and sign * (int(labels[key]) - int(values[0])) > 0
        case _:
            return key not in labels
