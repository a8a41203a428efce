"""Selects the (Cluster)ServingRuntime of an InferenceService's model.

Sources: kserve pkg/controller/v1beta1/inferenceservice/components/predictor.go `reconcileModel`,
pkg/apis/serving/v1beta1/predictor_model.go `GetSupportingRuntimes`, inference_service_defaults.go `SetRuntimeDefaults`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from kserve_nb.clusters.embedded.apimachinery.kinds import CLUSTER_SERVING_RUNTIME, SERVING_RUNTIME
from kserve_nb.clusters.embedded.apimachinery.objects import Kind, Object, Objects

SERVER_TYPE = "serving.kserve.io/server-type"
SERVER_TYPES = {"kserve-mlserver": "mlserver", "kserve-torchserve": "torchserve",
                "kserve-tritonserver": "tritonserver", "kserve-tensorflow-serving": "tensorflow-serving",
                "kserve-huggingfaceserver": "huggingfaceserver", "kserve-vllmserver": "vllmserver"}  # by runtime name
MODEL_CLASSES = {"xgboost": "mlserver_xgboost.XGBoostModel", "lightgbm": "mlserver_lightgbm.LightGBMModel",
                 "mlflow": "mlserver_mlflow.MLflowRuntime"}
SKLEARN_CLASS = "mlserver_sklearn.SKLearnModel"
PROTOCOLS = ("v1", "v2", "grpc-v1", "grpc-v2")


class PredictorError(Exception):
    """A predictor that cannot be built.

    Args:
        message: the message of the controller's event.
        failure: reason and message for `modelStatus.lastFailureInfo`, if KServe sets it.
    """

    def __init__(self, message: str, failure: tuple[str, str] | None = None):
        super().__init__(message)
        self.message, self.failure = message, failure


@dataclass(frozen=True)
class Runtime:
    """A ServingRuntime or ClusterServingRuntime."""

    kind: Kind
    obj: Object

    @property
    def name(self) -> str:
        return str(self.obj["metadata"]["name"])

    @property
    def spec(self) -> Object:
        spec: Object = self.obj["spec"]
        return spec


def choose_runtime(isvc: Object, view: Objects) -> Runtime:
    """The runtime that the model names, else the best one that supports it. Raises PredictorError."""
    model, namespace = isvc["spec"]["predictor"]["model"], isvc["metadata"]["namespace"]
    if model.get("runtime"):
        return _named(model, namespace, view)
    found = [*_supporting(SERVING_RUNTIME, model, view.list(SERVING_RUNTIME, namespace)),
             *_supporting(CLUSTER_SERVING_RUNTIME, model, view.list(CLUSTER_SERVING_RUNTIME))]
    if not found:
        format_ = model.get("modelFormat") or {}
        raise PredictorError(  # Go prints the struct ModelFormat{Name, Version}
            "no runtime found to support predictor with model type: "
            f"{{{format_.get('name', '')} {format_.get('version', '<nil>')}}}",
            ("NoSupportingRuntime", "No runtime found to support specified framework/version"))
    return found[0]


def _named(model: Object, namespace: str, view: Objects) -> Runtime:
    name = model["runtime"]
    obj, kind = view.find(SERVING_RUNTIME, namespace, name), SERVING_RUNTIME
    if obj is None:
        obj, kind = view.find(CLUSTER_SERVING_RUNTIME, None, name), CLUSTER_SERVING_RUNTIME
    if obj is None:
        raise PredictorError(f"No ServingRuntimes or ClusterServingRuntimes with the name: {name}",
                             ("RuntimeNotRecognized", "Waiting for runtime to become available"))
    spec = obj["spec"]
    if spec.get("disabled"):
        raise PredictorError(f"specified runtime {name} is disabled",
                             ("RuntimeDisabled", "Specified runtime is disabled"))
    for what, supported in (("protocol version", _speaks(spec, model.get("protocolVersion"))),
                            ("framework/version", _supports(spec, model, auto=False))):
        if not supported:
            raise PredictorError(f"specified runtime {name} does not support specified {what}",
                                 ("NoSupportingRuntime", f"Specified runtime does not support specified {what}"))
    return Runtime(kind, obj)


def _supporting(kind: Kind, model: Object, runtimes: list[Object]) -> list[Runtime]:
    """The runtimes for a model that names none, sorted by priority, protocol, age (newest first) and name."""
    found = [
        r for r in runtimes
        if not r["spec"].get("disabled") and not r["spec"].get("multiModel") and "workerSpec" not in r["spec"]
        and _supports(r["spec"], model, auto=True) and _speaks(r["spec"], model.get("protocolVersion") or "v1")]
    found.sort(key=lambda r: str(r["metadata"]["name"]))
    found.sort(key=lambda r: str(r["metadata"]["creationTimestamp"]), reverse=True)
    found.sort(key=lambda r: _protocol_order(r["spec"]))
    found.sort(key=lambda r: _priority(r["spec"], model), reverse=True)
    return [Runtime(kind, r) for r in found]


def _speaks(spec: Object, protocol: str | None) -> bool:
    known = spec.get("protocolVersions") or []
    return not protocol or not known or protocol in known


def _supports(spec: Object, model: Object, *, auto: bool) -> bool:
    """Whether the runtime supports the model's format, and its version if the model has one."""
    wanted = model.get("modelFormat") or {}
    return any(
        f["name"] == wanted.get("name") and wanted.get("version") in (None, f.get("version"))
        for f in spec.get("supportedModelFormats") or [] if f.get("autoSelect") or not auto)


