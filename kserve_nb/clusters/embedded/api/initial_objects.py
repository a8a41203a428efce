"""The objects of a new cluster: those that installing Kubernetes, Knative Serving and KServe creates."""

from __future__ import annotations

import copy
import json
import logging
import platform
import time
import uuid
from importlib.resources import files
from typing import Any

import psutil

from kserve_nb.clusters.embedded.api.admission.kubernetes.core_kinds import SERVICE_NETWORK
from kserve_nb.clusters.embedded.api.schema.custom_resources import definitions, established
from kserve_nb.clusters.embedded.apimachinery.kinds import (
    CLUSTER_SERVING_RUNTIME,
    CLUSTER_STORAGE_CONTAINER,
    CONFIG_MAP,
    CUSTOM_RESOURCE_DEFINITION,
    DEPLOYMENT,
    LEASE,
    NAMESPACE,
    NODE,
    SERVICE,
)
from kserve_nb.clusters.embedded.apimachinery.objects import (
    Kind,
    NotFoundError,
    Object,
    Objects,
    Settings,
    StatusError,
    utc,
)

KUBERNETES_VERSION, KNATIVE_VERSION, KSERVE_VERSION = "v1.35.4", "1.21.3", "v0.20.0"

_KUBE_NAMESPACES = ("default", "kube-system", "kube-public", "kube-node-lease")
_KNATIVE_LABELS = {"app.kubernetes.io/name": "knative-serving", "app.kubernetes.io/version": KNATIVE_VERSION}
_STORAGE_FORMATS = (
    {"prefix": "gs://"}, {"prefix": "s3://"}, {"prefix": "hdfs://"}, {"prefix": "hf://"}, {"prefix": "webhdfs://"},
    {"regex": "https://(.+?).blob.core.windows.net/(.+)"}, {"regex": "https://(.+?).file.core.windows.net/(.+)"},
    {"regex": "https?://(.+)/(.+)"},
)
NODE_CPU, NODE_MEMORY_KI = 64, 128 * 2**20  # the node advertises at least this much
GATEWAY_PORT = 8080

log = logging.getLogger(__name__)


def populate(objects: Objects, settings: Settings) -> None:
    """Create the objects of a new cluster. In a resumed cluster, update those that depend on its settings."""
    for kind, body in initial_objects(settings):
        try:
            _populate_one(kind, body, objects)
        except StatusError as error:
            if error.code != 500:
                raise
            log.error("%s", error.message)  # the disk is full: the server starts with the objects that exist


def _populate_one(kind: Kind, body: Object, objects: Objects) -> None:
    status = body.pop("status", None)
    stored = _store(kind, body, objects)
    if status is not None and stored is not None and stored.get("status") != status:
        objects.update_status(kind, stored | {"status": status})


def initial_objects(settings: Settings) -> list[tuple[Kind, Object]]:
    """All objects of a new cluster, in the order in which they can be created. Some have a status."""
    now = utc(time.time())
    return [
        *((NAMESPACE, namespace) for namespace in _namespaces(settings)),
        *((CUSTOM_RESOURCE_DEFINITION, definition | {"status": established(definition, now)})
          for definition in definitions(settings)),
        (NODE, node(settings, now)),
        (LEASE, _lease(settings, now)),
        *((CONFIG_MAP, config) for config in _config_maps(settings)),
        *((CLUSTER_SERVING_RUNTIME, runtime) for runtime in _runtimes()),
        (CLUSTER_STORAGE_CONTAINER, _storage_container()),
        *((SERVICE, service) for service in _services(settings)),
        (DEPLOYMENT, _gateway(settings)),
    ]


def _store(kind: Kind, body: Object, objects: Objects) -> Object | None:
    """Create an object, or update one that depends on the settings. Returns None if nothing was written."""
    meta = body["metadata"]
    try:
        current = objects.get(kind, meta.get("namespace"), meta["name"])
    except NotFoundError:
        return objects.create(kind, body)
    if kind == SERVICE:
        spec = current["spec"] | body["spec"]
        return objects.update(kind, current | {"spec": spec})
    return current if kind == NODE else None


def _meta(name: str, namespace: str | None = None, labels: dict[str, str] | None = None) -> Object:
    meta: Object = {"name": name}
    if namespace:
        meta["namespace"] = namespace
    if labels:
        meta["labels"] = labels
    return meta


def _namespaces(settings: Settings) -> list[Object]:
    names: dict[str, dict[str, str]] = {name: {} for name in (*_KUBE_NAMESPACES, "kserve")}
    names["knative-serving"] = dict(_KNATIVE_LABELS)
    names[f"{settings.gateway}-system"] = (
        _KNATIVE_LABELS | {"networking.knative.dev/ingress-provider": "kourier"}
        if settings.gateway == "kourier" else {})
    return [{"apiVersion": "v1", "kind": "Namespace", "metadata": _meta(name, labels=labels)}
            for name, labels in names.items()]


