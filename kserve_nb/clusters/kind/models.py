"""The objects that serve the tutorial's `gs://` URIs from inside the cluster, with two models that differ."""

from __future__ import annotations

import json
from importlib.resources import files
from typing import Any

from kserve_nb.clusters.kind.settings import INITIALIZER_RESOURCES, MODEL_RESOURCES
from kserve_nb.clusters.kind.versions import part
from kserve_nb.clusters.tutorial_models import BUCKETS, FILE, FOLDER, KERNELS

NAMESPACE = "kserve-nb"
NAME = "tutorial-models"
_PORT = 8080
Object = dict[str, Any]


def objects() -> list[Object]:
    """The objects in the order in which they are applied: first the namespace, last the ClusterStorageContainer."""
    labels = {"app.kubernetes.io/name": NAME, "app.kubernetes.io/managed-by": "kserve-nb"}

    def meta(name: str, namespaced: bool = True) -> Object:
        return {"name": name, "labels": labels, **({"namespace": NAMESPACE} if namespaced else {})}

    return [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": meta(NAMESPACE, namespaced=False)},
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta(NAME),
         "data": {"model_server.py": _script("model_server.py")}},
        {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": meta(NAME), "spec": _deployment(labels)},
        {"apiVersion": "v1", "kind": "Service", "metadata": meta(NAME),
         "spec": {"selector": labels, "ports": [{"name": "http", "port": 80, "targetPort": _PORT}]}},
        {"apiVersion": "serving.kserve.io/v1alpha1", "kind": "ClusterStorageContainer",
         "metadata": meta("kserve-nb", namespaced=False), "spec": _storage_container()},
    ]


def _deployment(labels: dict[str, str]) -> Object:
    container = {
        "name": "models", "image": f"kserve/sklearnserver:v{part('kserve').version}",
        "command": ["python", "/scripts/model_server.py"],
        "env": [{"name": "MODELS", "value": json.dumps(_kernels())}],
        "ports": [{"containerPort": _PORT}],
        "readinessProbe": {"httpGet": {"path": "/ready", "port": _PORT}},
        "resources": MODEL_RESOURCES,
        "volumeMounts": [{"name": "scripts", "mountPath": "/scripts"}],
    }
    pod = {"containers": [container], "volumes": [{"name": "scripts", "configMap": {"name": NAME}}]}
    return {"replicas": 1, "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": pod}}


def _storage_container() -> Object:
    """The container that KServe merges over its init container, whose arguments stay (pkg/webhook/admission/pod)."""
    container = {
        "name": "storage-initializer", "image": f"kserve/storage-initializer:v{part('kserve').version}",
        "imagePullPolicy": "IfNotPresent",
        "command": ["python", "-c", _script("model_fetcher.py")],
        "env": [{"name": "MODEL_SERVER", "value": f"http://{NAME}.{NAMESPACE}.svc.cluster.local"}],
        "resources": INITIALIZER_RESOURCES,
    }
    return {"container": container, "supportedUriFormats": [{"prefix": "gs://"}], "workloadType": "initContainer",
            "supportsMultiModelDownload": True}


def _kernels() -> dict[str, str]:
    """The kernel of each model, by the path that the model server serves it under."""
    return {f"/{bucket}/{FOLDER}/{name}/{FILE}": kernel for bucket in BUCKETS for name, kernel in KERNELS.items()}


def _script(name: str) -> str:
    return (files(__package__) / name).read_text()
