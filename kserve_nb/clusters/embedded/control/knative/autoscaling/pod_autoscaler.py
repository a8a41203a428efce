"""PodAutoscalers: scale each revision's Deployment by its requests, down to zero and up from zero.

The arithmetic is in `autoscaler`, the rules for zero pods are in `scaler`.

Source: knative serving pkg/reconciler/autoscaling/kpa/kpa.go, pkg/reconciler/autoscaling/resources/sks.go and
pkg/apis/autoscaling/v1alpha1/pa_lifecycle.go.
"""

from __future__ import annotations

from collections.abc import Iterable

from kserve_nb.clusters.embedded.apimachinery.kinds import (
    CONFIG_MAP,
    DECIDER,
    POD,
    POD_AUTOSCALER,
    REVISION_TRAFFIC,
    SERVERLESS_SERVICE,
)
from kserve_nb.clusters.embedded.apimachinery.objects import (
    Object,
    Objects,
    condition,
    is_true,
    key_of,
    owner_reference,
)
from kserve_nb.clusters.embedded.control.framework.condition_set import Conditions
from kserve_nb.clusters.embedded.control.framework.reconciler import Changes, Key, Moment, Reconciler
from kserve_nb.clusters.embedded.control.knative.autoscaling import autoscaler as decider
from kserve_nb.clusters.embedded.control.knative.autoscaling.autoscaling_options import (
    CONFIG_NAME,
    CONFIG_NAMESPACE,
    Options,
)
from kserve_nb.clusters.embedded.control.knative.autoscaling.scaler import UNKNOWN, Bounds, Scaler
from kserve_nb.clusters.embedded.control.knative.knative_reconciler import begin, finish
from kserve_nb.values.labels import AUTOSCALING, KPA_CLASS, REVISION_LABEL

_DEPENDENTS = ("Active", "ScaleTargetInitialized", "SKSReady")
_TICK_S = 2.0  # autoscaler/scaling/multiscaler.go `tickInterval`


def reconcile(autoscaler: Object, objects: Objects, moment: Moment) -> Changes:
    """Scale one revision and write its ServerlessService (kpa.go `ReconcileKind`)."""
    changes = Changes()
    if "deletionTimestamp" in autoscaler["metadata"] or not _is_kpa(autoscaler):
        return changes
    status, conditions = begin(autoscaler, _DEPENDENTS, moment.now)
    namespace, name = key_of(autoscaler)
    service = objects.find(SERVERLESS_SERVICE, namespace, name)
    private = ((service or {}).get("status") or {}).get("privateServiceName")
    if service is None or not private:
        if service is None:
            changes.create(SERVERLESS_SERVICE, make_serverless_service(autoscaler, "Proxy", decider.MIN_ACTIVATORS))
        conditions.mark_unknown("SKSReady", "NotReady", "No Private Service Name")
        _compute_status(Bounds.of(autoscaler, Options.of(autoscaler, objects)), status, conditions, UNKNOWN, 0)
    else:
        status["metricsServiceName"] = private
        _autoscale(autoscaler, status, service, conditions, objects, moment, changes)
    finish(POD_AUTOSCALER, autoscaler, status, changes)
    return changes


def make_serverless_service(autoscaler: Object, mode: str, activators: int) -> Object:
    """The ServerlessService of a PodAutoscaler (resources/sks.go `MakeSKS`)."""
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
    options = Options.of(autoscaler, objects)
    scaling = decider.scaling_of(autoscaler, options, moment.settings)
    decision, active_s = _decide(autoscaler, conditions, scaling, ready, objects, moment, changes)
    scaler = Scaler(autoscaler, options, service, conditions, moment, changes, scaling.window_s, active_s)
    desired = scaler.scale(decision.pods, objects)
    mode = "Serve" if desired > 0 and decision.excess_burst_capacity >= 0 else "Proxy"
    spec = make_serverless_service(autoscaler, mode, decider.activators(ready, scaling))["spec"]
    if spec != service["spec"]:
        changes.update(SERVERLESS_SERVICE, {**service, "spec": spec})
    if (service.get("status") or {}).get("serviceName"):
        status["serviceName"] = service["status"]["serviceName"]
    observed = (service.get("status") or {}).get("observedGeneration") == service["metadata"]["generation"]
    if observed and spec == service["spec"] and is_true(service, "Ready"):
        conditions.mark_true("SKSReady")
    else:
        conditions.mark_unknown("SKSReady", "NotReady", condition(service, "Ready").get("message", ""))
    _compute_status(Bounds.of(autoscaler, options), status, conditions, desired, ready)


