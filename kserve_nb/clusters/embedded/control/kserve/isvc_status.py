"""Knative Service and pods → the InferenceService's status.

Source: kserve pkg/apis/serving/v1beta1/inference_service_status.go.
"""

from __future__ import annotations

from collections.abc import Mapping

from kserve_nb.clusters.embedded.control.framework.condition_set import Conditions
from kserve_nb.clusters.embedded.objects import Object, condition, is_true

DEPENDENTS = ("PredictorReady", "IngressReady")


def set_condition(conditions: Conditions, type_: str, found: Mapping[str, str]) -> None:
    """Take over a condition; nothing where there is none (`SetCondition`)."""
    mark = {"True": conditions.mark_true, "False": conditions.mark_false, "Unknown": conditions.mark_unknown}
    if found:
        mark[found["status"]](type_, found.get("reason", ""), found.get("message", ""))


def propagate(status: Object, conditions: Conditions, service: Object) -> None:
    """What the Knative Service says, and from it which revision is rolled out (`PropagateStatus`)."""
    theirs = service.get("status") or {}
    part = status.setdefault("components", {}).setdefault("predictor", {})
    _assign(part, "latestCreatedRevision", theirs.get("latestCreatedRevisionName"))
    _roll_out(part, theirs)
    _assign(part, "latestReadyRevision", theirs.get("latestReadyRevisionName"))
    if is_true(service, "Ready"):
        part |= {key: theirs[key] for key in ("address", "url") if key in theirs}
    set_condition(conditions, "PredictorReady", condition(service, "Ready"))
    set_condition(conditions, "PredictorRouteReady", condition(service, "RoutesReady"))
    _assign(part, "traffic", theirs.get("traffic"))
    set_condition(conditions, "PredictorConfigurationReady", condition(service, "ConfigurationsReady"))
    _assign(status, "observedGeneration", theirs.get("observedGeneration"))


def _assign(holder: Object, key: str, value: object) -> None:
    """Go's `omitempty`."""
    if value:
        holder[key] = value
    else:
        holder.pop(key, None)


def _roll_out(part: Object, theirs: Object) -> None:
    """latestRolledoutRevision follows the latest ready revision at 100 %, and goes back when that one is pinned away.

    It goes back only where all traffic still names the latest revision, that is on the way of a pin or a smaller
    percent after a promotion; a canary's split names two.
    """
    ready, created = theirs.get("latestReadyRevisionName", ""), theirs.get("latestCreatedRevisionName", "")
    traffic = theirs.get("traffic") or []
    for target in traffic:
        if target.get("revisionName") != ready or not target.get("latestRevision"):
            continue
        rolled_out, percent = part.get("latestRolledoutRevision", ""), target.get("percent", 0)
        if rolled_out != ready:
            if percent == 100:
                _assign(part, "previousRolledoutRevision", rolled_out)
                part["latestRolledoutRevision"] = ready
        elif (ready == created and percent < 100 and part.get("previousRolledoutRevision")
              and sum(t.get("percent", 0) for t in traffic if t.get("revisionName") == ready) == 100):
            part["latestRolledoutRevision"] = part["previousRolledoutRevision"]


def aggregate(conditions: Conditions) -> None:
    """RoutesReady and LatestDeploymentReady over all components, here one (`PropagateCrossComponentStatus`)."""
    for type_, source in (("RoutesReady", "PredictorRouteReady"),
                          ("LatestDeploymentReady", "PredictorConfigurationReady")):
        found = conditions.status_of(source) or "Unknown"
        reason = "" if found == "True" else f"{source} not ready"
        set_condition(conditions, type_, {"status": found, "reason": reason})


def propagate_model(status: Object, conditions: Conditions, service: Object, pods: list[Object]) -> bool:
    """modelStatus from the pods of the latest created revision; False to be asked again (`PropagateModelStatus`).

    Args:
        pods: newest first.
    """
    model = status["modelStatus"]
    copies = model.setdefault("copies", {"failedCopies": 0})
    _assign(copies, "totalCopies", sum(_is_running_and_ready(pod) for pod in pods))
    if not pods:
        known = (service.get("status") or {}).get("conditions") or []
        failed = any(c["status"] == "False" for c in known)
        set_model_state(model, "FailedToLoad" if failed else "Pending")
        return True
    loading = _loading(pods[0])
    if loading is not None:
        if loading == "restarted":
            return False
        set_model_state(model, loading, _failure(pods[0], "initContainerStatuses", "storage-initializer"))
        return True
    part = status["components"]["predictor"]
    if conditions.status_of("Ready") == "True" and part.get("latestCreatedRevision") == part.get("latestReadyRevision"):
        set_model_state(model, "Loaded")
    elif _container(pods[0], "containerStatuses", "kserve-container"):
        failure = _failure(pods[0], "containerStatuses", "kserve-container")
        set_model_state(model, "FailedToLoad" if failure else "Pending", failure)
    return True


def _loading(pod: Object) -> str | None:
    """What the storage-initializer makes of the model's state; None once it is done."""
    found = _container(pod, "initContainerStatuses", "storage-initializer")
    if "running" in (found.get("state") or {}):
        return "restarted" if (found.get("lastState") or {}).get("terminated") else "Loading"
    return "FailedToLoad" if _failure(pod, "initContainerStatuses", "storage-initializer") else None


def _container(pod: Object, field: str, name: str) -> Object:
    statuses = (pod.get("status") or {}).get(field) or []
    return next((s for s in statuses if s["name"] == name), {})


def _failure(pod: Object, field: str, name: str) -> Object | None:
    """Why a container failed: how it ended now, or last where it waits to be started again."""
    found = _container(pod, field, name)
    state = found.get("state") or {}
    ended = None
    if (state.get("terminated") or {}).get("reason") == "Error":
        ended = state["terminated"]
    elif (state.get("waiting") or {}).get("reason") == "CrashLoopBackOff":
        ended = (found.get("lastState") or {}).get("terminated") or {}
    if ended is None:
        return None
    info = {"reason": "ModelLoadFailed", "message": ended.get("message"), "exitCode": ended.get("exitCode")}
    return {key: value for key, value in info.items() if value}


def _is_running_and_ready(pod: Object) -> bool:
    return (pod.get("status") or {}).get("phase") == "Running" and is_true(pod, "Ready")


def set_model_state(model: Object, state: str, failure: Object | None = None) -> None:
    """`UpdateModelRevisionStates`: the failure stays until the next one, also after success."""
    states = model.setdefault("states", {"activeModelState": ""})
    states["targetModelState"] = state
    model["transitionStatus"] = {"Loaded": "UpToDate", "FailedToLoad": "BlockedByFailedLoad"}.get(state, "InProgress")
    if state == "Loaded":
        states["activeModelState"] = "Loaded"
    if failure:
        model["lastFailureInfo"] = failure


def set_invalid(status: Object, reason: str, message: str) -> None:
    """`UpdateModelTransitionStatus` with InvalidSpec: the spec itself is at fault."""
    model = status["modelStatus"]
    model["transitionStatus"] = "InvalidSpec"
    model.setdefault("states", {"activeModelState": ""})["targetModelState"] = "FailedToLoad"
    model["lastFailureInfo"] = {"reason": reason, "message": message}
