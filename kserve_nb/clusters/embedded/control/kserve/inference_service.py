"""InferenceServices: writes the Knative Service of each predictor, and the InferenceService's URL and status.

Sources: kserve pkg/controller/v1beta1/inferenceservice/controller.go `Reconcile`, components/predictor.go `Reconcile`,
reconcilers/knative/ksvc_reconciler.go `Reconcile`.
"""

from __future__ import annotations

from collections.abc import Iterable

from kserve_nb.clusters.embedded.apimachinery.kinds import (
    CLUSTER_SERVING_RUNTIME,
    CONFIG_MAP,
    INFERENCE_SERVICE,
    KNATIVE_SERVICE,
    POD,
    SERVING_RUNTIME,
)
from kserve_nb.clusters.embedded.apimachinery.objects import (
    Kind,
    Object,
    Objects,
    StatusError,
    condition,
    copied,
    is_true,
    key_of,
    owner_reference,
)
from kserve_nb.clusters.embedded.control.framework.condition_set import Conditions
from kserve_nb.clusters.embedded.control.framework.reconciler import Changes, Key, Moment, Reconciler, without_version
from kserve_nb.clusters.embedded.control.kserve.inference_service_ingress import reconcile_ingress, stop_ingress
from kserve_nb.clusters.embedded.control.kserve.inference_service_status import (
    DEPENDENTS,
    aggregate,
    propagate,
    propagate_model,
    set_invalid,
)
from kserve_nb.clusters.embedded.control.kserve.predictor_annotations import (
    is_multi_model,
    model_config_name,
    predictor_annotations,
)
from kserve_nb.clusters.embedded.control.kserve.predictor_service import ON_SERVICE, make_service, service_name
from kserve_nb.clusters.embedded.control.kserve.serving_runtime import PredictorError, Runtime, choose_runtime
from kserve_nb.values.labels import CREATOR, DEPLOYMENT_MODE, INFERENCE_SERVICE_LABEL, LAST_MODIFIER, REVISION_LABEL

COMPONENT = "v1beta1Controllers"
FINALIZER = "inferenceservice.finalizers"
STOP, NO_AUTO_UPDATE = "serving.kserve.io/stop", "serving.kserve.io/disable-auto-update"
KNATIVE, KNATIVE_MODES = "Knative", ("Knative", "Serverless")
# As with KServe, the status is that of the old spec for a moment. A client that replaces an object as soon as it is
# Ready, as KServe's SDK can, needs 10 ms; an earlier write of the model's status would make that a conflict.
DELAYS_S = {INFERENCE_SERVICE: 0.02}
MODEL_STATUS_RETRY_S = 1.0


def reconcile(isvc: Object, view: Objects, moment: Moment) -> Changes:
    """Reconcile one InferenceService (`Reconcile`)."""
    changes = Changes()
    if "deletionTimestamp" in isvc["metadata"]:
        _set_finalizer(isvc, changes, present=False)
        return changes
    _set_finalizer(isvc, changes, present=True)
    if _annotation(isvc, NO_AUTO_UPDATE) == "true" and is_true(isvc, "Ready"):
        return changes
    status = copied(isvc.get("status") or {})
    status.setdefault("modelStatus", {"transitionStatus": ""})
    conditions = Conditions(status, DEPENDENTS, moment.now)
    if conditions.get("Ready") is None:
        conditions.initialize()
    try:
        settled = _predictor(isvc, status, conditions, view, changes)
    except PredictorError as error:
        changes.event(isvc, "Warning", "InternalError", error.message, COMPONENT)
        changes.retry()
        _finish(isvc, status, changes)
        return changes
    if not settled:
        changes.requeue_after(MODEL_STATUS_RETRY_S)
        return changes
    conditions.set("Stopped", "True" if is_stopped(isvc) else "False")
    if is_stopped(isvc):
        stop_ingress(isvc, conditions, view, changes)
    else:
        aggregate(conditions)
        reconcile_ingress(isvc, status, conditions, view, moment, changes)
    _finish(isvc, status, changes)
    return changes


def _set_finalizer(isvc: Object, changes: Changes, *, present: bool) -> None:
    """Add KServe's finalizer, or remove it once the InferenceService is deleted."""
    names = isvc["metadata"].get("finalizers") or []
    if present != (FINALIZER in names):
        wanted = [*names, FINALIZER] if present else [name for name in names if name != FINALIZER]
        changes.update(INFERENCE_SERVICE, {**isvc, "metadata": {**isvc["metadata"], "finalizers": wanted}})


def _annotation(isvc: Object, key: str) -> str:
    return str((isvc["metadata"].get("annotations") or {}).get(key, ""))


def is_stopped(isvc: Object) -> bool:
    """Whether the stop annotation is set (`GetForceStopRuntime`)."""
    return _annotation(isvc, STOP).lower() == "true"


