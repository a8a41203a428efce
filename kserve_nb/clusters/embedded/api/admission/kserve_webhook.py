"""KServe's webhooks for InferenceServices: defaulting, then validation; the first failing rule is the answer.

Source: kserve 0.20 pkg/apis/serving/v1beta1/inference_service_defaults.go (`DefaultInferenceService`,
`setPredictorModelDefaults`), inference_service_validation.go and component.go.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from kserve_nb.clusters.embedded.api.admission.refusals import denied
from kserve_nb.clusters.embedded.api.admission.workload_defaults import canonical_resources
from kserve_nb.clusters.embedded.api.schema.decoding import type_error
from kserve_nb.clusters.embedded.dns_names import LABEL_1035
from kserve_nb.clusters.embedded.objects import Object, Objects

DEFAULTER = "inferenceservice.kserve-webhook-server.defaulter"
VALIDATOR = "inferenceservice.kserve-webhook-server.validator"
DEPLOYMENT_MODE = "serving.kserve.io/deploymentMode"

_FRAMEWORKS = ("sklearn", "xgboost", "tensorflow", "pytorch", "triton", "onnx", "huggingface", "pmml", "lightgbm",
               "paddle")
_SPEAKS_V2 = ("triton", "onnx", "huggingface")
_LEGACY_MODES = {"Serverless": "Knative", "RawDeployment": "Standard"}
_AUTOSCALER_CLASSES = ("hpa", "external", "keda", "none")
_KPA_METRICS = ("concurrency", "rps")
_COMPONENTS = ("predictor", "transformer", "explainer")
_EXACTLY_ONE = {
    "predictor": ("Name, SKLearn, XGBoost, Tensorflow, PyTorch, Triton, ONNX, HuggingFace, PMML, LightGBM, Paddle, "
                  "Model, StorageUris, StorageContainerName, WorkerSpec, PodSpec", "PredictorSpec"),
    "transformer": ("PodSpec", "TransformerSpec"),
    "explainer": ("ART, PodSpec", "ExplainerSpec"),
}


def default(new: Object, old: Object | None, objects: Objects) -> Object:
    """The InferenceService as the mutating webhook leaves it. Raises StatusError for what it cannot decode."""
    if problem := type_error("V1beta1InferenceService", new, embedded_names=True):
        raise denied(DEFAULTER, problem, code=400, reason="")
    spec = new.setdefault("spec", {})
    predictor = spec.setdefault("predictor", {})
    _refuse_empty(predictor)
    _rename_legacy_mode(new)
    _framework_to_model(predictor)
    _write_zero_values(spec)
    model_format = predictor.get("model", {}).get("modelFormat", {}).get("name")
    if model_format:
        new["metadata"].setdefault("annotations", {})["modelFormat"] = model_format
    return new


def validate(new: Object, old: Object | None) -> None:
    """Refuse what the validating webhook refuses, in its words. Raises StatusError."""
    for problem in _problems(new, old):
        raise denied(VALIDATOR, problem)


def _refuse_empty(predictor: Object) -> None:
    # The real webhook panics here; a learner is better served by the reason.
    if not any(key in predictor for key in ("model", *_FRAMEWORKS, "containers", "workerSpec")):
        raise denied(
            DEFAULTER,
            "spec.predictor names no model: give it `model` with a modelFormat and a storageUri, "
            f"or one of {', '.join(_FRAMEWORKS)}, or `containers`", code=400, reason="BadRequest")


def _rename_legacy_mode(new: Object) -> None:
    annotations = new["metadata"].get("annotations") or {}
    if (mode := annotations.get(DEPLOYMENT_MODE)) in _LEGACY_MODES:
        annotations[DEPLOYMENT_MODE] = _LEGACY_MODES[mode]


def _framework_to_model(predictor: Object) -> None:
    given = next((name for name in _FRAMEWORKS if name in predictor), None)
    if given is None:
        return
    predictor["model"] = {**predictor.pop(given), "modelFormat": {"name": given}}
    if given in _SPEAKS_V2:
        predictor["model"].setdefault("protocolVersion", "v2")


def _write_zero_values(spec: Object) -> None:
    """Fields that Go writes even where they are empty; quantities in their canonical form."""
    for component in _COMPONENTS:
        body = spec.get(component, {})
        containers = [body[name] for name in ("model", *_FRAMEWORKS, "art") if name in body]
        for name in ("containers", "initContainers"):
            containers += body.get(name, [])
        for container in containers:
            container.setdefault("name", "")
            canonical_resources(container)
    if "model" in spec["predictor"]:
        spec["predictor"]["model"].setdefault("modelFormat", {}).setdefault("name", "")


def _problems(new: Object, old: Object | None) -> Iterator[str]:
    yield from _update_problems(new, old)
    name = new["metadata"]["name"]
    if not re.fullmatch(LABEL_1035, name):
        yield (f'the InferenceService "{name}" is invalid: a InferenceService name must consist of lower case '
               "alphanumeric characters or '-', and must start with alphabetical character. "
               f'(e.g. "my-name" or "abc-123", regex used for validation is \'{LABEL_1035}\')')
    autoscaler = (new["metadata"].get("annotations") or {}).get("serving.kserve.io/autoscalerClass")
    if autoscaler is not None and autoscaler not in _AUTOSCALER_CLASSES:
        yield f"[{autoscaler}] is not a supported autoscaler class type"
    spec = new["spec"]
    yield from _model_problems(spec)
    for component in _COMPONENTS:
        if component in spec:
            yield from _component_problems(component, spec[component])
    standard = _mode(new) == "Standard"
    if not standard:
        yield from _kpa_problems(spec)
    yield from _canary_problems(spec, standard=standard)


def _mode(obj: Object) -> str | None:
    return (obj["metadata"].get("annotations") or {}).get(DEPLOYMENT_MODE)


def _update_problems(new: Object, old: Object | None) -> Iterator[str]:
    before, wanted = ((old or {}).get("status") or {}).get("deploymentMode"), _mode(new)
    if before and wanted and wanted != before:
        yield f"update rejected: deploymentMode cannot be changed from '{before}' to '{wanted}'"


def _model_problems(spec: Object) -> Iterator[str]:
    for container in spec.get("transformer", {}).get("containers", []):
        if any(env.get("name") == "STORAGE_URI" for env in container.get("env", [])):
            yield "storage uri should not be specified in transformer container"
    predictor = spec["predictor"]
    model: Object = next((predictor[key] for key in ("model", *_FRAMEWORKS) if key in predictor), {})
    if model.get("name"):
        yield "the 'name' field is not allowed in standard predictor"
    if model.get("storageUri") and predictor.get("storageUris"):
        yield "Setting both StorageURI and StorageURIs is not supported."


def _component_problems(component: str, body: Object) -> Iterator[str]:
    named = [key for key in ("model", "art", *_FRAMEWORKS) if key in body]
    if len(named) + ("containers" in body and not named) != 1:
        choices, struct = _EXACTLY_ONE[component]
        yield f"exactly one of [{choices}] must be specified in {struct}"
    least, most = body.get("minReplicas", 1), body.get("maxReplicas", 0)
    if body.get("containerConcurrency", 0) < 0:
        yield "parallelism cannot be less than 0"
    if least < 0:
        yield "'MinReplicas' cannot be less than 0"
    if most < 0:
        yield "'MaxReplicas' cannot be less than 0"
    if most != 0 and least > most:
        yield "'MinReplicas' cannot be greater than MaxReplicas"


def _kpa_problems(spec: Object) -> Iterator[str]:
    for component in _COMPONENTS:
        body = spec.get(component, {})
        if "deploymentStrategy" in body:
            yield "customizing deploymentStrategy is only supported for raw deployment mode"
        metric, target = body.get("scaleMetric"), body.get("scaleTarget")
        if metric is not None and metric not in _KPA_METRICS:
            yield f"[{metric}] is not a supported metric"
        if metric == "rps" and target is not None and target < 1:
            yield "the target for rps should be greater than 1"


def _canary_problems(spec: Object, *, standard: bool) -> Iterator[str]:
    canaries = spec.get("canary", [])
    if canaries and not standard:
        yield "canary is only supported in Standard deployment mode"
    for canary in canaries:
        percent, name = canary.get("trafficPercent", 0), canary.get("predictor", {}).get("name", "")
        if not 0 <= percent <= 100:
            yield f'canary "{name}" trafficPercent must be between 0 and 100, got {percent}'
    total = sum(canary.get("trafficPercent", 0) for canary in canaries)
    if total > 100:
        yield f"sum of canary trafficPercent values ({total}) must be <= 100"


