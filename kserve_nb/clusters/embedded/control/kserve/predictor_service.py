"""The Knative Service of an InferenceService's predictor: labels, annotations, revision template, traffic.

Sources: kserve pkg/controller/v1beta1/inferenceservice/components/predictor.go `buildPredictorResources`,
`reconcileKnativeDeployment`, reconcilers/knative/ksvc_reconciler.go `createKnativeService`,
pkg/controller/v1alpha1/utils/utils.go `SetAutoScalingAnnotations`.
"""

from __future__ import annotations

import json
from typing import Any

from kserve_nb.clusters.embedded.apimachinery.kinds import CLUSTER_STORAGE_CONTAINER, CONFIG_MAP, KNATIVE_SERVICE
from kserve_nb.clusters.embedded.apimachinery.objects import Object, Objects, copied, owner_reference
from kserve_nb.clusters.embedded.control.kserve.canary_traffic import make_traffic
from kserve_nb.clusters.embedded.control.kserve.predictor_annotations import allowed
from kserve_nb.clusters.embedded.control.kserve.predictor_pod import build_pod_spec
from kserve_nb.clusters.embedded.control.kserve.serving_runtime import PredictorError, Runtime, model_defaults
from kserve_nb.clusters.embedded.storage_initializer import MODEL_PATH, find_storage_container, provide_models
from kserve_nb.values.labels import (
    AUTOSCALING,
    CREATOR,
    INFERENCE_SERVICE_LABEL,
    KPA_CLASS,
    LAST_MODIFIER,
    MAX_SCALE,
    MIN_SCALE,
    ROLLOUT_DURATION,
    TAG_ROUTING,
    VISIBILITY_LABEL,
)

USER = "system:serviceaccount:kserve:kserve-controller-manager"
ON_SERVICE = (ROLLOUT_DURATION, "serving.knative.openshift.io/enablePassthrough")  # managedKsvcAnnotations


def service_name(isvc: Object) -> str:
    """The name of a predictor's Knative Service (`PredictorServiceName`)."""
    predictor = isvc["spec"]["predictor"].get("name")
    return "-".join(filter(None, (isvc["metadata"]["name"], predictor, "predictor")))


def make_service(isvc: Object, runtime: Runtime | None, annotations: dict[str, str], rolled_out: str,
                 view: Objects) -> Object:
    """The Knative Service of a predictor (`createKnativeService`). Raises PredictorError.

    Args:
        annotations: those of `predictor_annotations`.
        rolled_out: latestRolledoutRevision of the stored status; empty before the first one.
    """
    predictor, spec = isvc["spec"]["predictor"], runtime.spec if runtime else {}
    merged = allowed(spec.get("annotations")) | annotations | allowed(predictor.get("annotations"))
    merged |= _scale_annotations(predictor, merged)
    on_service = {key: merged.pop(key) for key in ON_SERVICE if key in merged}
    labels = {
        **(spec.get("labels") or {}), **(isvc["metadata"].get("labels") or {}),
        **(model_defaults(isvc, runtime).labels if runtime else {}), **(predictor.get("labels") or {}),
        INFERENCE_SERVICE_LABEL: isvc["metadata"]["name"], "component": "predictor"}
    pod = build_pod_spec(isvc, runtime)
    _add_models(pod, predictor, merged, view)
    template = {
        "metadata": {"annotations": merged, "labels": {k: v for k, v in labels.items() if k != VISIBILITY_LABEL}},
        "spec": _revision_spec(predictor, pod)}
    return {
        "apiVersion": KNATIVE_SERVICE.api_version, "kind": KNATIVE_SERVICE.kind,
        "metadata": {"name": service_name(isvc), "namespace": isvc["metadata"]["namespace"], "labels": labels,
                     "annotations": {CREATOR: USER, LAST_MODIFIER: USER, **on_service},
                     "ownerReferences": [owner_reference(isvc)]},
        "spec": {"template": template,
                 "traffic": make_traffic(predictor.get("canaryTrafficPercent"), rolled_out,
                                         tagged=merged.get(TAG_ROUTING) == "true")},
    }


def _add_models(pod: Object, predictor: Object, annotations: dict[str, str], view: Objects) -> None:
    """Provide the models of `storageUris`; the pod webhook provides the one of `storageUri`."""
    sources = [(source["uri"], source.get("mountPath") or MODEL_PATH) for source in predictor.get("storageUris") or []]
    if not sources:
        return
    config = view.find(CONFIG_MAP, "kserve", "inferenceservice-config") or {}
    settings: dict[str, Any] = json.loads((config.get("data") or {}).get("storageInitializer") or "{}")
    try:
        container = find_storage_container(sources[0][0], predictor.get("storageContainerName"),
                                           view.list(CLUSTER_STORAGE_CONTAINER))
    except ValueError as error:
        raise PredictorError(f"fails to reconcile predictor: failed to get storage container spec: {error}") from error
    read_only = annotations.get("storage.kserve.io/readonly") != "false"
    provide_models(pod, sources, container, settings, read_only=read_only)


def _scale_annotations(predictor: Object, annotations: dict[str, str]) -> dict[str, str]:
    """The autoscaling annotations of a component (`SetAutoScalingAnnotations`)."""
    replicas, maximum = predictor.get("minReplicas"), predictor.get("maxReplicas")
    result = {f"{AUTOSCALING}class": annotations.get(f"{AUTOSCALING}class", KPA_CLASS),
              MIN_SCALE: str(1 if replicas is None else replicas)}
    if maximum:
        result[MAX_SCALE] = str(maximum)
    for field, key in (("scaleTarget", "target"), ("scaleMetric", "metric")):
        if predictor.get(field) is not None:
            result[AUTOSCALING + key] = str(predictor[field])
    return result


def _revision_spec(predictor: Object, pod: Object) -> Object:
    spec = copied(pod)
    if predictor.get("timeout") is not None:
        spec |= {"timeoutSeconds": predictor["timeout"], "responseStartTimeoutSeconds": predictor["timeout"]}
    if predictor.get("containerConcurrency") is not None:
        spec["containerConcurrency"] = predictor["containerConcurrency"]
    return spec
