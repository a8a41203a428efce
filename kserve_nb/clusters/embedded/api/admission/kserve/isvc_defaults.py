"""KServe's defaulting webhook for InferenceServices.

Source: kserve 0.20 pkg/apis/serving/v1beta1/inference_service_defaults.go (`DefaultInferenceService`), and `Default` in
predictor_custom.go, transformer_custom.go, explainer_{custom,art}.go.
"""

from __future__ import annotations

from typing import Any

from kserve_nb.clusters.embedded.api.admission.kserve import kserve_config
from kserve_nb.clusters.embedded.api.admission.kserve.components import (
    COMPONENTS,
    CUSTOM,
    FRAMEWORKS,
    SERVER,
    containers_of,
    implementations,
)
from kserve_nb.clusters.embedded.api.admission.kubernetes.workload_defaults import canonical_resources
from kserve_nb.clusters.embedded.api.admission.review import Review, denied
from kserve_nb.clusters.embedded.api.schema.decoding import type_error
from kserve_nb.clusters.embedded.apimachinery.objects import Object

WEBHOOK = "inferenceservice.kserve-webhook-server.defaulter"
DEPLOYMENT_MODE = "serving.kserve.io/deploymentMode"
MODEL_PATH = "/mnt/models"

_MODEL_FORMAT = "modelFormat"
_SPEAKS_V2, _FORMATS_OF_V2 = ("triton", "onnx", "huggingface"), ("triton", "vLLM")


def default(review: Review) -> None:
    """Set the defaults of the mutating webhook. Raises StatusError for an object that the webhook cannot decode."""
    new = review.new
    if problem := type_error("V1beta1InferenceService", new, embedded_names=True):
        raise denied(WEBHOOK, problem, code=400, reason="")
    spec = new.setdefault("spec", {})
    predictor = spec.setdefault("predictor", {})
    _default_mode(review)
    is_model_mesh = review.annotations.get(DEPLOYMENT_MODE) == "ModelMesh"
    if not is_model_mesh:
        _default_model(new, predictor)
    _refuse_empty(predictor)
    _default_components(review, spec, is_model_mesh)
    _default_mount_paths(spec)
    if not kserve_config.section(review.objects, "security").get("autoMountServiceAccountToken", True):
        for component in COMPONENTS:
            if component in spec:
                spec[component].setdefault("automountServiceAccountToken", False)
    _write_zero_values(spec)


def _refuse_empty(predictor: Object) -> None:
    """Refuse a predictor without implementation, at which the real webhook panics."""
    if not implementations("predictor", predictor):
        raise denied(
            WEBHOOK,
            "spec.predictor names no model: give it `model` with a modelFormat and a storageUri, "
            f"or one of {', '.join(FRAMEWORKS)}, or `containers`", code=400, reason="BadRequest")


def _default_mode(review: Review) -> None:
    annotations: Any = review.new["metadata"].get("annotations") or {}
    mode = annotations.get(DEPLOYMENT_MODE)
    if mode is not None:
        annotations[DEPLOYMENT_MODE] = kserve_config.LEGACY_MODES.get(mode, mode)
        return
    try:
        by_default = kserve_config.default_deployment_mode(review.objects)
    except ValueError as error:
        raise denied(WEBHOOK, str(error), code=500, reason="") from None
    if by_default != "Knative":
        review.new["metadata"].setdefault("annotations", {})[DEPLOYMENT_MODE] = by_default


def _default_model(new: Object, predictor: Object) -> None:
    """Turn a framework's field into `model`, and note the model format (`setPredictorModelDefaults`)."""
    given = next((name for name in FRAMEWORKS if name in predictor), None)
    if given is not None:
        predictor["model"] = {**predictor.pop(given), "modelFormat": {"name": given}}
        if given in _SPEAKS_V2:
            predictor["model"].setdefault("protocolVersion", "v2")
    model = predictor.get("model")
    model_format = ((model or {}).get("modelFormat") or {}).get("name")
    if model is not None and model_format in _FORMATS_OF_V2:
        model.setdefault("protocolVersion", "v2")
    if model_format:
        new["metadata"].setdefault("annotations", {}).setdefault(_MODEL_FORMAT, model_format)


def _default_components(review: Review, spec: Object, is_model_mesh: bool) -> None:
    for component in COMPONENTS:
        body = spec.get(component)
        if body is None or (component == "predictor" and is_model_mesh):
            continue
        found = implementations(component, body)
        if found == [CUSTOM]:
            first = body["containers"][0]
            if component != "predictor" or len(body["containers"]) == 1 or not first.get("name"):
                first["name"] = SERVER
            _default_resources(review, first)
        elif found == ["art"]:
            images = kserve_config.section(review.objects, "explainers").get("art") or {}
            body["art"]["name"] = SERVER
            body["art"].setdefault("runtimeVersion", images.get("defaultImageVersion", ""))
            _default_resources(review, body["art"])


def _default_resources(review: Review, container: Object) -> None:
    resources = container["resources"] = container.get("resources") or {}
    for kind, values in kserve_config.default_resources(review.objects).items():
        if values:
            resources[kind] = values | (resources.get(kind) or {})


def _default_mount_paths(spec: Object) -> None:
    """The default of the CustomResourceDefinition for `storageUris[].mountPath`."""
    for component in COMPONENTS:
        for uri in (spec.get(component) or {}).get("storageUris") or []:
            uri.setdefault("mountPath", MODEL_PATH)


def _write_zero_values(spec: Object) -> None:
    """Write the fields that Go writes even if they are empty, and quantities in canonical form."""
    for component in COMPONENTS:
        for container in containers_of(component, spec.get(component) or {}):
            container.setdefault("name", "")
            canonical_resources(container)
    if "model" in spec["predictor"]:
        spec["predictor"]["model"].setdefault("modelFormat", {}).setdefault("name", "")
    for canary in spec.get("canary") or []:
        canary.setdefault("trafficPercent", 0)
        canary.setdefault("predictor", {})
