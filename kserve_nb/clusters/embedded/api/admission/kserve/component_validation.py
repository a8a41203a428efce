"""KServe's rules for each component of an InferenceService.

Source: kserve 0.20 pkg/apis/serving/v1beta1/component.go (`Validate`, `validateExactlyOneImplementation`,
`ExactlyOneErrorFor`), predictor_{custom,tfserving,torchserve,onnxruntime,pmml,huggingfaceruntime}.go (`Validate`).
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
from typing import Any

from kserve_nb.clusters.embedded.api.admission.kserve.components import CUSTOM, implementations, variable
from kserve_nb.clusters.embedded.apimachinery.objects import Object

_CHOICES = {
    "predictor": ("Name, SKLearn, XGBoost, Tensorflow, PyTorch, Triton, ONNX, HuggingFace, PMML, LightGBM, Paddle, "
                  "Model, StorageUris, StorageContainerName, WorkerSpec, PodSpec", "PredictorSpec"),
    # The names of a struct's fields but the last: explainer and transformer have StorageUris last.
    "transformer": ("PodSpec, ComponentExtensionSpec", "TransformerSpec"),
    "explainer": ("ART, PodSpec, ComponentExtensionSpec", "ExplainerSpec"),
}
_STORAGE_TYPES = ("s3://", "hdfs://", "webhdfs://")
_CHECKS_STORAGE = ("tensorflow", "pytorch", "onnx", "huggingface", "pmml", "art")
_GPU_RUNTIMES = {
    "tensorflow": "Tensorflow RuntimeVersion is not GPU enabled but GPU resources are requested",
    "pytorch": "PyTorch RuntimeVersion is not GPU enabled but GPU resources are requested. "}
_CPU_RUNTIMES = {
    "tensorflow": "Tensorflow RuntimeVersion is GPU enabled but GPU resources are not requested",
    "pytorch": "PyTorch RuntimeVersion is GPU enabled but GPU resources are not requested. "}
_PROTOCOLS = "v1, v2"


def component_problems(component: str, body: Object) -> Iterator[str]:
    """The problems of a component, most important first."""
    found = implementations(component, body)
    if len(found) != 1:
        choices, struct = _CHOICES[component]
        yield f"exactly one of [{choices}] must be specified in {struct}"
        return
    if found[0] != CUSTOM:
        yield from _framework_problems(found[0], body[found[0]])
    elif component == "predictor":
        protocol = variable(body["containers"][0], "PROTOCOL")
        if protocol is not None and protocol not in ("v1", "v2"):
            yield f"invalid protocol {_PROTOCOLS}. Must be one of [{protocol}]"  # sic: KServe swaps the two
    yield from _extension_problems(body)


def _framework_problems(name: str, body: Object) -> Iterator[str]:
    version, limits = body.get("runtimeVersion"), (body.get("resources") or {}).get("limits") or {}
    has_gpu = any(limit == "nvidia.com/gpu" or limit.startswith("nvidia.com/mig") for limit in limits)
    if name in _GPU_RUNTIMES and version is not None:
        if has_gpu and "-gpu" not in version:
            yield _GPU_RUNTIMES[name]
        if not has_gpu and "-gpu" in version:
            yield _CPU_RUNTIMES[name]
    uri = body.get("storageUri")
    extension = posixpath.splitext(uri or "")[1]
    if name == "onnx" and extension not in ("", ".onnx"):
        yield f"expected storageUri file extension: '.onnx' but got '{extension}'"
    if name in _CHECKS_STORAGE and body.get("storage") is not None:
        yield from _storage_problems(body["storage"], uri)


def _storage_problems(storage: Object, uri: str | None) -> Iterator[str]:
    """The problem of a storage spec with an unsupported URI or type (`validateStorageSpec`)."""
    supported = ", ".join(_STORAGE_TYPES)
    type_: Any = (storage.get("parameters") or {}).get("type")
    if uri is not None and not uri.startswith(_STORAGE_TYPES):
        yield (f"storageUri, must be one of: [{supported}] or match https://{{}}.blob.core.windows.net/{{}}/{{}} or be "
               f"an absolute or relative local path. StorageUri [{uri}] is not supported")
    elif uri is None and type_ is not None and f"{type_}://" not in _STORAGE_TYPES:
        yield f"storage.spec.type, must be one of: [{supported}]. storage.spec.type [{type_}] is not supported"


def _extension_problems(body: Object) -> Iterator[str]:
    least, most, logger = body.get("minReplicas", 1), body.get("maxReplicas", 0), body.get("logger")
    if body.get("containerConcurrency", 0) < 0:
        yield "parallelism cannot be less than 0"
    if least < 0:
        yield "'MinReplicas' cannot be less than 0"
    if most < 0:
        yield "'MaxReplicas' cannot be less than 0"
    if most != 0 and least > most:
        yield "'MinReplicas' cannot be greater than MaxReplicas"
    if logger is not None:
        if logger.get("mode") not in ("all", "request", "response"):
            yield "invalid logger type"
        storage = logger.get("storage")
        if storage is not None and any(storage.get(field) is None for field in ("path", "parameters", "key")):
            yield "invalid logger storage configuration"
