"""What is set differently from the releases' defaults, as patches computed from what is there.

Every setting says why it must be; the rest of each object stays as it is.
"""

from __future__ import annotations

import json
from typing import Any

Object = dict[str, Any]

DOMAIN = "example.com"  # the tutorial's; Knative's own default serves inside the cluster alone
# Images that are there already are found by their tag: no registry has to be asked for a digest at every revision.
SKIPPED_REGISTRIES = "kind.local,ko.local,dev.local,index.docker.io,docker.io,gcr.io"
INGRESS_CLASS = {"istio": "istio.ingress.networking.knative.dev", "kourier": "kourier.ingress.networking.knative.dev"}
# Without resources of its own a revision takes the runtime's: 1 CPU and 2Gi, and a canary twice that.
MODEL_RESOURCES = {"requests": {"cpu": "100m", "memory": "256Mi"}, "limits": {"cpu": "1", "memory": "1Gi"}}


def knative(gateway: str) -> dict[str, Object]:
    """The data of Knative's config maps, by name."""
    return {
        "config-domain": {DOMAIN: ""},
        "config-network": {"ingress-class": INGRESS_CLASS[gateway]},
        "config-deployment": {"registries-skipping-tag-resolving": SKIPPED_REGISTRIES},
    }


def kserve(data: dict[str, str], gateway: str) -> dict[str, str]:
    """Those keys of `inferenceservice-config` that must change, whole: each value is one JSON text.

    Only the fields named here are changed in it. A value of `{"disableIstioVirtualHost": true}` alone would wipe the
    gateways, the domain template and all else that the key holds.
    """
    wanted: dict[str, Object] = {
        # With Kourier nobody serves the short host that KServe's VirtualService would.
        "ingress": {"disableIstioVirtualHost": gateway == "kourier", "ingressDomain": DOMAIN},
        # Standard mode ignores canaryTrafficPercent. Knative mode had this name before 0.16, and still has.
        "deploy": {"defaultDeploymentMode": "Serverless"},
    }
    changed = {}
    for key, fields in wanted.items():
        before = json.loads(data.get(key) or "{}")
        after = before | fields
        if key == "deploy" and before.get("defaultDeploymentMode") == "Knative":
            continue
        if after != before:
            changed[key] = json.dumps(after, indent=2)
    return changed


def runtime(spec: Object) -> Object:
    """The patch that gives a ClusterServingRuntime's model container small resources, its other fields kept."""
    containers = [{**container, "resources": MODEL_RESOURCES} if container["name"] == "kserve-container" else container
                  for container in spec["containers"]]
    return {"spec": {"containers": containers}}


def without_gs(spec: Object) -> Object:
    """The patch that leaves `gs://` to our own ClusterStorageContainer: of two for one prefix KServe takes any."""
    formats = [row for row in spec["supportedUriFormats"] if row.get("prefix") != "gs://"]
    return {"spec": {"supportedUriFormats": formats}}


def gateway_service(node_port: int) -> Object:
    """The patch that puts the gateway's plain HTTP port where the kind cluster's port mapping leads.

    There is no load balancer in a kind cluster: a Service of that type stays pending.
    """
    return {"spec": {"type": "NodePort", "ports": [{"name": "http2", "port": 80, "nodePort": node_port}]}}