def node(settings: Settings, now: str) -> Object:
    """The cluster's only Node, which represents this machine."""
    labels = {"beta.kubernetes.io/arch": _architecture(), "beta.kubernetes.io/os": "linux",
              "kubernetes.io/arch": _architecture(), "kubernetes.io/hostname": settings.node,
              "kubernetes.io/os": "linux", "node-role.kubernetes.io/control-plane": ""}
    # Pods are processes that reserve nothing, so even a small machine has room for more than 40 pods with the runtime's
    # requests of 1 CPU and 2Gi.
    cpu, memory = max(psutil.cpu_count() or 1, NODE_CPU), max(psutil.virtual_memory().total // 1024, NODE_MEMORY_KI)
    capacity = {"cpu": str(cpu), "ephemeral-storage": f"{psutil.disk_usage('/').total // 1024}Ki",
                "memory": f"{memory}Ki", "pods": "110"}
    return {
        "apiVersion": "v1", "kind": "Node", "metadata": _meta(settings.node, labels=labels),
        "spec": {"podCIDR": "198.18.0.0/24", "podCIDRs": ["198.18.0.0/24"]},
        "status": {
            "addresses": [{"address": settings.ingress_host, "type": "InternalIP"},
                          {"address": settings.node, "type": "Hostname"}],
            "allocatable": dict(capacity), "capacity": capacity, "conditions": _node_conditions(now),
            "daemonEndpoints": {"kubeletEndpoint": {"Port": 10250}}, "nodeInfo": _node_info(),
        },
    }


def _lease(settings: Settings, now: str) -> Object:
    """The lease that a kubelet renews to show that its node is alive."""
    return {"apiVersion": LEASE.api_version, "kind": "Lease", "metadata": _meta(settings.node, "kube-node-lease"),
            "spec": {"holderIdentity": settings.node, "leaseDurationSeconds": 40,
                     "renewTime": now.replace("Z", ".000000Z")}}


def _node_conditions(now: str) -> list[Object]:
    pressures = [("MemoryPressure", "False", "KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
                 ("DiskPressure", "False", "KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
                 ("PIDPressure", "False", "KubeletHasSufficientPID", "kubelet has sufficient PID available"),
                 ("Ready", "True", "KubeletReady", "kubelet is posting ready status")]
    return [{"lastHeartbeatTime": now, "lastTransitionTime": now, "message": message, "reason": reason,
             "status": status, "type": type_} for type_, status, reason, message in pressures]


def _node_info() -> Object:
    machine = uuid.uuid4().hex
    return {"architecture": _architecture(), "bootID": str(uuid.uuid4()), "containerRuntimeVersion": "processes://1",
            "kernelVersion": platform.release(), "kubeProxyVersion": "", "kubeletVersion": KUBERNETES_VERSION,
            "machineID": machine, "operatingSystem": "linux", "osImage": platform.system(), "systemUUID": machine}


def _architecture() -> str:
    return {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())


def _config_maps(settings: Settings) -> list[Object]:
    kserve = _data("kserve_config.json")
    kserve["ingress"] |= {"ingressDomain": settings.domain, "ingressClassName": settings.gateway,
                          "disableIstioVirtualHost": settings.gateway == "kourier"}
    maps = [("inferenceservice-config", "kserve", "", {key: json.dumps(value, indent=4)
                                                      for key, value in kserve.items()})]
    for name, component, data in (
        ("autoscaler", "autoscaler", {}), ("defaults", "controller", {}),
        ("deployment", "controller", {
            "queue-sidecar-image": f"gcr.io/knative-releases/knative.dev/serving/cmd/queue:v{KNATIVE_VERSION}",
            "registries-skipping-tag-resolving": "kind.local,ko.local,dev.local,index.docker.io,docker.io,gcr.io"}),
        ("domain", "controller", {settings.domain: ""}), ("features", "controller", {}), ("gc", "controller", {}),
        ("leader-election", "controller", {}), ("logging", "logging", {}),
        ("network", "networking", {"ingress-class": f"{settings.gateway}.ingress.networking.knative.dev"}),
        ("observability", "observability", {}), ("tracing", "tracing", {}),
    ):
        maps.append((f"config-{name}", "knative-serving", component, data))
    return [_config_map(*each) for each in maps]


def _config_map(name: str, namespace: str, component: str, data: dict[str, str]) -> Object:
    labels = _KNATIVE_LABELS | {"app.kubernetes.io/component": component} if component else None
    body: Object = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": _meta(name, namespace, labels)}
    return body | {"data": data} if data else body


def _runtimes() -> list[Object]:
    return [{"apiVersion": CLUSTER_SERVING_RUNTIME.api_version, "kind": "ClusterServingRuntime",
             "metadata": _meta(name) | {"annotations": runtime["annotations"]}, "spec": runtime["spec"]}
            for name, runtime in _data("runtimes.json").items()]


def _storage_container() -> Object:
    container = {"image": f"kserve/storage-initializer:{KSERVE_VERSION}", "imagePullPolicy": "IfNotPresent",
                 "name": "storage-initializer",
                 "resources": {"limits": {"cpu": "1", "memory": "1Gi"}, "requests": {"cpu": "100m", "memory": "100Mi"}}}
    return {"apiVersion": CLUSTER_STORAGE_CONTAINER.api_version, "kind": "ClusterStorageContainer",
            "metadata": _meta("default"),
            "spec": {"container": container, "supportedUriFormats": [copy.copy(f) for f in _STORAGE_FORMATS],
                     "supportsMultiModelDownload": True, "workloadType": "initContainer"}}


def _services(settings: Settings) -> list[Object]:
    kubernetes = _service("kubernetes", "default", {"component": "apiserver", "provider": "kubernetes"}, {
        "clusterIP": str(SERVICE_NETWORK[1]),
        "ports": [{"name": "https", "port": 443, "protocol": "TCP", "targetPort": 6443}]})
    if settings.gateway == "istio":
        labels = {"app": "istio-ingressgateway", "istio": "ingressgateway"}
        outside = _service("istio-ingressgateway", "istio-system", labels, _outside(settings, labels), settings)
        inside = _service("knative-local-gateway", "istio-system",
                          {"experimental.istio.io/disable-gateway-port": "yes"}, _inside(labels))
    else:
        labels = _KNATIVE_LABELS | {"networking.knative.dev/ingress-provider": "kourier"}
        selector = {"app": "3scale-kourier-gateway"}
        outside = _service("kourier", "kourier-system", labels, _outside(settings, selector), settings)
        inside = _service("kourier-internal", "kourier-system", labels, _inside(selector))
    return [kubernetes, outside, inside]


def _outside(settings: Settings, selector: dict[str, str]) -> Object:
    # Tutorials read the address of a LoadBalancer, a node port, or forward port 80: all three reach the same listener.
    ports = (("http2", settings.ingress_port), ("http", 80))
    return {"type": "LoadBalancer", "selector": dict(selector),
            "ports": [{"name": name, "nodePort": settings.ingress_port, "port": port, "protocol": "TCP",
                       "targetPort": GATEWAY_PORT} for name, port in ports]}


def _inside(selector: dict[str, str]) -> Object:
    return {"type": "ClusterIP", "selector": dict(selector),
            "ports": [{"name": "http2", "port": 80, "protocol": "TCP", "targetPort": 8081}]}


def _gateway(settings: Settings) -> Object:
    """The Deployment of the gateway, whose pod represents the cluster's Envoy for kubectl get and port-forward."""
    if settings.gateway == "istio":
        name, labels = "istio-ingressgateway", {"app": "istio-ingressgateway", "istio": "ingressgateway"}
        container: Object = {"name": "istio-proxy", "image": "docker.io/istio/proxyv2:1.27.1"}
    else:
        name, labels = "3scale-kourier-gateway", {"app": "3scale-kourier-gateway"}
        container = {"name": "kourier-gateway", "image": "docker.io/envoyproxy/envoy:v1.36-latest"}
    container |= {"ports": [{"containerPort": GATEWAY_PORT, "name": "http2-external"}],
                  "resources": {"requests": {"cpu": "100m", "memory": "128Mi"}}}
    return {"apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": _meta(name, f"{settings.gateway}-system", dict(labels)),
            "spec": {"selector": {"matchLabels": labels},
                     "template": {"metadata": {"labels": dict(labels)}, "spec": {"containers": [container]}}}}


def _service(name: str, namespace: str, labels: dict[str, str], spec: Object,
             outside: Settings | None = None) -> Object:
    balancer = {"ingress": [{"ip": outside.ingress_host, "ipMode": "VIP"}]} if outside else {}
    return {"apiVersion": "v1", "kind": "Service", "metadata": _meta(name, namespace, labels), "spec": spec,
            "status": {"loadBalancer": balancer}}


def _data(name: str) -> dict[str, Any]:
    data: dict[str, Any] = json.loads((files(__package__) / "data" / name).read_text())
    return data