def _protocol_order(spec: Object) -> int:
    known = [PROTOCOLS.index(p) for p in spec.get("protocolVersions") or [] if p in PROTOCOLS]
    return min(known, default=len(PROTOCOLS))


def _priority(spec: Object, model: Object) -> int:
    name = (model.get("modelFormat") or {}).get("name")
    found: Object = next((f for f in spec.get("supportedModelFormats") or [] if f["name"] == name), {})
    priority = found.get("priority")
    return -1 if priority is None else int(priority)


@dataclass(frozen=True)
class ModelDefaults:
    """The defaults that KServe adds to a model and its InferenceService for some servers (`SetRuntimeDefaults`)."""

    env: tuple[Object, ...] = ()  # added unless the model sets the variable
    args: tuple[str, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)


def model_defaults(isvc: Object, runtime: Runtime) -> ModelDefaults:
    """The defaults for the runtime's model server, which an annotation or the runtime's name identifies."""
    model = isvc["spec"]["predictor"]["model"]
    has_files = bool(model.get("storageUri") or model.get("storage"))
    match server_type(runtime):
        case "mlserver":
            label = {"modelClass": MODEL_CLASSES.get(model["modelFormat"]["name"], SKLEARN_CLASS)}
            values = {"MLSERVER_MODEL_NAME": isvc["metadata"]["name"], "MLSERVER_MODEL_URI": "/mnt/models"}
            if not has_files:
                values = {"MLSERVER_LOAD_MODELS_AT_STARTUP": "false"}
            return ModelDefaults(env=_variables(values), labels=label)
        case "tritonserver":
            return ModelDefaults(args=() if has_files else ("--model-control-mode=explicit",))
        case "torchserve":
            protocol = model.get("protocolVersion") or "v1"
            envelope = "kservev2" if protocol in ("v2", "grpc-v2") else "kserve"
            return ModelDefaults(env=_variables({"PROTOCOL_VERSION": protocol}), labels={"serviceEnvelope": envelope})
        case _:
            return ModelDefaults()


def server_type(runtime: Runtime) -> str:
    """The model server type of a runtime, empty for other runtimes (`GetServerTypeFromRuntimeName`)."""
    annotations = runtime.obj["metadata"].get("annotations") or {}
    return str(annotations.get(SERVER_TYPE) or SERVER_TYPES.get(runtime.name, ""))


def _variables(values: Mapping[str, str]) -> tuple[Object, ...]:
    return tuple({"name": name, "value": value} for name, value in values.items())