def _decide(autoscaler: Object, conditions: Conditions, scaling: decider.Scaling, ready: int, objects: Objects,
            moment: Moment, changes: Changes) -> tuple[decider.Decision, float]:
    """The decision from the revision's requests, and for how long the condition Active has had its status."""
    namespace, name = key_of(autoscaler)
    stored = objects.find(DECIDER, namespace, name)
    traffic = objects.find(REVISION_TRAFFIC, namespace, name) or {}
    memory = decider.observe(
        decider.Memory.of(stored), traffic.get("status") or {}, ready, scaling.window_s, moment.now)
    memory = decider.note_active(memory, conditions.status_of("Active") or "", moment.now)
    decision, memory = decider.decide(memory, scaling, ready, moment.now)
    if memory != decider.Memory.of(stored):
        body: Object = {"apiVersion": DECIDER.api_version, "kind": DECIDER.kind, "status": memory.to_status()}
        body["metadata"] = {"name": name, "namespace": namespace, "ownerReferences": [owner_reference(autoscaler)]}
        if stored is None:
            changes.create(DECIDER, body)
        else:
            changes.update_status(DECIDER, body)
    if decision.pending:
        changes.requeue_after(moment.settings.window_s(_TICK_S))
    return decision, moment.now - memory.active_since


def _compute_status(bounds: Bounds, status: Object, conditions: Conditions, desired: int, ready: int) -> None:
    """Report scale and conditions (kpa.go `computeStatus` and the table of `computeActiveCondition`)."""
    status["actualScale"] = ready
    if desired != UNKNOWN or status.get("desiredScale", UNKNOWN) < 0:
        status["desiredScale"] = desired
    initialized = conditions.status_of("ScaleTargetInitialized") == "True"
    minimum = max(bounds.minimum, 1 if initialized else bounds.initial)
    if ready >= minimum and status.get("serviceName"):
        conditions.mark_true("ScaleTargetInitialized")
    active = conditions.status_of("Active")
    if desired == 0 and active == "Unknown":
        conditions.mark_false("Active", "TimedOut", "The target could not be activated.")
    elif desired == 0 or (desired < 0 and active == "False" and ready < minimum):
        conditions.mark_false("Active", "NoTraffic", "The target is not receiving traffic.")
    elif ready < minimum:
        conditions.mark_unknown(
            "Active", "Queued", "Requests to the target are being buffered as resources are provisioned.")
    elif desired > 0 or active != "False":
        conditions.mark_true("Active")


def _ready_pods(autoscaler: Object, objects: Objects) -> int:
    labels = {REVISION_LABEL: autoscaler["metadata"].get("labels", {}).get(REVISION_LABEL, "")}
    pods = objects.list(POD, autoscaler["metadata"]["namespace"], labels)
    return sum(is_true(pod, "Ready") and "deletionTimestamp" not in pod["metadata"] for pod in pods)


def _is_kpa(autoscaler: Object) -> bool:
    return autoscaler["metadata"].get("annotations", {}).get(f"{AUTOSCALING}class", "") in ("", KPA_CLASS)


def _of_pod(pod: Object, _objects: Objects) -> Iterable[Key]:
    name = pod["metadata"].get("labels", {}).get(REVISION_LABEL)
    if name:
        yield pod["metadata"]["namespace"], name


def _same_name(obj: Object, _objects: Objects) -> Iterable[Key]:
    yield key_of(obj)


def _of_config(config: Object, objects: Objects) -> Iterable[Key]:
    """All PodAutoscalers, if the ConfigMap is config-autoscaler."""
    if key_of(config) == (CONFIG_NAMESPACE, CONFIG_NAME):
        yield from (key_of(autoscaler) for autoscaler in objects.list(POD_AUTOSCALER))


RECONCILERS: tuple[Reconciler, ...] = (
    Reconciler("pod autoscaler", POD_AUTOSCALER, reconcile, owns=(SERVERLESS_SERVICE,),
               watches={POD: _of_pod, REVISION_TRAFFIC: _same_name, CONFIG_MAP: _of_config}),
)
