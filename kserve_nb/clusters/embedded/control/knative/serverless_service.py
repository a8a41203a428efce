"""ServerlessServices: a revision's public and private Service, and the endpoints of the public one.

Source: knative serving pkg/reconciler/serverlessservice (serverlessservice.go, resources/services.go).
"""

from __future__ import annotations

from collections.abc import Iterable

from kserve_nb.clusters.embedded.apimachinery.kinds import DEPLOYMENT, ENDPOINTS, SERVERLESS_SERVICE, SERVICE
from kserve_nb.clusters.embedded.apimachinery.objects import Kind, Object, Objects, owner_reference
from kserve_nb.clusters.embedded.control.framework.child_names import child_name
from kserve_nb.clusters.embedded.control.framework.reconciler import Changes, Key, Moment, Reconciler
from kserve_nb.clusters.embedded.control.knative import queue_proxy_container
from kserve_nb.clusters.embedded.control.knative.knative_reconciler import begin, finish
from kserve_nb.values.labels import REVISION_LABEL

_NAME_LABEL = "networking.internal.knative.dev/serverlessservice"
_TYPE_LABEL = "networking.internal.knative.dev/serviceType"


def reconcile(service: Object, objects: Objects, moment: Moment) -> Changes:
    """Write both Services and the public Endpoints: the pods', or the activator's in mode Proxy (`ReconcileKind`)."""
    changes = Changes()
    meta = service["metadata"]
    deployment = objects.find(DEPLOYMENT, meta["namespace"], service["spec"]["objectRef"]["name"])
    if "deletionTimestamp" in meta or deployment is None:
        return changes  # reconciled again when the Deployment is created
    status, conditions = begin(service, ("EndpointsPopulated",), moment.now)
    private, public = make_private_service(service, deployment), make_public_service(service)
    for wanted in (private, public):
        _write_child(SERVICE, wanted, objects, changes)
    endpoints = objects.find(ENDPOINTS, meta["namespace"], private["metadata"]["name"]) or {}
    populated = any(subset.get("addresses") for subset in endpoints.get("subsets") or [])
    serves = populated and service["spec"]["mode"] == "Serve"
    source = endpoints if serves else _activator(service, moment)
    _write_child(ENDPOINTS, _make_public_endpoints(service, source), objects, changes)
    status |= {"serviceName": public["metadata"]["name"], "privateServiceName": private["metadata"]["name"]}
    if populated:
        conditions.mark_true("EndpointsPopulated")
    else:
        conditions.mark_unknown("EndpointsPopulated", "NoHealthyBackends", "K8s Service is not ready")
    # Reason and message are the same for True and False: serverlessservice_lifecycle.go.
    conditions.set("ActivatorEndpointsPopulated", "False" if serves else "True", "ActivatorEndpointsPopulated",
                   "Revision is backed by Activator")
    finish(SERVERLESS_SERVICE, service, status, changes)
    return changes


def make_public_service(service: Object) -> Object:
    """The Service `<revision>`, without a selector: this controller writes its Endpoints (`MakePublicService`)."""
    return _child(SERVICE, service, service["metadata"]["name"], "Public") | {
        "spec": {"ports": _serving_ports(service), "sessionAffinity": "None", "type": "ClusterIP"}}


def make_private_service(service: Object, deployment: Object) -> Object:
    """The Service `<revision>-private`, which selects the revision's pods (`MakePrivateService`)."""
    target = _target_port(service)
    ports = [
        *_serving_ports(service),
        _port("http-autometric", 9090, "http-autometric"),
        _port("http-usermetric", 9091, "http-usermetric"),
        _port(f"{_serving_ports(service)[0]['name']}-istio", target, target)]
    return _child(SERVICE, service, child_name(service["metadata"]["name"], "-private"), "Private") | {
        "spec": {"ports": ports, "selector": deployment["spec"]["selector"]["matchLabels"],
                 "sessionAffinity": "None", "type": "ClusterIP"}}