def _predictor(isvc: Object, status: Object, conditions: Conditions, view: Objects, changes: Changes) -> bool:
    """Reconcile the predictor. False: the model's state must be read again soon. Raises PredictorError."""
    _check_supported(isvc, status, conditions)
    annotations = predictor_annotations(isvc, view)
    runtime = _runtime(isvc, status, view)
    _write_model_config(isvc, view, changes)
    rolled_out = ((isvc.get("status") or {}).get("components") or {}).get("predictor", {}).get(
        "latestRolledoutRevision", "")
    try:
        desired = make_service(isvc, runtime, annotations, rolled_out, view)
    except PredictorError as error:
        _note_failure(status, error)
        raise
    if is_stopped(isvc):
        _stop(isvc, status, conditions, view, changes)
        return True
    try:
        service = _write_service(desired, view, changes)
    except StatusError as error:
        message = f"fails to reconcile predictor: {error.message}"
        status.setdefault("components", {}).setdefault("predictor", {})
        conditions.mark_false("PredictorReady", "ReconcileFailed", message)
        raise PredictorError(message) from error
    propagate(status, conditions, service)
    created = status["components"]["predictor"].get("latestCreatedRevision", "")
    pods = view.list(POD, isvc["metadata"]["namespace"], {REVISION_LABEL: created}) if created else []
    pods.sort(key=lambda pod: str(pod["metadata"]["creationTimestamp"]), reverse=True)
    return propagate_model(status, conditions, service, pods)


def _check_supported(isvc: Object, status: Object, conditions: Conditions) -> None:
    """Report components and modes that the embedded cluster does not run. Raises PredictorError.

    They are refused when an object is applied; this is for objects that are stored nevertheless.
    """
    unsupported = [f"spec.{field}" for field in ("transformer", "explainer", "canary") if isvc["spec"].get(field)]
    if isvc["spec"]["predictor"].get("workerSpec"):
        unsupported.append("spec.predictor.workerSpec")
    mode = (isvc["metadata"].get("annotations") or {}).get(DEPLOYMENT_MODE, KNATIVE)
    if mode not in KNATIVE_MODES:
        unsupported.append(f"deployment mode {mode}")
    if unsupported:
        message = (f"the embedded cluster does not run {' and '.join(unsupported)}, only predictors in Knative mode. "
                   "Use a kind cluster: kserve-nb up --cluster kind")
        status.setdefault("components", {}).setdefault("predictor", {})
        conditions.mark_false("PredictorReady", "ReconcileFailed", message)
        raise PredictorError(message)


def _runtime(isvc: Object, status: Object, view: Objects) -> Runtime | None:
    """The model's runtime, which is also set in the status. None if the predictor has its own container."""
    if not isvc["spec"]["predictor"].get("model"):
        return None
    try:
        runtime = choose_runtime(isvc, view)
    except PredictorError as error:
        _note_failure(status, error)
        raise
    cluster_wide = runtime.kind is CLUSTER_SERVING_RUNTIME
    status.pop("servingRuntimeName" if cluster_wide else "clusterServingRuntimeName", None)
    status["clusterServingRuntimeName" if cluster_wide else "servingRuntimeName"] = runtime.name
    return runtime


def _note_failure(status: Object, error: PredictorError) -> None:
    if error.failure is not None:
        set_invalid(status, *error.failure)


def _write_model_config(isvc: Object, view: Objects, changes: Changes) -> None:
    """Create the empty list of models of a multi-model server (modelconfig_reconciler.go)."""
    meta, name = isvc["metadata"], model_config_name(isvc)
    if is_multi_model(isvc) and view.find(CONFIG_MAP, meta["namespace"], name) is None:
        labels = {"labels": meta["labels"]} if meta.get("labels") else {}
        changes.create(CONFIG_MAP, {
            "apiVersion": "v1", "kind": "ConfigMap", "data": {"models.json": "[]"},
            "metadata": {"name": name, "namespace": meta["namespace"], "ownerReferences": [owner_reference(isvc)],
                         **labels}})


def _write_service(desired: Object, view: Objects, changes: Changes) -> Object:
    """Write the Knative Service if it differs, and return the existing one with its status. Raises StatusError.

    A dry run adds the defaults of Knative's webhooks before the comparison.
    """
    meta = desired["metadata"]
    existing = view.find(KNATIVE_SERVICE, meta["namespace"], meta["name"])
    if existing is None:
        view.create(KNATIVE_SERVICE, copied(desired), dry_run=True)
        changes.create(KNATIVE_SERVICE, desired)
        return desired
    held = existing["metadata"].get("annotations") or {}
    meta["annotations"] |= {key: held[key] for key in (CREATOR, LAST_MODIFIER) if key in held}
    try:
        wanted = view.update(KNATIVE_SERVICE, {**copied(desired), "metadata": {
            **existing["metadata"], "labels": meta["labels"], "annotations": meta["annotations"]}}, dry_run=True)
    except StatusError as error:
        error.message = f"fails to reconcile knative service: {error.message}"
        raise
    if _differs(wanted, existing):
        annotations = {key: value for key, value in held.items() if key not in ON_SERVICE}
        annotations |= {key: meta["annotations"][key] for key in ON_SERVICE if key in meta["annotations"]}
        changes.update(KNATIVE_SERVICE, {**existing, "spec": wanted["spec"], "metadata": {
            **existing["metadata"], "labels": meta["labels"], "annotations": annotations}})
    return existing


