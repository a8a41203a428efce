"""The pod spec of a predictor's revisions, from the InferenceService and its serving runtime.

Sources: kserve pkg/controller/v1beta1/inferenceservice/components/predictor.go `buildPodSpec`, utils/utils.go
`MergeRuntimeContainers`, `MergePodSpec`, `ReplacePlaceholders`, `UpdateImageTag`, and pkg/utils/container_merge.go.
"""

from __future__ import annotations

import copy
import json
import re

from kserve_nb.clusters.embedded import strategic_merge
from kserve_nb.clusters.embedded.control.kserve.serving_runtime import PredictorError, Runtime, runtime_defaults
from kserve_nb.clusters.embedded.objects import Object

CONTAINER = "kserve-container"
NOT_OF_CONTAINER = {"modelFormat", "runtime", "storageUri", "storage", "protocolVersion", "runtimeVersion"}
POD_FIELDS = (
    "serviceAccountName", "nodeSelector", "tolerations", "affinity", "volumes", "imagePullSecrets", "schedulerName",
    "initContainers", "securityContext", "automountServiceAccountToken", "hostAliases", "dnsPolicy", "dnsConfig",
    "priorityClassName", "runtimeClassName", "topologySpreadConstraints", "terminationGracePeriodSeconds",
    "enableServiceLinks", "shareProcessNamespace")
PLACEHOLDER = re.compile(r"\{\{\s*\.(\w+)(?:\.(\w+))?\s*\}\}")
TAG = re.compile(r":[\w.\-]*$")


def build_pod_spec(isvc: Object, runtime: Runtime | None) -> Object:
    """The pod spec of a predictor. Raises PredictorError if the runtime lacks the model's container."""
    predictor, name = isvc["spec"]["predictor"], isvc["metadata"]["name"]
    pod = {field: copy.deepcopy(predictor[field]) for field in POD_FIELDS if predictor.get(field) is not None}
    own = copy.deepcopy(predictor.get("containers") or [])
    if runtime is None:
        containers = [{"name": CONTAINER, **own[0]}, *own[1:]]
    else:
        pod = {field: runtime.spec[field] for field in POD_FIELDS if field in runtime.spec} | pod
        others = [c for c in runtime.spec["containers"] if c["name"] != CONTAINER]
        containers = [_model_container(isvc, runtime), *copy.deepcopy(others), *own]
    return {**pod, "containers": [_with_variable(c, "INFERENCE_SERVICE_NAME", name) for c in containers]}


def _model_container(isvc: Object, runtime: Runtime) -> Object:
    base = next((c for c in runtime.spec.get("containers") or [] if c["name"] == CONTAINER), None)
    if base is None:
        message = f"failed to find {CONTAINER} in ServingRuntime containers"
        raise PredictorError(message, ("InvalidPredictorSpec", message))
    model = isvc["spec"]["predictor"]["model"]
    env, labels = runtime_defaults(isvc, runtime)
    overlay = {k: v for k, v in model.items() if k not in NOT_OF_CONTAINER and v not in ("", {}, [], None)}
    if env:
        overlay = merge_containers({"env": env}, overlay)
    merged = merge_containers(base, overlay)
    args = [*(base.get("args") or []), *(overlay.get("args") or [])]
    if args:
        merged["args"] = args
    container = _fill(merged, {**isvc["metadata"], "labels": {**(isvc["metadata"].get("labels") or {}), **labels}})
    if model.get("runtimeVersion") and "@sha256:" not in container["image"]:
        container["image"] = TAG.sub("", container["image"]) + f":{model['runtimeVersion']}"
    return container


def merge_containers(base: Object, overlay: Object) -> Object:
    """The overlay merged into the base by strategic merge patch (`MergeContainerWithPatch`).

    An environment variable gets the overlay's `value` or `valueFrom`, never both.
    """
    merged = strategic_merge.merge(copy.deepcopy(base), copy.deepcopy(overlay))
    given = {variable["name"]: variable for variable in overlay.get("env") or []}
    for variable in merged.get("env") or []:
        if variable.get("value") and variable.get("valueFrom") and variable["name"] in given:
            variable.pop("value" if given[variable["name"]].get("valueFrom") else "valueFrom")
    return merged


def _with_variable(container: Object, name: str, value: str) -> Object:
    """The container with an environment variable set (`AddEnvVarToPodSpec`)."""
    return merge_containers(container, {"env": [{"name": name, "value": value}]})


def _fill(container: Object, meta: Object) -> Object:
    """Replace `{{.Name}}`, `{{.Namespace}}`, `{{.Labels.KEY}}`, `{{.Annotations.KEY}}`."""
    def value(match: re.Match[str]) -> str:
        field, key = match.group(1).lower(), match.group(2)
        found = (meta.get(field) or {}).get(key, "") if key else meta.get(field, "")
        return json.dumps(str(found))[1:-1]
    filled: Object = json.loads(PLACEHOLDER.sub(value, json.dumps(container)))
    return filled
