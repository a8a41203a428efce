"""The settings that differ from the releases' defaults, as patches that are computed from the existing objects.

Each setting has its reason beside it. The rest of each object is unchanged.
"""

from __future__ import annotations

import json
from typing import Any

Object = dict[str, Any]

DOMAIN = "example.com"  # the domain of the tutorial; Knative's own default is served inside the cluster only
# Images that are in the cluster are found by their tag. Otherwise every revision would need a registry's answer.
SKIPPED_REGISTRIES = "kind.local,ko.local,dev.local,index.docker.io,docker.io,gcr.io"
INGRESS_CLASS = {"istio": "istio.ingress.networking.knative.dev", "kourier": "kourier.ingress.networking.knative.dev"}
# The release's runtime requests 1 CPU and 2Gi for each revision. On a node with 2 CPUs the system requests 1.2 of them:
# with 25m for the model and 25m for the queue-proxy there is room for ten model pods and more.
MODEL_RESOURCES = {"requests": {"cpu": "25m", "memory": "256Mi"}, "limits": {"cpu": "1", "memory": "1Gi"}}
INITIALIZER_RESOURCES = {"requests": {"cpu": "10m", "memory": "100Mi"}, "limits": {"cpu": "1", "memory": "1Gi"}}


def knative(gateway: str) -> dict[str, Object]:
    """The data of Knative's ConfigMaps, by the name of the ConfigMap."""
    return {
        "config-domain": {DOMAIN: ""},
        "config-network": {"ingress-class": INGRESS_CLASS[gateway]},
        "config-deployment": {"registries-skipping-tag-resolving": SKIPPED_REGISTRIES},
    }


def kserve(data: dict[str, str], gateway: str) -> dict[str, str]:
    """The keys of the ConfigMap `inferenceservice-config` that must change, with their new values.

    Each value is one JSON text. Only the fields that are named here change in it: a value of
    `{"disableIstioVirtualHost": true}` alone would remove the gateways, the domain template and all other fields.
    """
    wanted: dict[str, Object] = {
        # Kourier does not serve the short host of KServe's VirtualService.
        "ingress": {"disableIstioVirtualHost": gateway == "kourier", "ingressDomain": DOMAIN},
        # Standard mode ignores canaryTrafficPercent. Serverless is the older name of Knative mode; KServe takes both.
        "deploy": {"defaultDeploymentMode": "Serverless"},
        "storageInitializer": {"cpuRequest": INITIALIZER_RESOURCES["requests"]["cpu"]},
    }
    changed = {}
    for key, fields in wanted.items():
        before = json.loads(data.get(key) or "{}")
        after = before | fields
        if key == "storageInitializer" and not before:
            continue
        if key == "deploy" and before.get("defaultDeploymentMode") == "Knative":
            continue
        if after != before:
            changed[key] = json.dumps(after, indent=2)
    return changed


def runtime(spec: Object) -> Object:
    """The patch that gives the model container of a ClusterServingRuntime small resources; its other fields stay."""
    containers = [{**container, "resources": MODEL_RESOURCES} if container["name"] == "kserve-container" else container
                  for container in spec["containers"]]
    return {"spec": {"containers": containers}}


def storage_container(spec: Object) -> Object:
    """The patch for the release's ClusterStorageContainer: small resources, and no `gs://`.

    `gs://` is for our own one: if two support a prefix, KServe takes any of them.
    """
    formats = [row for row in spec["supportedUriFormats"] if row.get("prefix") != "gs://"]
    return {"spec": {"supportedUriFormats": formats, "container": {"resources": INITIALIZER_RESOURCES}}}


def gateway_service(node_port: int) -> Object:
    """The patch that gives the gateway's plain HTTP port the node port that the kind cluster's port mapping leads to.

    A kind cluster has no load balancer: a Service of that type stays pending.
    """
    return {"spec": {"type": "NodePort", "ports": [{"name": "http2", "port": 80, "nodePort": node_port}]}}
