"""Defaults and validation of Kubernetes' kinds other than pods, Secrets and ConfigMaps.

Source: kubernetes 1.35 pkg/apis/{core,apps}/v1/defaults.go, pkg/registry/core/service (cluster IPs),
pkg/apis/{core,apps}/validation/validation.go.
"""

from __future__ import annotations

import ipaddress
import secrets

from kserve_nb.clusters.embedded.api.admission.kubernetes.workload_defaults import default_pod_spec
from kserve_nb.clusters.embedded.api.admission.review import Review
from kserve_nb.clusters.embedded.api.field_errors import Cause, invalid, invalid_value, required
from kserve_nb.clusters.embedded.apimachinery.kinds import SERVICE
from kserve_nb.clusters.embedded.apimachinery.objects import Object, Objects

SERVICE_NETWORK = ipaddress.ip_network("198.19.0.0/16")  # RFC 2544: never routed


def default_namespace(review: Review) -> None:
    """Set a namespace's phase, the label with its name, and its finalizer."""
    new = review.new
    new["metadata"].setdefault("labels", {})["kubernetes.io/metadata.name"] = new["metadata"]["name"]
    if review.old is None:
        new["spec"] = {"finalizers": ["kubernetes"]}
        new["status"] = {"phase": "Active"}


def default_deployment(review: Review) -> None:
    """Set a Deployment's replicas, strategy and deadline, and the defaults of its pod template."""
    spec = review.new.setdefault("spec", {})
    spec.setdefault("replicas", 1)
    spec.setdefault("revisionHistoryLimit", 10)
    spec.setdefault("progressDeadlineSeconds", 600)
    strategy = spec.setdefault("strategy", {})
    if strategy.setdefault("type", "RollingUpdate") == "RollingUpdate":
        rolling = strategy["rollingUpdate"] = strategy.get("rollingUpdate") or {}
        rolling.setdefault("maxSurge", "25%")
        rolling.setdefault("maxUnavailable", "25%")
    default_pod_spec(spec.setdefault("template", {}).setdefault("spec", {}))
    if review.old is None:
        review.new["status"] = {}


def default_replica_set(review: Review) -> None:
    """Set a ReplicaSet's replicas, and the defaults of its pod template."""
    spec = review.new.setdefault("spec", {})
    spec.setdefault("replicas", 1)
    default_pod_spec(spec.setdefault("template", {}).setdefault("spec", {}))
    if review.old is None:
        review.new["status"] = {"replicas": 0}


def default_service(review: Review) -> None:
    """Set a Service's type and ports and, except for an ExternalName, a cluster IP that no other Service has."""
    new, old = review.new, review.old or {}
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
        _default_addresses(spec, old.get("spec") or {}, review.objects)
    if spec["type"] in ("LoadBalancer", "NodePort"):
        _default_node_ports(spec, review.objects)
    if review.old is None:
        new["status"] = new.get("status") or {"loadBalancer": {}}


def default_claim(review: Review) -> None:
    """Set a PersistentVolumeClaim's volume mode and, when it is created, the phase Pending."""
    review.new.setdefault("spec", {}).setdefault("volumeMode", "Filesystem")
    if review.old is None:
        review.new["status"] = {"phase": "Pending"}


def validate_workload(review: Review) -> None:
    """Refuse a Deployment or ReplicaSet without a selector, or with one that has changed or selects other pods."""
    spec, old = review.new["spec"], review.old
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
        raise invalid(review.kind, review.name, causes)


def validate_service(review: Review) -> None:
    """Refuse a Service that lacks ports, has an invalid port, or changes its cluster IP."""
    spec, old = review.new["spec"], (review.old or {}).get("spec") or {}
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
    if "ExternalName" not in (spec["type"], old.get("type")):
        before, after = old.get("clusterIPs") or [], spec["clusterIPs"]
        causes += [invalid_value(f"spec.clusterIPs[{index}]", after, "may not change once set")
                   for index, address in enumerate(before) if after[index:index + 1] != [address]]
    if causes:
        raise invalid(SERVICE, review.name, causes)


def _default_addresses(spec: Object, old: Object, objects: Objects) -> None:
    if not spec.get("clusterIP"):
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


def _default_node_ports(spec: Object, objects: Objects) -> None:
    spec.setdefault("externalTrafficPolicy", "Cluster")
    if spec["type"] == "LoadBalancer" and not spec.setdefault("allocateLoadBalancerNodePorts", True):
        return
    taken = {port.get("nodePort") for service in objects.list(SERVICE) for port in service["spec"].get("ports") or []}
    for port in spec.get("ports") or []:
        if "nodePort" not in port:
            port["nodePort"] = next(number for number in range(30000, 32768) if number not in taken)
            taken.add(port["nodePort"])
