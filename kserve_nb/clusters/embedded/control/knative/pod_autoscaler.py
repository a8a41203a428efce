"""PodAutoscalers: how many pods each revision has, down to none and up from none.

Source: knative serving pkg/reconciler/autoscaling/kpa (kpa.go, scaler.go) and pkg/apis/autoscaling/v1alpha1
(pa_lifecycle.go). The arithmetic is in decider.py.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from kserve_nb.clusters.embedded.control.framework.condition_set import Conditions
from kserve_nb.clusters.embedded.control.framework.kreconciler import begin, finish
from kserve_nb.clusters.embedded.control.framework.loop import Changes, Key, Moment, Reconciler
from kserve_nb.clusters.embedded.control.knative import autoscaler as decider
from kserve_nb.clusters.embedded.control.knative.revision_deployment import (
    PROGRESS_DEADLINE_S,
)
from kserve_nb.clusters.embedded.durations import parse_duration_s, seconds_since
from kserve_nb.clusters.embedded.kinds import (
    DECIDER,
    DEPLOYMENT,
    POD,
    POD_AUTOSCALER,
    REVISION_TRAFFIC,
    SERVERLESS_SERVICE,
)
from kserve_nb.clusters.embedded.objects import Object, Objects, condition, is_true, key_of, owner_reference
from kserve_nb.values.labels import (
    AUTOSCALING,
    INITIAL_SCALE,
    KPA_CLASS,
    MAX_SCALE,
    MIN_SCALE,
    PROGRESS_DEADLINE,
    REVISION_LABEL,
)

_DEPENDENTS = ("Active", "ScaleTargetInitialized", "SKSReady")
_UNKNOWN = -1
_TICK_S = 2.0  # autoscaler/scaling/multiscaler.go `tickInterval`
_GRACE_S = 30.0  # config-autoscaler scale-to-zero-grace-period
_ACTIVATION_BUFFER_S = 30.0  # scaler.go `activationTimeoutBuffer`
_LEAST_ACTIVATORS = 2


@dataclass(frozen=True)
class _Bounds:
    """What limits the scale: annotations and reachability (pa_lifecycle.go `ScaleBounds`)."""

    least: int
    most: int  # 0: no limit
    initial: int

    @classmethod
    def of(cls, autoscaler: Object) -> _Bounds:
        annotations = autoscaler["metadata"].get("annotations", {})
        least = 0 if _unreachable(autoscaler) else _integer(annotations.get(MIN_SCALE))
        return cls(least, _integer(annotations.get(MAX_SCALE)),
                   _integer(annotations.get(INITIAL_SCALE)) or 1)

    def apply(self, pods: int) -> int:
        pods = max(pods, self.least)
        return min(pods, self.most) if self.most else pods


def reconcile(autoscaler: Object, objects: Objects, moment: Moment) -> Changes:
    """One pass over a PodAutoscaler (kpa.go `ReconcileKind`)."""
    changes = Changes()
    if "deletionTimestamp" in autoscaler["metadata"] or not _is_kpa(autoscaler):
        return changes
    status, conditions = begin(autoscaler, _DEPENDENTS, moment.now)
    namespace, name = key_of(autoscaler)
    service = objects.find(SERVERLESS_SERVICE, namespace, name)
    private = ((service or {}).get("status") or {}).get("privateServiceName")
    if service is None or not private:
        if service is None:
            changes.create(SERVERLESS_SERVICE, make_serverless_service(autoscaler, "Proxy", _LEAST_ACTIVATORS))
        conditions.mark_unknown("SKSReady", "NotReady", "No Private Service Name")
        _compute_status(autoscaler, status, conditions, _UNKNOWN, 0)
    else:
        status["metricsServiceName"] = private
        _autoscale(autoscaler, status, service, conditions, objects, moment, changes)
    finish(POD_AUTOSCALER, autoscaler, status, changes)
    return changes


def make_serverless_service(autoscaler: Object, mode: str, activators: int) -> Object:
    """resources/sks.go `MakeSKS`."""
    meta = autoscaler["metadata"]
    annotations = {k: v for k, v in meta.get("annotations", {}).items() if k != f"{AUTOSCALING}metric"}
    return {
        "apiVersion": SERVERLESS_SERVICE.api_version, "kind": SERVERLESS_SERVICE.kind,
        "metadata": {
            "annotations": annotations, "labels": dict(meta.get("labels", {})), "name": meta["name"],
            "namespace": meta["namespace"], "ownerReferences": [owner_reference(autoscaler)]},
        "spec": {
            "mode": mode, "numActivators": activators, "objectRef": autoscaler["spec"]["scaleTargetRef"],
            "protocolType": autoscaler["spec"]["protocolType"]},
    }


def _autoscale(autoscaler: Object, status: Object, service: Object, conditions: Conditions, objects: Objects,
               moment: Moment, changes: Changes) -> None:
    ready = _ready_pods(autoscaler, objects)
    scaling = decider.scaling_of(autoscaler, moment.settings.window_s(decider.STABLE_WINDOW_S))
    decision, active_s = _decide(autoscaler, conditions, scaling, ready, objects, moment, changes)
    scaler = _Scaler(autoscaler, service, conditions, moment, changes, scaling.window_s, active_s)
    want = scaler.scale(decision.pods, objects)
    mode = "Serve" if want > 0 and decision.excess_burst_capacity >= 0 else "Proxy"
    spec = make_serverless_service(autoscaler, mode, decider.activators(ready, scaling.total))["spec"]
    if spec != service["spec"]:
        changes.update(SERVERLESS_SERVICE, {**service, "spec": spec})
    if (service.get("status") or {}).get("serviceName"):
        status["serviceName"] = service["status"]["serviceName"]
    observed = (service.get("status") or {}).get("observedGeneration") == service["metadata"]["generation"]
    if observed and spec == service["spec"] and is_true(service, "Ready"):
        conditions.mark_true("SKSReady")
    else:
        conditions.mark_unknown("SKSReady", "NotReady", condition(service, "Ready").get("message", ""))
    _compute_status(autoscaler, status, conditions, want, ready)


def _decide(autoscaler: Object, conditions: Conditions, scaling: decider.Scaling, ready: int, objects: Objects,
            moment: Moment, changes: Changes) -> tuple[decider.Decision, float]:
    """What the revision's requests ask for, and for how long it has been as active as it is."""
    namespace, name = key_of(autoscaler)
    held = objects.find(DECIDER, namespace, name)
    traffic = objects.find(REVISION_TRAFFIC, namespace, name) or {}
    memory = decider.observe(
        decider.Memory.of(held), traffic.get("status") or {}, ready, scaling.window_s, moment.now)
    memory = decider.note_active(memory, conditions.status_of("Active") or "", moment.now)
    decision, memory = decider.decide(memory, scaling, ready, moment.now)
    if memory != decider.Memory.of(held):
        body: Object = {"apiVersion": DECIDER.api_version, "kind": DECIDER.kind, "status": memory.to_status()}
        body["metadata"] = {"name": name, "namespace": namespace, "ownerReferences": [owner_reference(autoscaler)]}
        if held is None:
            changes.create(DECIDER, body)
        else:
            changes.update_status(DECIDER, body)
    if decision.pending:
        changes.again(moment.settings.window_s(_TICK_S))
    return decision, moment.now - memory.active_since


