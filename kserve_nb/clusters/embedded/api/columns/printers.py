"""The cells of the built-in kinds in `kubectl get` (kubernetes pkg/printers/internalversion/printers.go)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from kserve_nb.clusters.embedded.api.columns.human_duration import since
from kserve_nb.clusters.embedded.api.columns.pod_printer import pod_cells
from kserve_nb.clusters.embedded.apimachinery.kinds import (
    CONFIG_MAP,
    CUSTOM_RESOURCE_DEFINITION,
    DEPLOYMENT,
    ENDPOINT_SLICE,
    ENDPOINTS,
    EVENT,
    LEASE,
    NAMESPACE,
    NODE,
    PERSISTENT_VOLUME_CLAIM,
    POD,
    REPLICA_SET,
    SECRET,
    SERVICE,
    SERVICE_ACCOUNT,
)
from kserve_nb.clusters.embedded.apimachinery.objects import Kind, Object

_ACCESS_MODES = {"ReadWriteOnce": "RWO", "ReadOnlyMany": "ROX", "ReadWriteMany": "RWX", "ReadWriteOncePod": "RWOP"}
_ROLE = "node-role.kubernetes.io/"


def _part(obj: Object, name: str) -> Object:
    part: Object = obj.get(name) or {}
    return part


def age(obj: Object, now: float) -> list[Any]:
    """The cells of a kind whose only column is its age."""
    return [_age(obj, now)]


def _age(obj: Object, now: float) -> str:
    return since(obj["metadata"].get("creationTimestamp"), now)


def _or_none(text: str | None) -> str:
    return text or "<none>"


def _labels(labels: Mapping[str, str] | None) -> str:
    return _or_none(",".join(f"{key}={value}" for key, value in sorted((labels or {}).items())))


def _label_selector(selector: Object | None) -> str:
    terms = [f"{key}={value}" for key, value in sorted(((selector or {}).get("matchLabels") or {}).items())]
    for expression in (selector or {}).get("matchExpressions") or ():
        key, operator, values = expression["key"], expression["operator"], ",".join(expression.get("values") or ())
        terms.append({"Exists": key, "DoesNotExist": f"!{key}"}.get(operator, f"{key} {operator.lower()} ({values})"))
    return _or_none(",".join(terms))


def _containers(template: Object) -> tuple[str, str]:
    containers = _part(template, "spec").get("containers") or []
    return ",".join(c.get("name", "") for c in containers), ",".join(c.get("image", "") for c in containers)


def _namespace(obj: Object, now: float) -> list[Any]:
    return [_part(obj, "status").get("phase", ""), _age(obj, now)]


def _service_ports(ports: Iterable[Object]) -> str:
    return _or_none(",".join(
        f"{port.get('port')}{':' + str(port['nodePort']) if port.get('nodePort') else ''}/{port.get('protocol', 'TCP')}"
        for port in ports))


def _external_ip(obj: Object) -> str:
    spec = _part(obj, "spec")
    own = list(spec.get("externalIPs") or ())
    if spec.get("type") == "ExternalName":
        return spec.get("externalName") or "<none>"
    if spec.get("type") == "LoadBalancer":
        ingress = _part(_part(obj, "status"), "loadBalancer").get("ingress") or ()
        own = [i.get("ip") or i.get("hostname") or "" for i in ingress] + own
        return ",".join(own) or "<pending>"
    return _or_none(",".join(own))


def _service(obj: Object, now: float) -> list[Any]:
    spec = _part(obj, "spec")
    address = None if spec.get("type") == "ExternalName" else spec.get("clusterIP")
    return [spec.get("type", "ClusterIP"), _or_none(address), _external_ip(obj),
            _service_ports(spec.get("ports") or ()), _age(obj, now), _labels(spec.get("selector"))]


def _endpoints(obj: Object, now: float) -> list[Any]:
    found = [f"{address['ip']}:{port['port']}" for subset in obj.get("subsets") or ()
             for port in subset.get("ports") or () for address in subset.get("addresses") or ()]
    more = f" + {len(found) - 3} more..." if len(found) > 3 else ""
    return [_or_none(",".join(found[:3]) + more), _age(obj, now)]


def _endpoint_slice(obj: Object, now: float) -> list[Any]:
    ports = [str(port.get("port", "*")) for port in obj.get("ports") or ()]
    found = [address for endpoint in obj.get("endpoints") or () for address in endpoint.get("addresses") or ()]
    return [obj.get("addressType", ""), _first(ports, "<unset>"), _first(found, "<unset>"), _age(obj, now)]


def _first(words: list[str], none: str) -> str:
    """The first three words and the number of the others (`formatDiscoveryPorts`, `formatDiscoveryEndpoints`)."""
    more = f" + {len(words) - 3} more..." if len(words) > 3 else ""
    return ",".join(words[:3]) + more if words else none


def _lease(obj: Object, now: float) -> list[Any]:
    return [_part(obj, "spec").get("holderIdentity", ""), _age(obj, now)]


def _event_source(obj: Object) -> str:
    source = _part(obj, "source")
    parts = (source.get("component") or obj.get("reportingComponent"),
             source.get("host") or obj.get("reportingInstance"))
    return ", ".join(part for part in parts if part)


def _event(obj: Object, now: float) -> list[Any]:
    about, series = _part(obj, "involvedObject"), _part(obj, "series")
    first = obj.get("firstTimestamp") or obj.get("eventTime")
    last = obj.get("lastTimestamp") or series.get("lastObservedTime") or obj.get("eventTime")
    kind, name = str(about.get("kind", "")).lower(), about.get("name")
    return [since(last, now), obj.get("type", ""), obj.get("reason", ""), f"{kind}/{name}" if name else kind,
            about.get("fieldPath", ""), _event_source(obj), str(obj.get("message", "")).strip(), since(first, now),
            series.get("count") or obj.get("count") or 1, obj["metadata"]["name"]]


def _config_map(obj: Object, now: float) -> list[Any]:
    return [len(_part(obj, "data")) + len(_part(obj, "binaryData")), _age(obj, now)]


def _secret(obj: Object, now: float) -> list[Any]:
    return [obj.get("type", "Opaque"), len(_part(obj, "data")), _age(obj, now)]


def _service_account(obj: Object, now: float) -> list[Any]:
    return [len(obj.get("secrets") or ()), _age(obj, now)]


def _claim(obj: Object, now: float) -> list[Any]:
    spec, status = _part(obj, "spec"), _part(obj, "status")
    phase = "Terminating" if "deletionTimestamp" in obj["metadata"] else status.get("phase", "")
    bound = spec.get("volumeName", "")
    capacity = _part(status, "capacity").get("storage", "") if bound else ""
    modes = ",".join(_ACCESS_MODES.get(mode, mode) for mode in status.get("accessModes") or ()) if bound else ""
    return [phase, bound, capacity, modes, spec.get("storageClassName", ""),
            spec.get("volumeAttributesClassName") or "<unset>", _age(obj, now), spec.get("volumeMode") or "<unset>"]


def _deployment(obj: Object, now: float) -> list[Any]:
    spec, status = _part(obj, "spec"), _part(obj, "status")
    return [f"{status.get('readyReplicas', 0)}/{spec.get('replicas', 1)}", status.get("updatedReplicas", 0),
            status.get("availableReplicas", 0), _age(obj, now), *_containers(_part(spec, "template")),
            _label_selector(spec.get("selector"))]


def _replica_set(obj: Object, now: float) -> list[Any]:
    spec, status = _part(obj, "spec"), _part(obj, "status")
    return [spec.get("replicas", 1), status.get("replicas", 0), status.get("readyReplicas", 0), _age(obj, now),
            *_containers(_part(spec, "template")), _label_selector(spec.get("selector"))]


def _node_status(obj: Object) -> str:
    ready: Object = next((c for c in _part(obj, "status").get("conditions") or () if c.get("type") == "Ready"), {})
    words = [{"True": "Ready", None: "Unknown"}.get(ready.get("status"), "NotReady")]
    return ",".join([*words, "SchedulingDisabled"] if _part(obj, "spec").get("unschedulable") else words)


def _node(obj: Object, now: float) -> list[Any]:
    info = _part(_part(obj, "status"), "nodeInfo")
    addresses = {a.get("type"): a.get("address") for a in _part(obj, "status").get("addresses") or ()}
    labels = obj["metadata"].get("labels") or {}
    roles = ",".join(sorted(label.removeprefix(_ROLE) for label in labels if label.startswith(_ROLE)))
    return [_node_status(obj), _or_none(roles), _age(obj, now), info.get("kubeletVersion", ""),
            _or_none(addresses.get("InternalIP")), _or_none(addresses.get("ExternalIP")),
            info.get("osImage") or "<unknown>", info.get("kernelVersion") or "<unknown>",
            info.get("containerRuntimeVersion") or "<unknown>"]


def _definition(obj: Object, now: float) -> list[Any]:
    return [obj["metadata"].get("creationTimestamp")]


PRINTERS: dict[Kind, Callable[[Object, float], list[Any]]] = {
    NAMESPACE: _namespace, NODE: _node, POD: pod_cells, SERVICE: _service, ENDPOINTS: _endpoints, EVENT: _event,
    ENDPOINT_SLICE: _endpoint_slice, LEASE: _lease,
    CONFIG_MAP: _config_map, SECRET: _secret, SERVICE_ACCOUNT: _service_account, PERSISTENT_VOLUME_CLAIM: _claim,
    DEPLOYMENT: _deployment, REPLICA_SET: _replica_set, CUSTOM_RESOURCE_DEFINITION: _definition,
}
"""By kind: computes the cells after the name (of an Event: all cells) of an object at a time in POSIX seconds."""
