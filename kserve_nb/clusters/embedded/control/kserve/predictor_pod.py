"""The pod spec of a predictor's revisions, from the InferenceService and its serving runtime.

Sources: kserve pkg/controller/v1beta1/inferenceservice/components/predictor.go `buildPodSpec`, utils/utils.go
`MergeServingRuntimeAndInferenceServiceSpecs`, `MergePodSpec`, `ReplacePlaceholders`, `UpdateImageTag`,
pkg/apis/serving/v1beta1/predictor_custom.go.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

from kserve_nb.clusters.embedded.apimachinery import strategic_merge
from kserve_nb.clusters.embedded.apimachinery.objects import Object, copied
from kserve_nb.clusters.embedded.control.kserve.serving_runtime import (
    PredictorError,
    Runtime,
    model_defaults,
    server_type,
)
from kserve_nb.clusters.embedded.storage_initializer import SERVER, TRANSFORMER, merge_containers

_MODEL_FIELDS = {"modelFormat", "runtime", "storageUri", "storage", "protocolVersion", "runtimeVersion", "confidential"}
_COMPONENT_FIELDS = {  # fields of a predictor that are not fields of a pod spec
    "name", "model", "sklearn", "xgboost", "tensorflow", "pytorch", "triton", "onnx", "huggingface", "pmml", "lightgbm",
    "paddle", "storageUris", "storageContainerName", "workerSpec", "minReplicas", "maxReplicas", "scaleTarget",
    "scaleMetric", "scaleMetricType", "autoScaling", "containerConcurrency", "timeout", "canaryTrafficPercent",
    "logger", "batcher", "labels", "annotations", "deploymentStrategy"}
_RUNTIME_FIELDS = ("nodeSelector", "affinity", "tolerations", "volumes", "imagePullSecrets", "schedulerName")
_METADATA = {"name", "namespace", "labels", "annotations", "uid", "generation", "resourceversion", "generatename"}
_PLACEHOLDER = re.compile(r"\{\{\s*\.(\w+)(?:\.(\w+))?\s*\}\}")
_TAG = re.compile(r":[\w.\-]*$")
_WITH_GPU_TAG = ("tensorflow-serving", "torchserve", "huggingfaceserver")


def build_pod_spec(isvc: Object, runtime: Runtime | None) -> Object:
    """The pod spec of a predictor. Raises PredictorError if it cannot be built.

    Args:
        runtime: the runtime of the predictor's model; None for a predictor with its own container.
    """
    predictor = isvc["spec"]["predictor"]
    own = {field: copied(value) for field, value in predictor.items() if field not in _COMPONENT_FIELDS}
    containers = own.pop("containers", None) or []
    if runtime is None:
        pod = {**own, "containers": _custom_containers(containers)}
    else:
        defaults = {field: runtime.spec[field] for field in _RUNTIME_FIELDS if field in runtime.spec}
        pod = {**strategic_merge.merge(defaults, own), "containers": _containers(isvc, runtime, containers)}
    for container in pod["containers"]:
        _set_variable(container, "INFERENCE_SERVICE_NAME", isvc["metadata"]["name"])
    return pod


def _custom_containers(own: list[Object]) -> list[Object]:
    """The containers of a predictor without a model; the first one is the model server."""
    server = next((c for c in own if c.get("name") == SERVER), own[0])
    return [{"name": SERVER, **server}, *own[1:]]


def _containers(isvc: Object, runtime: Runtime, own: list[Object]) -> list[Object]:
    """All containers of the pod: model server, transformer, those of the runtime, those of the predictor."""
    theirs = copied(runtime.spec.get("containers") or [])
    if not theirs:
        message = "no container configuration found in selected serving runtime"
        raise PredictorError(message, ("InvalidPredictorSpec", message))
    containers = [_model_server(isvc, runtime, theirs)]
    transformers = [c for c in (*theirs, *own) if c["name"] == TRANSFORMER]
    if transformers:
        merged = _merge_with_args(transformers[0], transformers[1]) if len(transformers) > 1 else transformers[0]
        containers.append(_fill(merged, isvc["metadata"], runtime))
    return [*containers, *(c for c in theirs if c["name"] not in (SERVER, TRANSFORMER)),
            *(c for c in own if c["name"] != TRANSFORMER)]


def _model_server(isvc: Object, runtime: Runtime, theirs: list[Object]) -> Object:
    base = next((c for c in theirs if c["name"] == SERVER), None)
    if base is None:
        message = f"failed to find {SERVER} in ServingRuntime containers"
        raise PredictorError(message, ("InvalidPredictorSpec", message))
    model, defaults = isvc["spec"]["predictor"]["model"], model_defaults(isvc, runtime)
    overlay = {k: v for k, v in model.items() if k not in _MODEL_FIELDS and v not in ("", {}, [], None)}
    env = list(overlay.get("env") or [])
    env += [variable for variable in defaults.env if all(variable["name"] != known["name"] for known in env)]
    args = [*(overlay.get("args") or []), *defaults.args]
    overlay |= ({"env": env} if env else {}) | ({"args": args} if args else {})
    labels = {**(isvc["metadata"].get("labels") or {}), **defaults.labels}
    server = _fill(_merge_with_args(base, overlay), {**isvc["metadata"], "labels": labels}, runtime)
    if "@sha256:" not in server["image"]:
        server["image"] = _tagged(server, model.get("runtimeVersion"), server_type(runtime))
    return server


def _merge_with_args(base: Object, overlay: Object) -> Object:
    """The overlay merged into the base, with the arguments of both (`MergeRuntimeContainers`)."""
    merged = merge_containers(base, overlay)
    args = [*(base.get("args") or []), *(overlay.get("args") or [])]
    return {**merged, "args": args} if args else merged


def _tagged(server: Object, version: str | None, type_: str) -> str:
    """The image with the requested version, or with the variant for or without GPUs (`UpdateImageTag`)."""
    image = str(server["image"])
    repository, tag = _TAG.sub("", image), "".join(_TAG.findall(image))
    if version is not None:
        return f"{repository}:{version}"
    limits = (server.get("resources") or {}).get("limits") or {}
    has_gpu = any(name == "nvidia.com/gpu" or name.startswith("nvidia.com/mig") for name in limits)
    if tag and has_gpu and type_ in _WITH_GPU_TAG and not image.endswith("-gpu"):
        return f"{image}-gpu"
    if tag and not has_gpu and type_ == "vllmserver" and not repository.endswith("-cpu"):
        return f"{repository}-cpu{tag}"
    return image


def _set_variable(container: Object, name: str, value: str) -> None:
    """Set an environment variable, in its place or as the last one (`AddEnvVarToPodSpec`)."""
    variables = container.setdefault("env", [])
    known = next((variable for variable in variables if variable["name"] == name), None)
    if known is None:
        variables.append({"name": name, "value": value})
    else:
        known["value"] = value


def _fill(container: Object, meta: Mapping[str, object], runtime: Runtime) -> Object:
    """Replace `{{.Name}}`, `{{.Namespace}}`, `{{.Labels.KEY}}`, `{{.Annotations.KEY}}`. Raises PredictorError."""
    def value(match: re.Match[str]) -> str:
        field, key = match.group(1).lower(), match.group(2)
        if field not in _METADATA:
            message = f"failed to replace placeholders in serving runtime {runtime.name} Container {container['name']}"
            raise PredictorError(message, ("InvalidPredictorSpec", message))
        holder = meta.get(field)
        found = (holder.get(key, "") if isinstance(holder, dict) else "") if key else holder or ""
        return json.dumps(str(found))[1:-1]
    filled: Object = json.loads(_PLACEHOLDER.sub(value, json.dumps(container)))
    return filled