@dataclass(frozen=True)
class _Scaler:
    """Brings a decision within its bounds, and tells the Deployment (scaler.go)."""

    autoscaler: Object
    service: Object
    conditions: Conditions
    moment: Moment
    changes: Changes
    stable_window_s: float
    active_s: float  # for how long the condition Active has had its status

    def scale(self, desired: int, objects: Objects) -> int:
        """How many pods are wanted (`scale`)."""
        if desired < 0 and self.conditions.status_of("Active") != "Unknown":
            return desired
        bounds = _Bounds.of(self.autoscaler)
        initialized = self.conditions.status_of("ScaleTargetInitialized") == "True"
        if bounds.initial > 1 and not initialized and not _unreachable(self.autoscaler):
            bounds = _Bounds(max(bounds.initial, bounds.least), bounds.most, bounds.initial)
        desired, apply = bounds.apply(desired), True
        if desired == 0:
            desired, apply = self._scale_to_zero()
        target = self.autoscaler["spec"]["scaleTargetRef"]["name"]
        deployment = objects.find(DEPLOYMENT, self.autoscaler["metadata"]["namespace"], target)
        if apply and deployment is not None and deployment["spec"].get("replicas", 1) != desired:
            deployment["spec"]["replicas"] = desired
            self.changes.update(DEPLOYMENT, deployment)
        return desired

    def _scale_to_zero(self) -> tuple[int, bool]:
        """What is wanted where nothing asks for pods, and whether the Deployment is told (`handleScaleToZero`).

        A revision becomes inactive after a stable window of activity, and loses its pods once the activator has stood
        before it for the grace period; one that never became active loses them some time after its progress deadline.
        """
        active = self.conditions.status_of("Active")
        if active == "Unknown":
            timeout_s = self._activation_timeout_s()
            if self.active_s > timeout_s:
                return 0, True
            self.changes.again(timeout_s)
            return _UNKNOWN, False
        if active == "True":
            if self.active_s >= self.stable_window_s:
                return 0, False
            self.changes.again(self.stable_window_s - self.active_s)
            return 1, True
        wait_s = self._wait_inactive_s()
        if wait_s > 0:
            self.changes.again(wait_s)
        return 0, wait_s <= 0

    def _activation_timeout_s(self) -> float:
        annotations = self.autoscaler["metadata"].get("annotations", {})
        deadline_s = parse_duration_s(annotations.get(PROGRESS_DEADLINE)) or PROGRESS_DEADLINE_S
        return self.moment.settings.window_s(deadline_s + _ACTIVATION_BUFFER_S)

    def _wait_inactive_s(self) -> float:
        """How long the last pod of an inactive revision stays yet: its retention, and until the activator is there."""
        window_s, annotations = self.moment.settings.window_s, self.autoscaler["metadata"].get("annotations", {})
        text = annotations.get(f"{AUTOSCALING}scale-to-zero-pod-retention-period")
        retention_s = 0.0 if _unreachable(self.autoscaler) else window_s(parse_duration_s(text) or 0)
        grace_s = window_s(_GRACE_S)
        if self.active_s >= max(grace_s, retention_s):
            return 0
        if self.active_s < retention_s:
            return retention_s - self.active_s
        backed = condition(self.service, "ActivatorEndpointsPopulated")
        if backed.get("status") != "True":
            return grace_s
        return grace_s - seconds_since(backed["lastTransitionTime"], self.moment.now)


