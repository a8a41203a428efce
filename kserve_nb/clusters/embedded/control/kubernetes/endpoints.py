"""Endpoints: the addresses of the pods that each Service selects.

Source: kubernetes pkg/controller/endpoint/endpoints_controller.go `syncService`.
"""

from __future__ import annotations

from collections.abc import Iterable

from kserve_nb.clusters.embedded.apimachinery.kinds import ENDPOINTS, POD, SERVICE
from kserve_nb.clusters.embedded.apimachinery.objects import Object, Objects, key_of
from kserve_nb.clusters.embedded.control.framework.child_names import child_name
from kserve_nb.clusters.embedded.control.framework.reconciler import Changes, Key, Moment, Reconciler
from kserve_nb.clusters.embedded.control.kubernetes.pod_state import is_ready
from kserve_nb.values.labels import REVISION_LABEL

MANAGED_BY = {"endpoints.kubernetes.io/managed-by": "endpoint-controller"}


def reconcile(service: Object, objects: Objects, _moment: Moment) -> Changes:
    """Write the Endpoints of a Service with a selector (`syncService`)."""
    changes = Changes()
    selector = service["spec"].get("selector")
    if not selector or service["spec"].get("type") == "ExternalName" or "deletionTimestamp" in service["metadata"]:
        return changes
    namespace, name = key_of(service)
    subsets = _subsets(service, objects.list(POD, namespace, selector))
    held = objects.find(ENDPOINTS, namespace, name)
    if held is None:
        body: Object = {"apiVersion": ENDPOINTS.api_version, "kind": ENDPOINTS.kind}
        labels = {**service["metadata"].get("labels", {}), **MANAGED_BY}
        body["metadata"] = {"labels": labels, "name": name, "namespace": namespace}
        changes.create(ENDPOINTS, body | ({"subsets": subsets} if subsets else {}))
    elif (held.get("subsets") or []) != subsets:
        changes.update(ENDPOINTS, {**held, "subsets": subsets})
    return changes


def reconcile_orphan(endpoints: Object, objects: Objects, _moment: Moment) -> Changes:
    """Delete the Endpoints of a deleted Service, because a Service does not own its Endpoints."""
    changes = Changes()
    ours = MANAGED_BY.items() <= (endpoints["metadata"].get("labels") or {}).items()
    if ours and objects.find(SERVICE, *key_of(endpoints)) is None:
        changes.delete(ENDPOINTS, endpoints)
    return changes


def _subsets(service: Object, pods: list[Object]) -> list[Object]:
    """The subsets: one for each combination of ports that the pods have."""
    by_ports: dict[tuple[tuple[str, int, str], ...], Object] = {}
    for pod in pods:
        address = _address(pod)
        if address is None:
            continue
        ports = tuple(sorted(_ports(service, pod)))
        subset = by_ports.setdefault(ports, {"addresses": [], "notReadyAddresses": []})
        subset["addresses" if is_ready(pod) else "notReadyAddresses"].append(address)
    return [
        {**{key: value for key, value in subset.items() if value},
         "ports": [{"name": n, "port": p, "protocol": t} if n else {"port": p, "protocol": t} for n, p, t in ports]}
        for ports, subset in by_ports.items()]


def _address(pod: Object) -> Object | None:
    """The address of a pod; None if it has none, has ended or is being deleted (`ShouldPodBeInEndpoints`)."""
    status, meta = pod.get("status") or {}, pod["metadata"]
    if not status.get("podIP") or status.get("phase") in ("Succeeded", "Failed") or "deletionTimestamp" in meta:
        return None
    target = {"kind": "Pod", "name": meta["name"], "namespace": meta["namespace"], "uid": meta["uid"]}
    return {"ip": status["podIP"], "nodeName": pod["spec"].get("nodeName"), "targetRef": target}


def _ports(service: Object, pod: Object) -> Iterable[tuple[str, int, str]]:
    for port in service["spec"].get("ports") or []:
        target = port.get("targetPort", port["port"])
        number = target if isinstance(target, int) else _named_port(pod, target)
        if number is not None:
            yield port.get("name", ""), number, port.get("protocol", "TCP")


def _named_port(pod: Object, name: str) -> int | None:
    ports = (port for container in pod["spec"]["containers"] for port in container.get("ports") or [])
    return next((int(port["containerPort"]) for port in ports if port.get("name") == name), None)


def _of_pod(pod: Object, objects: Objects) -> Iterable[Key]:
    """The Services that select a pod. For a pod of a revision this is only the private Service of the revision.

    Searching all Services for each change of such a pod is too slow if there are many revisions.
    """
    labels = (pod["metadata"].get("labels") or {}).items()
    revision = pod["metadata"].get("labels", {}).get(REVISION_LABEL)
    if revision:
        yield pod["metadata"]["namespace"], child_name(revision, "-private")
        return
    for service in objects.list(SERVICE, pod["metadata"]["namespace"]):
        selector = service["spec"].get("selector")
        if selector and selector.items() <= labels:
            yield key_of(service)


def _same_name(obj: Object, _objects: Objects) -> Iterable[Key]:
    yield key_of(obj)


RECONCILERS: tuple[Reconciler, ...] = (
    Reconciler("endpoints", SERVICE, reconcile, watches={POD: _of_pod, ENDPOINTS: _same_name}),
    Reconciler("endpoints without a service", ENDPOINTS, reconcile_orphan, watches={SERVICE: _same_name}),
)
