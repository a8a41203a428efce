"""KServe's rules for `workerSpec`, with which a model is spread over several nodes.

Source: kserve 0.20 pkg/apis/serving/v1beta1/inference_service_validation.go (`validateMultiNodeVariables`),
pkg/utils/utils.go (`HasUnknownGpuResourceType`).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from kserve_nb.clusters.embedded.api.admission.kserve.components import variable
from kserve_nb.clusters.embedded.api.admission.review import Review
from kserve_nb.clusters.embedded.apimachinery.objects import Object

SIZE_VARIABLES = ("PIPELINE_PARALLEL_SIZE", "TENSOR_PARALLEL_SIZE")
SIZES = ("pipelineParallelSize", "tensorParallelSize")

_BASIC_RESOURCES = ("cpu", "memory", "storage", "ephemeral-storage")
_GPU_RESOURCES = ("nvidia.com/gpu", "amd.com/gpu", "intel.com/gpu", "habana.ai/gaudi")
_GPU_ANNOTATION = "serving.kserve.io/gpu-resource-types"


def worker_problems(review: Review, predictor: Object) -> Iterator[str]:
    """The problems of a predictor with a workerSpec."""
    worker, invalid = predictor["workerSpec"], f'the InferenceService "{review.name}" is invalid: '
    if len(worker.get("containers") or []) > 1:
        yield f"{invalid}setting multiple containers in workerSpec is not allowed"
    if "model" in predictor:
        yield from _model_problems(review, predictor["model"], invalid)
    for field in SIZES:
        if worker.get(field, 1) < 1:
            yield f"{invalid}WorkerSpec.{field[0].upper()}{field[1:]} cannot be less than 1({worker[field]})"
    for container in worker.get("containers") or []:
        yield from gpu_problems(container, review.annotations, f"{invalid}{_UNKNOWN_GPU}")


_UNKNOWN_GPU = f"Unknown GPU resource type. Set '{_GPU_ANNOTATION}' annotation to use custom gpu resource type"


def gpu_problems(container: Object, annotations: Mapping[str, str], message: str) -> Iterator[str]:
    """The problem of a resource that is neither a basic one nor a GPU, or of a bad list of GPU resources."""
    custom: Any = annotations.get(_GPU_ANNOTATION)
    known = list(_GPU_RESOURCES)
    if custom:
        found = _names(custom)
        if not found:
            yield f"invalid GPU format({custom}) for {_GPU_ANNOTATION} annotation: must be a valid JSON array"
            return
        known += found
    resources = container.get("resources") or {}
    named = {name for kind in ("limits", "requests") for name in resources.get(kind) or {}}
    if named - {*_BASIC_RESOURCES, *known}:
        yield message


def _model_problems(review: Review, model: Object, invalid: str) -> Iterator[str]:
    for name in SIZE_VARIABLES:
        if variable(model, name) is not None:
            yield f"{invalid}setting {name} in environment variables is not allowed"
    yield from gpu_problems(model, review.annotations, f"{invalid}{_UNKNOWN_GPU}")
    uri = model.get("storageUri")
    if uri is None:
        yield f"{invalid}StorageURI must be set for multinode enabled"
    elif (protocol := uri.split("://")[0]) not in ("pvc", "oci"):
        yield f"{invalid}Multinode only supports 'pvc' and 'oci' Storage Protocol({protocol})"
    class_ = review.annotations.get("serving.kserve.io/autoscalerClass", "")
    if class_ != "none":
        yield f"{invalid}Multinode only supports 'none' autoscaler({class_})"


def _names(text: str) -> list[str]:
    try:
        names = json.loads(text)
    except ValueError:
        return []
    valid = isinstance(names, list) and all(isinstance(name, str) and name for name in names)
    return names if valid else []