def _compute_status(autoscaler: Object, status: Object, conditions: Conditions, want: int, ready: int) -> None:
    """kpa.go `computeStatus` and the table of `computeActiveCondition`."""
    status["actualScale"] = ready
    if want != _UNKNOWN or status.get("desiredScale", _UNKNOWN) < 0:
        status["desiredScale"] = want
    bounds = _Bounds.of(autoscaler)
    initialized = conditions.status_of("ScaleTargetInitialized") == "True"
    least = max(bounds.least, 1 if initialized else bounds.initial)
    if ready >= least and status.get("serviceName"):
        conditions.mark_true("ScaleTargetInitialized")
    active = conditions.status_of("Active")
    if want == 0 and active == "Unknown":
        conditions.mark_false("Active", "TimedOut", "The target could not be activated.")
    elif want == 0 or (want < 0 and active == "False" and ready < least):
        conditions.mark_false("Active", "NoTraffic", "The target is not receiving traffic.")
    elif ready < least:
        conditions.mark_unknown(
            "Active", "Queued", "Requests to the target are being buffered as resources are provisioned.")
    elif want > 0 or active != "False":
        conditions.mark_true("Active")


def _ready_pods(autoscaler: Object, objects: Objects) -> int:
    labels = {REVISION_LABEL: autoscaler["metadata"].get("labels", {}).get(REVISION_LABEL, "")}
    pods = objects.list(POD, autoscaler["metadata"]["namespace"], labels)
    return sum(is_true(pod, "Ready") and "deletionTimestamp" not in pod["metadata"] for pod in pods)


def _is_kpa(autoscaler: Object) -> bool:
    class_ = autoscaler["metadata"].get("annotations", {}).get(f"{AUTOSCALING}class", "")
    return not class_ or class_ == KPA_CLASS


def _unreachable(autoscaler: Object) -> bool:
    return bool(autoscaler["spec"].get("reachability") == "Unreachable")


def _integer(text: str | None) -> int:
    return int(text) if text and text.lstrip("-").isdigit() else 0


def _of_pod(pod: Object, _objects: Objects) -> Iterable[Key]:
    name = pod["metadata"].get("labels", {}).get(REVISION_LABEL)
    if name:
        yield pod["metadata"]["namespace"], name


def _same_name(obj: Object, _objects: Objects) -> Iterable[Key]:
    yield key_of(obj)


RECONCILERS: tuple[Reconciler, ...] = (
    Reconciler("pod autoscaler", POD_AUTOSCALER, reconcile, owns=(SERVERLESS_SERVICE,),
               watches={POD: _of_pod, REVISION_TRAFFIC: _same_name}),
)
