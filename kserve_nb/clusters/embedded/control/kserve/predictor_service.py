"""The Knative Service of an InferenceService's predictor: labels, annotations, revision template, traffic.

Sources: kserve pkg/controller/v1beta1/inferenceservice/components/predictor.go `buildPredictorResources`,
reconcilers/knative/ksvc_reconciler.go `createKnativeService`, components/component.go,
pkg/controller/v1alpha1/utils/utils.go `SetAutoScalingAnnotations`.
"""

from __future__ import annotations

import json
import re

from kserve_nb.clusters.embedded.control.kserve.canary_traffic import make_traffic
from kserve_nb.clusters.embedded.control.kserve.predictor_pod import build_pod_spec
from kserve_nb.clusters.embedded.control.kserve.serving_runtime import Runtime, runtime_defaults
from kserve_nb.clusters.embedded.control.kserve.storage_uri import check_storage_uri
from kserve_nb.clusters.embedded.kinds import KNATIVE_SERVICE
from kserve_nb.clusters.embedded.objects import Object, Objects, owner_reference
from kserve_nb.values.labels import (
    AUTOSCALING,
    CREATOR,
    INFERENCE_SERVICE_LABEL,
    INITIAL_SCALE,
    KPA_CLASS,
    KSERVE_INTERNAL,
    LAST_APPLIED,
    LAST_MODIFIER,
    MAX_SCALE,
    MIN_SCALE,
    ROLLOUT_DURATION,
    SOURCE_URI,
    TAG_ROUTING,
    VISIBILITY_LABEL,
)

USER = "system:serviceaccount:kserve:kserve-controller-manager"
NOT_COPIED = {MIN_SCALE, MAX_SCALE, SOURCE_URI, LAST_APPLIED, "modelFormat"}  # ServiceAnnotationDisallowedList
ON_SERVICE = (ROLLOUT_DURATION, "serving.knative.openshift.io/enablePassthrough")  # managedKsvcAnnotations


def service_name(isvc: Object) -> str:
    """The name of a predictor's Knative Service (`PredictorServiceName`)."""
    predictor = isvc["spec"]["predictor"].get("name")
    return "-".join(filter(None, (isvc["metadata"]["name"], predictor, "predictor")))


def model_config_name(isvc: Object) -> str:
    """The name of the ConfigMap that lists the models of a multi-model server."""
    return f"modelconfig-{isvc['metadata']['name']}-0"


def is_multi_model(isvc: Object) -> bool:
    """Whether the predictor names no model, so that KServe treats it as a multi-model server (`IsMMSPredictor`)."""
    predictor = isvc["spec"]["predictor"]
    model = predictor.get("model") or {}
    return not (predictor.get("containers") or predictor.get("storageUris") or model.get("storageUri")
                or model.get("storage") or (model.get("modelFormat") or {}).get("name") == "huggingface")


def copied_annotations(isvc: Object) -> dict[str, str]:
    """The InferenceService's annotations that are copied to the revision template."""
    return {k: v for k, v in (isvc["metadata"].get("annotations") or {}).items()
            if k not in NOT_COPIED and not (k == INITIAL_SCALE and _is_ignored(v))}


def _is_ignored(initial_scale: str) -> bool:
    """Whether KServe drops an initial scale because it is zero or no number (`ValidateInitialScaleAnnotation`)."""
    return not re.fullmatch(r"[+-]?\d+", initial_scale) or int(initial_scale) == 0


def source_annotations(isvc: Object, view: Objects) -> dict[str, str]:
    """The copied annotations and those for KServe's pod webhook. Raises PredictorError."""
    annotations = copied_annotations(isvc)
    predictor = isvc["spec"]["predictor"]
    annotations |= _logger_and_batcher(predictor)
    if is_multi_model(isvc):
        settings = {"agent": "true", "configVolumeName": model_config_name(isvc), "configMountPath": "/mnt/configs",
                    "modelDir": "/mnt/models"}
        annotations |= {KSERVE_INTERNAL + key: value for key, value in settings.items()}
    uri = (predictor.get("model") or {}).get("storageUri")
    if uri:
        annotations[SOURCE_URI] = uri  # creates a new revision if the model changes
        check_storage_uri(uri, view)
    return annotations