def _differs(wanted: Object, existing: Object) -> bool:
    """Whether the Knative Service must be updated (`semanticEquals`)."""
    new, old = wanted["metadata"], existing["metadata"]
    return bool(
        wanted["spec"] != existing["spec"] or new.get("labels") != old.get("labels")
        or any((new.get("annotations") or {}).get(k) != (old.get("annotations") or {}).get(k) for k in ON_SERVICE))


def _stop(isvc: Object, status: Object, conditions: Conditions, view: Objects, changes: Changes) -> None:
    """Delete the Knative Service and clear the status."""
    existing = view.find(KNATIVE_SERVICE, isvc["metadata"]["namespace"], service_name(isvc))
    if existing is not None and "deletionTimestamp" not in existing["metadata"]:
        changes.delete(KNATIVE_SERVICE, existing)
    predictor = conditions.get("PredictorReady") or {}
    if (predictor.get("status"), predictor.get("reason")) != ("False", "Stopped"):
        status.clear()
        status["modelStatus"] = {"transitionStatus": ""}
        conditions.mark_false("PredictorReady", "Stopped")


def _finish(isvc: Object, status: Object, changes: Changes) -> None:
    """Write the status if it differs, with an Event if the InferenceService became ready or failed (`updateStatus`)."""
    status["deploymentMode"] = (isvc.get("status") or {}).get("deploymentMode", KNATIVE)
    if status == isvc.get("status"):
        return
    changed = {**without_version(isvc), "status": status}
    changes.update_status(INFERENCE_SERVICE, changed)
    name, was_ready = isvc["metadata"]["name"], is_true(isvc, "Ready")
    if was_ready and condition(changed, "Ready").get("status") == "False":
        failed = ", ".join(c["type"] for c in status["conditions"] if c["status"] == "False")
        changes.event(isvc, "Warning", "InferenceServiceNotReady",
                      f"InferenceService [{name}] is no longer Ready because of: {failed}", COMPONENT)
    elif not was_ready and is_true(changed, "Ready"):
        changes.event(isvc, "Normal", "InferenceServiceReady", f"InferenceService [{name}] is Ready", COMPONENT)


def service_of_pod(pod: Object, view: Objects) -> Iterable[Key]:
    """The InferenceService of a pod whose init containers run; other changes of pods are ignored.

    The model's state is therefore read while the model loads, and does not change when the pod goes away
    (controller.go `podInitContainersPredicate`).
    """
    name = (pod["metadata"].get("labels") or {}).get(INFERENCE_SERVICE_LABEL)
    pod_status = pod.get("status") or {}
    if name and pod_status.get("phase") == "Pending" and pod_status.get("initContainerStatuses"):
        yield pod["metadata"]["namespace"], name


def owner_of_service(service: Object, view: Objects) -> Iterable[Key]:
    """The InferenceService of a Knative Service, unless the Service waits for its children to observe a new spec.

    The real controller is too slow to see that short state, and another change always follows.
    """
    if condition(service, "Ready").get("reason") != "OutOfDate":
        for owner in service["metadata"].get("ownerReferences") or []:
            if owner["kind"] == INFERENCE_SERVICE.kind:
                yield service["metadata"]["namespace"], owner["name"]


def users_of_cluster_runtime(runtime: Object, view: Objects) -> Iterable[Key]:
    """The InferenceServices that use a ClusterServingRuntime (`clusterServingRuntimeFunc`)."""
    return _users_of(runtime, CLUSTER_SERVING_RUNTIME, "clusterServingRuntimeName", view)


def users_of_runtime(runtime: Object, view: Objects) -> Iterable[Key]:
    """The InferenceServices of a namespace that use a ServingRuntime (`servingRuntimeFunc`)."""
    return _users_of(runtime, SERVING_RUNTIME, "servingRuntimeName", view)


def _users_of(runtime: Object, kind: Kind, field: str, view: Objects) -> Iterable[Key]:
    namespace, name = key_of(runtime)
    if view.find(kind, namespace, name) is not None:  # a deleted runtime changes nothing by itself
        for isvc in view.list(INFERENCE_SERVICE, namespace):
            if (isvc.get("status") or {}).get(field) == name:
                yield key_of(isvc)


RECONCILERS = (Reconciler(
    "inference service", INFERENCE_SERVICE, reconcile, delays_s=DELAYS_S,
    watches={KNATIVE_SERVICE: owner_of_service, POD: service_of_pod, SERVING_RUNTIME: users_of_runtime,
             CLUSTER_SERVING_RUNTIME: users_of_cluster_runtime}),)
