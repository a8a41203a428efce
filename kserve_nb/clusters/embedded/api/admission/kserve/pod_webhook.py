"""KServe's mutating webhook for the pods of InferenceServices: it provides the model and annotates metrics.

Source: kserve 0.20 pkg/webhook/admission/pod/{mutator,storage_initializer_injector,metrics_aggregate_injector}.go,
config/webhook/manifests.yaml (which pods it gets).
"""

from __future__ import annotations

from kserve_nb.clusters.embedded.api.admission.kserve import kserve_config
from kserve_nb.clusters.embedded.api.admission.kubernetes.workload_defaults import default_container
from kserve_nb.clusters.embedded.kinds import CLUSTER_STORAGE_CONTAINER, NAMESPACE
from kserve_nb.clusters.embedded.objects import Object, Objects
from kserve_nb.values.labels import INFERENCE_SERVICE_LABEL, SOURCE_URI

_MODEL_VOLUME, _MODEL_PATH = "kserve-provision-location", "/mnt/models"
_CLAIM_VOLUME = "kserve-pvc-source"
_HUGGING_FACE_ENV = (("HF_HUB_ENABLE_HF_TRANSFER", "1"), ("HF_XET_HIGH_PERFORMANCE", "1"),
                     ("HF_XET_NUM_CONCURRENT_RANGE_GETS", "8"))


def mutate(pod: Object, objects: Objects) -> None:
    """Add metrics annotations and the model's volume to a pod of an InferenceService."""
    meta = pod["metadata"]
    if INFERENCE_SERVICE_LABEL not in (meta.get("labels") or {}):
        return
    namespace = objects.find(NAMESPACE, None, meta["namespace"]) or {"metadata": {}}
    if "control-plane" in (namespace["metadata"].get("labels") or {}):
        return
    _annotate_metrics(meta, objects)
    uri = meta["annotations"].get(SOURCE_URI)
    if uri:
        _provide_model(pod["spec"], uri, objects)


def _annotate_metrics(meta: Object, objects: Objects) -> None:
    annotations = meta["annotations"] = meta.get("annotations") or {}
    config = kserve_config.section(objects, "metricsAggregator")
    annotations.setdefault("serving.kserve.io/enable-metric-aggregation",
                           config.get("enableMetricAggregation", "false"))
    annotations.setdefault("serving.kserve.io/enable-prometheus-scraping",
                           config.get("enablePrometheusScraping", "false"))


def _provide_model(spec: Object, uri: str, objects: Objects) -> None:
    server = next((c for c in spec.get("containers") or [] if c.get("name") == "kserve-container"), None)
    if server is None or any(c.get("name") == "storage-initializer" for c in spec.get("initContainers") or []):
        return
    mounts, volumes = server.setdefault("volumeMounts", []), spec.setdefault("volumes", [])
    if uri.startswith("pvc://"):
        claim, _, path = uri.removeprefix("pvc://").partition("/")
        volumes.append({"name": _CLAIM_VOLUME, "persistentVolumeClaim": {"claimName": claim}})
        mounts.append({"mountPath": _MODEL_PATH, "name": _CLAIM_VOLUME, "readOnly": True, "subPath": path}
                      if path else {"mountPath": _MODEL_PATH, "name": _CLAIM_VOLUME, "readOnly": True})
        return
    volumes.append({"emptyDir": {}, "name": _MODEL_VOLUME})
    mounts.append({"mountPath": _MODEL_PATH, "name": _MODEL_VOLUME, "readOnly": True})
    initializer = _storage_initializer(uri, objects)
    default_container(initializer)
    spec["initContainers"] = [*(spec.get("initContainers") or []), initializer]


def _storage_initializer(uri: str, objects: Objects) -> Object:
    found = objects.find(CLUSTER_STORAGE_CONTAINER, None, "default")
    container: Object = dict((found or {}).get("spec", {}).get("container") or {
        "image": "kserve/storage-initializer:v0.20.0", "imagePullPolicy": "IfNotPresent",
        "resources": {"limits": {"cpu": "1", "memory": "1Gi"}, "requests": {"cpu": "100m", "memory": "100Mi"}}})
    env = [{"name": name, "value": value} for name, value in _HUGGING_FACE_ENV]
    return container | {
        "name": "storage-initializer", "args": [uri, _MODEL_PATH], "env": [*container.get("env", []), *env],
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "volumeMounts": [{"mountPath": _MODEL_PATH, "name": _MODEL_VOLUME}],
    }
