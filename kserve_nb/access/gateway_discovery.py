"""Find the ingress gateway as the tutorial does: given address, environment, LoadBalancer, NodePort, port-forward."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from kserve_nb.access.api_client import POD, SERVICE, UNREACHABLE, Client, Object, RefusedError, Resource
from kserve_nb.access.ingress import Ingress, NoGatewayError, PredictError, address_from
from kserve_nb.access.port_forward import ForwardError, PortForward
from kserve_nb.values.cluster import UNKNOWN_HOST, Cluster

# Namespace and name of the gateway's Service: Istio as KServe's installer creates it, then Kourier.
GATEWAYS = (("istio-system", "istio-ingressgateway"), ("kourier-system", "kourier"))
_NODE = Resource("", "v1", "nodes", namespaced=False)
_HTTP_PORTS = ("http2", "http", "http80")
_REACHABLE = ("ExternalIP", "InternalIP")  # the types of a node's addresses to try
_PROBE_S = 3.0  # for an address at which possibly nothing listens
_NODES = 3  # addresses to try: a NodePort is open on all nodes or on none


@dataclass
class Search:
    """The steps of one search, for the learner to read."""

    steps: list[str] = field(default_factory=list)

    def note(self, line: str) -> None:
        """Add one step of the search."""
        self.steps.append(line)

    def found(self, address: str, how: str, forward: PortForward | None = None) -> Ingress:
        """The gateway at an address, with the steps that led to it."""
        return Ingress(address, how=how, story=tuple(self.steps), forward=forward)


def find(cluster: Cluster, client: Client, environ: Mapping[str, str]) -> Ingress:
    """The gateway of a cluster, with the steps that led to its address.

    A given address comes first, then KSERVE_INGRESS_HOST_PORT or INGRESS_HOST and INGRESS_PORT, then the addresses in
    the cluster: the load balancer's, then a node's with the NodePort. If none of them responds, a port-forward.

    Raises:
        NoGatewayError: none of these works; the message tells what was tried and what to do.
        RefusedError: the cluster does not respond.
    """
    search = Search()
    if cluster.ingress:
        search.note(f"the cluster {cluster.name!r} was started or attached with this address")
        return search.found(cluster.ingress, "given")
    known = address_from(environ)
    if known:
        search.note("KSERVE_INGRESS_HOST_PORT, or INGRESS_HOST and INGRESS_PORT, name it")
        return search.found(known, "environment")
    search.note("KSERVE_INGRESS_HOST_PORT, INGRESS_HOST and INGRESS_PORT: not set")
    return _in_cluster(cluster, client, search)


def _in_cluster(cluster: Cluster, client: Client, search: Search) -> Ingress:
    for namespace, name in GATEWAYS:
        service = _service(client, namespace, name, search)
        if service is None:
            continue
        for how, address in _candidates(client, service, search):
            if responds(address):
                search.note(f"{how}: {address} responds")
                return search.found(address, how)
            search.note(f"{how}: {address} does not respond from here")
        found = _forwarded(cluster, namespace, service, search)
        if found is not None:
            return found
    tried = "; ".join(search.steps)
    raise NoGatewayError(
        f"Cannot find the ingress gateway ({tried}). Forward a port to it, for example with kubectl port-forward "
        '-n istio-system service/istio-ingressgateway 8080:80, then connect(ingress="127.0.0.1:8080").')


def _service(client: Client, namespace: str, name: str, search: Search) -> Object | None:
    shown = f"kubectl -n {namespace} get service {name}"
    try:
        service = client.find(SERVICE, name, namespace)
    except RefusedError as refused:
        if refused.reason == UNREACHABLE:
            raise
        search.note(f"{shown}: {refused}")
        return None
    if service is None:
        search.note(f"{shown}: not found")
    return service


def _candidates(client: Client, service: Object, search: Search) -> Iterator[tuple[str, str]]:
    """The addresses that work without a port-forward: how each is reached, and HOST:PORT."""
    port = http_port(service)
    balancers = balancer_hosts(service)
    if not balancers:
        search.note(f"LoadBalancer: the EXTERNAL-IP of {service['metadata']['name']} is pending or absent")
    for host in balancers:
        yield "LoadBalancer", f"{host}:{port['port']}"
    if not port.get("nodePort"):
        search.note("NodePort: the Service has no node port")
        return
    for host in _node_hosts(client, service, search):
        yield "NodePort", f"{host}:{port['nodePort']}"


def balancer_hosts(service: Mapping[str, Any]) -> list[str]:
    """The addresses of a Service's load balancer; empty while it is pending."""
    rows = ((service.get("status") or {}).get("loadBalancer") or {}).get("ingress") or []
    return [str(row.get("ip") or row.get("hostname")) for row in rows]


def http_port(service: Mapping[str, Any]) -> Mapping[str, Any]:
    """The port of a gateway's Service that accepts plain HTTP."""
    ports: list[Mapping[str, Any]] = service["spec"]["ports"]
    return next((port for name in _HTTP_PORTS for port in ports if port.get("name") == name), ports[0])


def _node_hosts(client: Client, service: Object, search: Search) -> list[str]:
    """Addresses of nodes: those of the gateway's pods, as in the tutorial, or else of any node."""
    selector = ",".join(f"{key}={value}" for key, value in (service["spec"].get("selector") or {}).items())
    try:
        pods = client.find_all(POD, selector, service["metadata"]["namespace"])
        hosts = [pod["status"]["hostIP"] for pod in pods if (pod.get("status") or {}).get("hostIP")]
        nodes = [] if hosts else client.find_all(_NODE)
    except RefusedError as refused:
        search.note(f"NodePort: {refused}")
        return []
    return list(dict.fromkeys([*hosts, *_addresses(nodes)]))[:_NODES]


def _addresses(nodes: Iterable[Mapping[str, Any]]) -> list[str]:
    return [row["address"] for node in nodes for row in (node.get("status") or {}).get("addresses") or []
            if row.get("type") in _REACHABLE]


def _forwarded(cluster: Cluster, namespace: str, service: Object, search: Search) -> Ingress | None:
    target, port = f"service/{service['metadata']['name']}", http_port(service)["port"]
    forward = PortForward(cluster.kubeconfig, namespace, target, port)
    try:
        forward.start()
    except ForwardError as error:
        search.note(str(error))
        return None
    search.note(f"kubectl port-forward -n {namespace} {target} {forward.address.rpartition(':')[2]}:{port} "
                "runs as long as this session, and is restarted when it drops")
    return search.found(forward.address, "port-forward", forward)


def responds(address: str) -> bool:
    """Whether a server that speaks HTTP listens at HOST:PORT."""
    try:
        Ingress(address).send("GET", UNKNOWN_HOST, "/", timeout_s=_PROBE_S)
    except PredictError:
        return False
    return True
