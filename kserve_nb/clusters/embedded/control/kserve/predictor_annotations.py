"""The annotations of a predictor's revisions, by which KServe's pod webhook provides the model and the agent.

Sources: kserve pkg/controller/v1beta1/inferenceservice/components/component.go, components/predictor.go
`buildPredictorResources`, utils/utils.go `IsMMSPredictor`, pkg/controller/v1alpha1/utils/utils.go
`ValidateInitialScaleAnnotation`.
"""

from __future__ import annotations

import json
import re
from typing import Any

from kserve_nb.clusters.embedded.apimachinery.objects import Object, Objects
from kserve_nb.clusters.embedded.control.kserve.serving_runtime import PredictorError
from kserve_nb.clusters.embedded.control.kserve.storage_uri import check_storage_uri
from kserve_nb.clusters.embedded.storage_initializer import SERVER
from kserve_nb.values.labels import INITIAL_SCALE, KSERVE_INTERNAL, LAST_APPLIED, MAX_SCALE, MIN_SCALE, SOURCE_URI

_NOT_COPIED = {MIN_SCALE, MAX_SCALE, SOURCE_URI, LAST_APPLIED, "modelFormat"}  # ServiceAnnotationDisallowedList
_LOGGER_LISTS = {"metadataHeaders": "logger-metadata-headers", "metadataAnnotations": "logger-metadata-annotations"}
_BATCHER = {"maxBatchSize": "batcher-max-batchsize", "maxLatency": "batcher-max-latency"}


def allowed(annotations: dict[str, str] | None) -> dict[str, str]:
    """The annotations that KServe copies to revisions."""
    return {key: value for key, value in (annotations or {}).items() if key not in _NOT_COPIED}


def copied_annotations(isvc: Object) -> dict[str, str]:
    """The InferenceService's annotations that are copied to its revisions."""
    return {k: v for k, v in allowed(isvc["metadata"].get("annotations")).items()
            if not (k == INITIAL_SCALE and _is_ignored(v))}


def _is_ignored(initial_scale: str) -> bool:
    """Whether KServe drops an initial scale because it is zero or no number."""
    return not re.fullmatch(r"[+-]?\d+", initial_scale) or int(initial_scale) == 0


def predictor_annotations(isvc: Object, view: Objects) -> dict[str, str]:
    """The copied annotations and those for KServe's pod webhook. Raises PredictorError."""
    predictor = isvc["spec"]["predictor"]
    model = predictor.get("model") or {}
    internal = {**_logger(predictor.get("logger")), **_batcher(predictor.get("batcher")),
                **_storage(model.get("storage"))}
    if is_multi_model(isvc):
        internal |= {"agent": "true", "configVolumeName": model_config_name(isvc), "configMountPath": "/mnt/configs",
                     "modelDir": "/mnt/models"}
    uri = storage_uri_of(predictor)
    if uri is not None:
        if "storage-initializer-sourceuri" in internal:
            raise PredictorError("must provide only one of storageUri and storage.path")
        internal["storage-initializer-sourceuri"] = uri  # a new value creates a new revision
        check_storage_uri(uri, view)
        if predictor.get("storageContainerName"):
            internal["storage-container-name"] = predictor["storageContainerName"]
    confidential = model.get("confidential") or {}
    if confidential.get("enabled"):
        internal["confidential-enabled"] = "true"
        if confidential.get("resourceId"):
            internal["confidential-resource-id"] = confidential["resourceId"]
    return copied_annotations(isvc) | {KSERVE_INTERNAL + key: value for key, value in internal.items()}


def storage_uri_of(predictor: Object) -> str | None:
    """The URI of a predictor's model: `storageUri`, or STORAGE_URI of a custom model server."""
    if predictor.get("model"):
        return predictor["model"].get("storageUri") or None
    env = next((c.get("env") or [] for c in predictor.get("containers") or [] if c.get("name") == SERVER), [])
    return next((variable.get("value", "") for variable in env if variable["name"] == "STORAGE_URI"), None)


def model_config_name(isvc: Object) -> str:
    """The name of the ConfigMap that lists the models of a multi-model server."""
    return f"modelconfig-{isvc['metadata']['name']}-0"


def is_multi_model(isvc: Object) -> bool:
    """Whether KServe treats the predictor as a multi-model server, because it names no model (`IsMMSPredictor`)."""
    predictor = isvc["spec"]["predictor"]
    if predictor.get("containers"):
        env = predictor["containers"][0].get("env") or []
        return any(v["name"] == "MULTI_MODEL_SERVER" and v.get("value") == "true" for v in env)
    model = predictor.get("model") or {}
    return not (predictor.get("storageUris") or model.get("storageUri") or model.get("storage")
                or (model.get("modelFormat") or {}).get("name") == "huggingface")


def _logger(logger: Object | None) -> dict[str, str]:
    """The annotations for the logger (`addLoggerAnnotations`)."""
    if logger is None:
        return {}
    given = {"logger-sink-url": logger.get("url"), "logger-mode": str(logger.get("mode", ""))}
    given |= {key: ",".join(logger[name]) for name, key in _LOGGER_LISTS.items() if logger.get(name) is not None}
    return {"logger": "true"} | {key: value for key, value in given.items() if value is not None}


def _batcher(batcher: Object | None) -> dict[str, str]:
    """The annotations for the batcher (`addBatcherAnnotations`)."""
    if batcher is None:
        return {}
    return {"batcher": "true"} | {key: str(batcher[name]) for name, key in _BATCHER.items()
                                  if batcher.get(name) is not None}


def _storage(storage: dict[str, Any] | None) -> dict[str, str]:
    """The annotations for `storage` (`addStorageSpecAnnotations`)."""
    if storage is None:
        return {}
    annotations = {"storage-spec": "true"}
    if storage.get("parameters") is not None:
        parameters = json.dumps(storage["parameters"], separators=(",", ":"), sort_keys=True)
        annotations["storage-spec-param"] = parameters
    if storage.get("key") is not None:
        annotations["storage-spec-key"] = storage["key"]
    if storage.get("path") is not None:
        annotations["storage-initializer-sourceuri"] = f"<scheme-placeholder>://{storage['path'].removeprefix('/')}"
    return annotations