def _logger_and_batcher(predictor: Object) -> dict[str, str]:
    """The annotations for the agent container (`addLoggerAnnotations`, `addBatcherAnnotations`)."""
    logger, batcher = predictor.get("logger"), predictor.get("batcher")
    annotations: dict[str, str] = {}
    if logger is not None:
        annotations[f"{KSERVE_INTERNAL}logger"] = "true"
        annotations[f"{KSERVE_INTERNAL}logger-mode"] = str(logger.get("mode", ""))
        if logger.get("url"):
            annotations[f"{KSERVE_INTERNAL}logger-sink-url"] = logger["url"]
    if batcher is not None:
        annotations[f"{KSERVE_INTERNAL}batcher"] = "true"
        named = {"maxBatchSize": "batcher-max-batchsize", "maxLatency": "batcher-max-latency"}
        annotations |= {KSERVE_INTERNAL + named[k]: str(batcher[k]) for k in named if batcher.get(k) is not None}
    return annotations


def make_service(isvc: Object, runtime: Runtime | None, annotations: dict[str, str], rolled_out: str) -> Object:
    """The Knative Service of a predictor (`createKnativeService`).

    Args:
        rolled_out: latestRolledoutRevision of the stored status; empty before the first one.
    """
    predictor, spec = isvc["spec"]["predictor"], runtime.spec if runtime else {}
    merged = {k: v for k, v in (spec.get("annotations") or {}).items() if k not in NOT_COPIED} | annotations
    merged |= {k: v for k, v in (predictor.get("annotations") or {}).items() if k not in NOT_COPIED}
    merged = _scale_annotations(predictor, merged)
    on_service = {key: merged.pop(key) for key in ON_SERVICE if key in merged}
    labels = {
        **(spec.get("labels") or {}), **(isvc["metadata"].get("labels") or {}),
        **(runtime_defaults(isvc, runtime)[1] if runtime else {}), **(predictor.get("labels") or {}),
        INFERENCE_SERVICE_LABEL: isvc["metadata"]["name"], "component": "predictor"}
    template = {
        "metadata": {"annotations": merged, "labels": {k: v for k, v in labels.items() if k != VISIBILITY_LABEL}},
        "spec": _revision_spec(predictor, build_pod_spec(isvc, runtime))}
    return {
        "apiVersion": KNATIVE_SERVICE.api_version, "kind": KNATIVE_SERVICE.kind,
        "metadata": {"name": service_name(isvc), "namespace": isvc["metadata"]["namespace"], "labels": labels,
                     "annotations": {CREATOR: USER, LAST_MODIFIER: USER, **on_service},
                     "ownerReferences": [owner_reference(isvc)]},
        "spec": {"template": template,
                 "traffic": make_traffic(predictor.get("canaryTrafficPercent"), rolled_out,
                                         tagged=merged.get(TAG_ROUTING) == "true")},
    }


def _scale_annotations(predictor: Object, annotations: dict[str, str]) -> dict[str, str]:
    result = {f"{AUTOSCALING}class": KPA_CLASS, **annotations}
    least, most = predictor.get("minReplicas"), predictor.get("maxReplicas")
    result[MIN_SCALE] = str(1 if least is None else least)
    if most:
        result[MAX_SCALE] = str(most)
    for field, key in (("scaleTarget", "target"), ("scaleMetric", "metric")):
        if predictor.get(field) is not None:
            result[AUTOSCALING + key] = str(predictor[field])
    return result


def _revision_spec(predictor: Object, pod: Object) -> Object:
    spec = json.loads(json.dumps(pod))
    if predictor.get("timeout") is not None:
        spec |= {"timeoutSeconds": predictor["timeout"], "responseStartTimeoutSeconds": predictor["timeout"]}
    if predictor.get("containerConcurrency") is not None:
        spec["containerConcurrency"] = predictor["containerConcurrency"]
    result: Object = spec
    return result
