"""What a pod gets when it is created: the service account, the built-in plugins, KServe's pod webhook.

Source: kubernetes plugin/pkg/admission/{serviceaccount,defaulttolerationseconds,priority}; kserve 0.20
pkg/webhook/admission/pod/{mutator,storage_initializer_injector,metrics_aggregate_injector}.go.
"""

from __future__ import annotations

import json
from typing import Any

from kserve_nb.clusters.embedded.api.admission.workload_defaults import (
    containers_of,
    default_container,
    default_pod_spec,
    qos_class,
    request_what_is_limited,
)
from kserve_nb.clusters.embedded.api.field_errors import invalid, required
from kserve_nb.clusters.embedded.api.object_metadata import generate_name
from kserve_nb.clusters.embedded.kinds import CLUSTER_STORAGE_CONTAINER, CONFIG_MAP, NAMESPACE, POD, SERVICE_ACCOUNT
from kserve_nb.clusters.embedded.objects import Object, Objects, StatusError
from kserve_nb.values.labels import INFERENCE_SERVICE_LABEL, SOURCE_URI

_TOKEN_VOLUME = "kube-api-access-"
_TOKEN_PATH = "/var/run/secrets/kubernetes.io/serviceaccount"
_MODEL_VOLUME, _MODEL_PATH = "kserve-provision-location", "/mnt/models"
_PVC_VOLUME = "kserve-pvc-source"
_HUGGING_FACE_ENV = (("HF_HUB_ENABLE_HF_TRANSFER", "1"), ("HF_XET_HIGH_PERFORMANCE", "1"),
                     ("HF_XET_NUM_CONCURRENT_RANGE_GETS", "8"))


def default(new: Object, old: Object | None, objects: Objects) -> Object:
    """The pod as it is stored."""
    spec = new.setdefault("spec", {})
    default_pod_spec(spec)
    if old is None:
        _use_service_account(new, objects)
        _use_kserve(new, objects)
        _default_scheduling(spec)
        request_what_is_limited(spec)
        new["status"] = {"phase": "Pending", "qosClass": qos_class(spec)}
    return new


def validate(new: Object, old: Object | None) -> None:
    """Refuse a pod without containers, names or images. Raises StatusError."""
    causes = []
    if not new["spec"].get("containers"):
        causes.append(required("spec.containers"))
    for field in ("initContainers", "containers"):
        for index, container in enumerate(new["spec"].get(field) or []):
            causes += [required(f"spec.{field}[{index}].{name}")
                       for name in ("name", "image") if not container.get(name)]
    if causes:
        raise invalid(POD, new["metadata"]["name"], causes)


def _use_service_account(pod: Object, objects: Objects) -> None:
    spec, namespace = pod["spec"], pod["metadata"]["namespace"]
    name = spec.setdefault("serviceAccountName", "default")
    spec["serviceAccount"] = name
    account = objects.find(SERVICE_ACCOUNT, namespace, name)
    if account is None and name != "default":  # the controller makes `default` a moment after its namespace
        raise StatusError(403, "Forbidden",
                          f'pods "{pod["metadata"]["name"]}" is forbidden: error looking up service account '
                          f'{namespace}/{name}: serviceaccount "{name}" not found',
                          {"name": pod["metadata"]["name"], "kind": "pods"})
    wanted = spec.get("automountServiceAccountToken", (account or {}).get("automountServiceAccountToken"))
    if wanted is not False:
        _mount_token(spec)


def _mount_token(spec: Object) -> None:
    volumes = spec.setdefault("volumes", [])
    name = next((v["name"] for v in volumes if v.get("name", "").startswith(_TOKEN_VOLUME)), None)
    if name is None:
        name = generate_name(_TOKEN_VOLUME)
        volumes.append({"name": name, "projected": {"defaultMode": 420, "sources": _token_sources()}})
    for container in containers_of(spec):
        mounts = container.setdefault("volumeMounts", [])
        if not any(mount.get("mountPath") == _TOKEN_PATH for mount in mounts):
            mounts.append({"mountPath": _TOKEN_PATH, "name": name, "readOnly": True})


def _token_sources() -> list[Object]:
    return [
        {"serviceAccountToken": {"expirationSeconds": 3607, "path": "token"}},
        {"configMap": {"items": [{"key": "ca.crt", "path": "ca.crt"}], "name": "kube-root-ca.crt"}},
        {"downwardAPI": {"items": [{"fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.namespace"},
                                    "path": "namespace"}]}},
    ]


def _default_scheduling(spec: Object) -> None:
    spec.setdefault("enableServiceLinks", True)
    spec.setdefault("preemptionPolicy", "PreemptLowerPriority")
    spec.setdefault("priority", 0)
    tolerations = spec.setdefault("tolerations", [])
    for key in ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"):
        if not any(t.get("key") == key for t in tolerations):
            tolerations.append({"effect": "NoExecute", "key": key, "operator": "Exists", "tolerationSeconds": 300})


def _use_kserve(pod: Object, objects: Objects) -> None:
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
    config = _config(objects, "metricsAggregator")
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
        volumes.append({"name": _PVC_VOLUME, "persistentVolumeClaim": {"claimName": claim}})
        mounts.append({"mountPath": _MODEL_PATH, "name": _PVC_VOLUME, "readOnly": True, "subPath": path}
                      if path else {"mountPath": _MODEL_PATH, "name": _PVC_VOLUME, "readOnly": True})
        return
    volumes.append({"emptyDir": {}, "name": _MODEL_VOLUME})
    mounts.append({"mountPath": _MODEL_PATH, "name": _MODEL_VOLUME, "readOnly": True})
    initializer = _storage_initializer(uri, objects)
    default_container(initializer)
    spec["initContainers"] = [*(spec.get("initContainers") or []), initializer]
    if any(volume.get("name", "").startswith(_TOKEN_VOLUME) for volume in volumes):
        _mount_token(spec)  # plugins run again after a webhook has changed a pod


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


def _config(objects: Objects, key: str) -> dict[str, Any]:
    config = objects.find(CONFIG_MAP, "kserve", "inferenceservice-config") or {}
    parsed: dict[str, Any] = json.loads((config.get("data") or {}).get(key) or "{}")
    return parsed