def _make_public_endpoints(service: Object, source: Object) -> Object:
    """Endpoints with the source's addresses and serving ports (`MakePublicEndpoints`, `FilterSubsetPorts`)."""
    serving = {_target_port(service), queue_proxy_container.HTTPS_PORT}
    subsets = []
    for subset in source.get("subsets") or []:
        ports = [port for port in subset.get("ports") or [] if port["port"] in serving]
        if ports:
            subsets.append({**subset, "ports": ports})
    body = _child(ENDPOINTS, service, service["metadata"]["name"], "Public")
    return body | ({"subsets": subsets} if subsets else {})


def _activator(service: Object, moment: Moment) -> Object:
    """The activator's endpoints: the gateway's address, because the gateway contains the activator."""
    ports = [{"name": port["name"], "port": port["targetPort"], "protocol": "TCP"} for port in _serving_ports(service)]
    address = {"ip": moment.settings.ingress_host, "nodeName": moment.settings.node}
    return {"subsets": [{"addresses": [address], "ports": ports}]}


def _child(kind: Kind, service: Object, name: str, type_: str) -> Object:
    meta = service["metadata"]
    labels = {**meta.get("labels", {}), _NAME_LABEL: meta["name"], _TYPE_LABEL: type_}
    return {
        "apiVersion": kind.api_version, "kind": kind.kind,
        "metadata": {"annotations": dict(meta.get("annotations", {})), "labels": labels, "name": name,
                     "namespace": meta["namespace"], "ownerReferences": [owner_reference(service)]}}


def _write_child(kind: Kind, wanted: Object, objects: Objects, changes: Changes) -> None:
    """Create a child, or restore the fields of it that this controller sets."""
    meta = wanted["metadata"]
    held = objects.find(kind, meta["namespace"], meta["name"])
    if held is None:
        changes.create(kind, wanted)
    elif kind == ENDPOINTS:
        if held.get("subsets") != wanted.get("subsets"):
            changes.update(kind, {**held, "subsets": wanted.get("subsets") or []})
    else:
        ours = {field: wanted["spec"].get(field) for field in ("ports", "selector")}
        if any(held["spec"].get(field) != value for field, value in ours.items()):
            spec = {**held["spec"], **ours}
            changes.update(kind, {**held, "spec": {k: v for k, v in spec.items() if v is not None}})


def _serving_ports(service: Object) -> list[Object]:
    target = _target_port(service)
    if target == queue_proxy_container.HTTP2_PORT:
        first = {**_port("http2", 80, target), "appProtocol": "kubernetes.io/h2c"}
    else:
        first = _port("http", 80, target)
    return [first, _port("https", 443, queue_proxy_container.HTTPS_PORT)]


def _target_port(service: Object) -> int:
    http2 = service["spec"].get("protocolType") == "h2c"
    return queue_proxy_container.HTTP2_PORT if http2 else queue_proxy_container.HTTP_PORT


def _port(name: str, port: int, target: int | str) -> Object:
    return {"name": name, "port": port, "protocol": "TCP", "targetPort": target}


def _of_endpoints(endpoints: Object, _objects: Objects) -> Iterable[Key]:
    """The ServerlessService of a private Service's Endpoints. Public Endpoints have it as their owner."""
    name = endpoints["metadata"].get("labels", {}).get(_NAME_LABEL)
    if name:
        yield endpoints["metadata"]["namespace"], name


def _of_deployment(deployment: Object, _objects: Objects) -> Iterable[Key]:
    name = deployment["metadata"].get("labels", {}).get(REVISION_LABEL)
    if name:
        yield deployment["metadata"]["namespace"], name


RECONCILERS: tuple[Reconciler, ...] = (
    Reconciler("serverless service", SERVERLESS_SERVICE, reconcile, owns=(SERVICE, ENDPOINTS),
               watches={ENDPOINTS: _of_endpoints, DEPLOYMENT: _of_deployment}),
)
