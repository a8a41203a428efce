"""What the API server fills in for, and refuses of, its own kinds other than pods.

Source: kubernetes 1.35 pkg/apis/{core,apps}/v1/defaults.go, pkg/registry/core/service (cluster IPs),
pkg/apis/{core,apps}/validation/validation.go.
"""

from __future__ import annotations

import ipaddress
import secrets

from kserve_nb.clusters.embedded.api.admission.workload_defaults import default_pod_spec
from kserve_nb.clusters.embedded.api.field_errors import Cause, invalid, invalid_value, required
from kserve_nb.clusters.embedded.kinds import DEPLOYMENT, REPLICA_SET, SERVICE
from kserve_nb.clusters.embedded.objects import Kind, Object, Objects

SERVICE_NETWORK = ipaddress.ip_network("198.19.0.0/16")  # of the kind that is never routed: RFC 2544


def default_namespace(new: Object, old: Object | None, objects: Objects) -> Object:
    """A namespace is Active, labelled with its name, and held by a finalizer."""
    new["metadata"].setdefault("labels", {})["kubernetes.io/metadata.name"] = new["metadata"]["name"]
    if old is None:
        new["spec"] = {"finalizers": ["kubernetes"]}
        new["status"] = {"phase": "Active"}
    return new


def default_deployment(new: Object, old: Object | None, objects: Objects) -> Object:
    """Replicas, strategy, deadline, and the pod template's own defaults."""
    spec = new.setdefault("spec", {})
    spec.setdefault("replicas", 1)
    spec.setdefault("revisionHistoryLimit", 10)
    spec.setdefault("progressDeadlineSeconds", 600)
    strategy = spec.setdefault("strategy", {})
    if strategy.setdefault("type", "RollingUpdate") == "RollingUpdate":
        rolling = strategy["rollingUpdate"] = strategy.get("rollingUpdate") or {}
        rolling.setdefault("maxSurge", "25%")
        rolling.setdefault("maxUnavailable", "25%")
    default_pod_spec(spec.setdefault("template", {}).setdefault("spec", {}))
    if old is None:
        new["status"] = {}
    return new


def default_replica_set(new: Object, old: Object | None, objects: Objects) -> Object:
    """Replicas, and the pod template's own defaults."""
    spec = new.setdefault("spec", {})
    spec.setdefault("replicas", 1)
    default_pod_spec(spec.setdefault("template", {}).setdefault("spec", {}))
    if old is None:
        new["status"] = {"replicas": 0}
    return new


def default_service(new: Object, old: Object | None, objects: Objects) -> Object:
    """Type, ports and, but for an ExternalName, a cluster IP that no other Service has."""
    spec = new.setdefault("spec", {})
    spec.setdefault("sessionAffinity", "None")
    spec.setdefault("type", "ClusterIP")
    for port in spec.get("ports") or []:
        port.setdefault("protocol", "TCP")
        port.setdefault("targetPort", port.get("port"))
    if spec["type"] == "ExternalName":
        for field in ("clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy", "internalTrafficPolicy"):
            spec.pop(field, None)
    else:
        _default_addresses(spec, (old or {}).get("spec") or {}, objects)
    if spec["type"] in ("LoadBalancer", "NodePort"):
        _default_outside(spec, objects)
    if old is None:
        new["status"] = new.get("status") or {"loadBalancer": {}}
    return new


def default_claim(new: Object, old: Object | None, objects: Objects) -> Object:
    """A new PersistentVolumeClaim is Pending."""
    new.setdefault("spec", {}).setdefault("volumeMode", "Filesystem")
    if old is None:
        new["status"] = {"phase": "Pending"}
    return new


def validate_workload(kind: Kind, new: Object, old: Object | None) -> None:
    """Refuse a Deployment or ReplicaSet whose selector is missing, changed, or not that of its pods."""
    spec = new["spec"]
    selector, labels = spec.get("selector"), (spec["template"].get("metadata") or {}).get("labels") or {}
    wanted = (selector or {}).get("matchLabels") or {}
    causes: list[Cause] = []
    if old is not None and old["spec"].get("selector") != selector:
        causes.append(invalid_value("spec.selector", selector, "field is immutable"))
    if not selector:
        causes.append(required("spec.selector"))
    if any(labels.get(key) != value for key, value in wanted.items()):
        causes.append(invalid_value("spec.template.metadata.labels", labels,
                                    "`selector` does not match template `labels`"))
    if not spec["template"]["spec"].get("containers"):
        causes.append(required("spec.template.spec.containers"))
    if spec["replicas"] < 0:
        causes.append(invalid_value("spec.replicas", spec["replicas"], "must be greater than or equal to 0"))
    if causes:
        raise invalid(kind, new["metadata"]["name"], causes)


def validate_deployment(new: Object, old: Object | None) -> None:
    """See `validate_workload`."""
    validate_workload(DEPLOYMENT, new, old)


def validate_replica_set(new: Object, old: Object | None) -> None:
    """See `validate_workload`."""
    validate_workload(REPLICA_SET, new, old)


def validate_service(new: Object, old: Object | None) -> None:
    """Refuse a Service without ports that needs some, and ports that cannot be."""
    spec = new["spec"]
    causes: list[Cause] = []
    if spec["type"] == "ExternalName":
        if not spec.get("externalName"):
            causes.append(required("spec.externalName"))
    elif not spec.get("ports") and spec.get("clusterIP") != "None":
        causes.append(required("spec.ports"))
    for index, port in enumerate(spec.get("ports") or []):
        number = port.get("port", 0)
        if not 1 <= number <= 65535:
            causes.append(invalid_value(f"spec.ports[{index}].port", number, "must be between 1 and 65535, inclusive"))
        if not port.get("name") and len(spec["ports"]) > 1:
            causes.append(required(f"spec.ports[{index}].name"))
    if causes:
        raise invalid(SERVICE, new["metadata"]["name"], causes)


def _default_addresses(spec: Object, old: Object, objects: Objects) -> None:
    if "clusterIP" not in spec:
        spec["clusterIP"] = old.get("clusterIP") or _free_address(objects)
    spec["clusterIPs"] = [spec["clusterIP"]]
    spec.setdefault("internalTrafficPolicy", "Cluster")
    spec.setdefault("ipFamilies", ["IPv4"])
    spec.setdefault("ipFamilyPolicy", "SingleStack")


def _free_address(objects: Objects) -> str:
    taken = {service["spec"].get("clusterIP") for service in objects.list(SERVICE)}
    while True:
        address = str(SERVICE_NETWORK[256 + secrets.randbelow(SERVICE_NETWORK.num_addresses - 512)])
        if address not in taken:
            return address


def _default_outside(spec: Object, objects: Objects) -> None:
    spec.setdefault("externalTrafficPolicy", "Cluster")
    if spec["type"] == "LoadBalancer" and not spec.setdefault("allocateLoadBalancerNodePorts", True):
        return
    taken = {port.get("nodePort") for service in objects.list(SERVICE) for port in service["spec"].get("ports") or []}
    for port in spec.get("ports") or []:
        if "nodePort" not in port:
            port["nodePort"] = next(number for number in range(30000, 32768) if number not in taken)
            taken.add(port["nodePort"])
