"""The status of an InferenceService, from its Knative Service and its pods.

Source: kserve pkg/apis/serving/v1beta1/inference_service_status.go.
"""

from __future__ import annotations

from collections.abc import Mapping

from kserve_nb.clusters.embedded.apimachinery.objects import Object, condition, is_true
from kserve_nb.clusters.embedded.control.framework.condition_set import Conditions
from kserve_nb.clusters.embedded.control.kserve.canary_traffic import set_or_remove, update_rolled_out

DEPENDENTS = ("PredictorReady", "IngressReady")


def set_condition(conditions: Conditions, type_: str, found: Mapping[str, str]) -> None:
    """Copy a condition's status, reason and message, if it exists (`SetCondition`)."""
    mark = {"True": conditions.mark_true, "False": conditions.mark_false, "Unknown": conditions.mark_unknown}
    if found:
        mark[found["status"]](type_, found.get("reason", ""), found.get("message", ""))


def propagate(status: Object, conditions: Conditions, service: Object) -> None:
    """Copy the Knative Service's status, and determine the rolled-out revision (`PropagateStatus`)."""
    service_status = service.get("status") or {}
    predictor = status.setdefault("components", {}).setdefault("predictor", {})
    set_or_remove(predictor, "latestCreatedRevision", service_status.get("latestCreatedRevisionName"))
    update_rolled_out(predictor, service_status)
    set_or_remove(predictor, "latestReadyRevision", service_status.get("latestReadyRevisionName"))
    if is_true(service, "Ready"):
        predictor |= {key: service_status[key] for key in ("address", "url") if key in service_status}
    set_condition(conditions, "PredictorReady", condition(service, "Ready"))
    set_condition(conditions, "PredictorRouteReady", condition(service, "RoutesReady"))
    set_or_remove(predictor, "traffic", service_status.get("traffic"))
    set_condition(conditions, "PredictorConfigurationReady", condition(service, "ConfigurationsReady"))
    set_or_remove(status, "observedGeneration", service_status.get("observedGeneration"))


def aggregate(conditions: Conditions) -> None:
    """Set RoutesReady and LatestDeploymentReady from the predictor (`PropagateCrossComponentStatus`)."""
    for type_, source in (("RoutesReady", "PredictorRouteReady"),
                          ("LatestDeploymentReady", "PredictorConfigurationReady")):
        found = conditions.status_of(source) or "Unknown"
        reason = "" if found == "True" else f"{source} not ready"
        set_condition(conditions, type_, {"status": found, "reason": reason})


def propagate_model(status: Object, conditions: Conditions, service: Object, pods: list[Object]) -> bool:
    """Set modelStatus from the pods of the latest created revision. False: call again soon (`PropagateModelStatus`).

    Args:
        pods: newest first.
    """
    model = status["modelStatus"]
    copies = model.setdefault("copies", {"failedCopies": 0})
    set_or_remove(copies, "totalCopies", sum(_is_running_and_ready(pod) for pod in pods))
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
    predictor = status["components"]["predictor"]
    created, latest_ready = predictor.get("latestCreatedRevision"), predictor.get("latestReadyRevision")
    if conditions.status_of("Ready") == "True" and created == latest_ready:
        set_model_state(model, "Loaded")
    elif _container(pods[0], "containerStatuses", "kserve-container"):
        failure = _failure(pods[0], "containerStatuses", "kserve-container")
        set_model_state(model, "FailedToLoad" if failure else "Pending", failure)
    return True


def _loading(pod: Object) -> str | None:
    """The model's state while the storage-initializer runs or has failed; None afterwards."""
    found = _container(pod, "initContainerStatuses", "storage-initializer")
    if "running" in (found.get("state") or {}):
        return "restarted" if (found.get("lastState") or {}).get("terminated") else "Loading"
    return "FailedToLoad" if _failure(pod, "initContainerStatuses", "storage-initializer") else None


def _container(pod: Object, field: str, name: str) -> Object:
    statuses = (pod.get("status") or {}).get(field) or []
    return next((s for s in statuses if s["name"] == name), {})


def _failure(pod: Object, field: str, name: str) -> Object | None:
    """Why a container failed: its current or, during back-off, its last termination. None if it has not failed."""
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
    """Set the model's state. A failure stays until the next one, even after success (`UpdateModelRevisionStates`)."""
    states = model.setdefault("states", {"activeModelState": ""})
    states["targetModelState"] = state
    model["transitionStatus"] = {"Loaded": "UpToDate", "FailedToLoad": "BlockedByFailedLoad"}.get(state, "InProgress")
    if state == "Loaded":
        states["activeModelState"] = "Loaded"
    if failure:
        model["lastFailureInfo"] = failure


def set_invalid(status: Object, reason: str, message: str) -> None:
    """Report that the spec is invalid (`UpdateModelTransitionStatus` with InvalidSpec)."""
    model = status["modelStatus"]
    model["transitionStatus"] = "InvalidSpec"
    model.setdefault("states", {"activeModelState": ""})["targetModelState"] = "FailedToLoad"
    model["lastFailureInfo"] = {"reason": reason, "message": message}
