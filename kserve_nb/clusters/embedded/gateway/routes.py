"""From ingress objects to what Envoy is told: a cluster for each revision, a virtual host for each rule.

Pure functions. The shape of the ingress objects is Knative's, their meaning what net-kourier and net-istio make of it.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from kserve_nb.clusters.embedded.objects import Object
from kserve_nb.values.labels import INFERENCE_SERVICE_LABEL

Key = tuple[str, str]  # namespace and name of a revision
CLUSTERS_FILE, ROUTES_FILE, ROUTES = "clusters.json", "routes.json", "routes"
PLENTY = 100_000  # Envoy's own limits are 1024 requests and 3 retries a cluster; here a revision's own limits count
# The model server closes a connection that was idle for 5 s; whoever closes first never meets a closed one.
IDLE_TIMEOUT_S = 3
_V3 = "type.googleapis.com/envoy"


@dataclass(frozen=True)
class Backend:
    """What serves one revision: the addresses of its ready pods, and the limits of its spec."""

    addresses: tuple[str, ...] = ()
    concurrency: int = 0  # requests a pod takes at a time, 0 for any number
    timeout_s: float = 300


@dataclass(frozen=True)
class Routing:
    """All that Envoy is to know, by cluster name and in the order of the objects."""

    clusters: dict[str, Object]
    virtual_hosts: list[Object]


def cluster_name(key: Key) -> str:
    """`kserve-test/sklearn-iris-predictor-00001`: how a revision's cluster is called, in statistics too."""
    return "/".join(key)


def address(host_port: str) -> Object:
    """A socket address as Envoy spells it."""
    host, _, port = host_port.rpartition(":")
    return {"socket_address": {"address": host, "port_value": int(port)}}


def routing(ingresses: Iterable[Object], virtual_services: Iterable[Object], backends: Mapping[Key, Backend],
            activator: str) -> Routing:
    """What Envoy must know to serve the ingresses, and the hosts that stand for an InferenceService itself.

    Revisions with ready pods keep their cluster after the last ingress has left them, for the requests under way.
    """
    ingresses = sorted(ingresses, key=lambda o: (o["metadata"].get("creationTimestamp", ""), o["metadata"]["name"]))
    named = {_split_key(split) for ingress in ingresses for path in _paths(ingress) for split in path["splits"]}
    named |= {key for key, backend in backends.items() if backend.addresses}
    clusters = {cluster_name(key): _cluster(key, backends.get(key, Backend()), activator) for key in sorted(named)}
    hosts = [host for ingress in ingresses for host in _virtual_hosts(ingress, backends)]
    return Routing(clusters, _unique(_aliases(virtual_services, hosts) + hosts))


def clusters_document(clusters: Mapping[str, Object]) -> Object:
    """The discovery response for clusters."""
    return _document([{"@type": f"{_V3}.config.cluster.v3.Cluster", **c} for c in clusters.values()])


def routes_document(virtual_hosts: list[Object]) -> Object:
    """The discovery response for routes. A host matches with and without a port."""
    return _document([{"@type": f"{_V3}.config.route.v3.RouteConfiguration", "name": ROUTES,
                       "ignore_port_in_host_matching": True, "virtual_hosts": virtual_hosts}])


def clusters_of(routes: Mapping[str, Any]) -> set[str]:
    """The clusters that a routes document names."""
    return {weighted["name"] for resource in routes["resources"] for host in resource.get("virtual_hosts", [])
            for route in host["routes"] for weighted in route["route"]["weighted_clusters"]["clusters"]}


def _document(resources: list[Object]) -> Object:
    return {"version_info": hashlib.sha256(orjson.dumps(resources)).hexdigest()[:16], "resources": resources}


def _paths(ingress: Object) -> list[Object]:
    return [path for rule in ingress["spec"].get("rules", []) for path in rule["http"]["paths"]]


def _split_key(split: Object) -> Key:
    return split["serviceNamespace"], split["serviceName"]


@functools.lru_cache(maxsize=4096)
def _cluster(key: Key, backend: Backend, activator: str) -> Object:
    """Ready pods first; behind them the activator, which takes what they do not: none is ready, or one just died."""
    tiers = [list(backend.addresses), [activator]] if backend.addresses else [[activator]]
    breakers: Object = {"thresholds": [{"max_connections": PLENTY, "max_pending_requests": PLENTY,
                                        "max_requests": PLENTY, "max_retries": PLENTY}]}
    if backend.concurrency:  # HTTP/1: a connection is a request
        breakers["per_host_thresholds"] = [{"max_connections": backend.concurrency}]
        if backend.addresses:
            breakers["thresholds"][0]["max_pending_requests"] = 10 * backend.concurrency * len(backend.addresses)
    return {
        "name": cluster_name(key), "type": "STATIC", "connect_timeout": "1s", "lb_policy": "LEAST_REQUEST",
        "circuit_breakers": breakers,
        "load_assignment": {"cluster_name": cluster_name(key), "endpoints": [
            {"priority": priority, "lb_endpoints": [{"endpoint": {"address": address(a)}} for a in tier]}
            for priority, tier in enumerate(tiers)]},
        "typed_extension_protocol_options": {"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
            "@type": f"{_V3}.extensions.upstreams.http.v3.HttpProtocolOptions",
            "explicit_http_config": {"http_protocol_options": {}},
            "common_http_protocol_options": {"idle_timeout": f"{IDLE_TIMEOUT_S}s"}}},
    }


def _virtual_hosts(ingress: Object, backends: Mapping[Key, Backend]) -> list[Object]:
    """One for all rules of an ingress that lead to the same place: an own name in the cluster and the one outside."""
    name = f"{ingress['metadata']['namespace']}/{ingress['metadata']['name']}"
    hosts: list[Object] = []
    before: list[Object] = []
    for rule in ingress["spec"].get("rules", []):
        domains = [*rule["hosts"], *_short(ingress, rule["hosts"])]
        if rule["http"]["paths"] == before:
            hosts[-1]["domains"] += domains
        else:
            before = rule["http"]["paths"]
            hosts.append({"name": f"{name}/{len(hosts)}", "domains": domains, "retry_policy": _RETRY,
                          "routes": [_route(path, backends) for path in before]})
    return hosts


def _short(ingress: Object, hosts: list[str]) -> list[str]:
    """`<isvc>.<ns>…` beside `<isvc>-predictor.<ns>…`, but not beside the hosts of tags."""
    isvc = (ingress["metadata"].get("labels") or {}).get(INFERENCE_SERVICE_LABEL)
    own = ingress["metadata"]["name"] + "."
    return [f"{isvc}.{host.removeprefix(own)}" for host in hosts if isvc and host.startswith(own)]


def _route(path: Object, backends: Mapping[Key, Backend]) -> Object:
    timeout_s = max(backends.get(_split_key(split), Backend()).timeout_s for split in path["splits"])
    return {"match": {"prefix": path.get("path") or "/"}, "route": {
        "weighted_clusters": {"clusters": [_weighted(split) for split in path["splits"]]},
        "timeout": f"{timeout_s + 1:g}s"}}  # a second more, so that the activator tells its own time-outs itself


def _weighted(split: Object) -> Object:
    return {"name": cluster_name(_split_key(split)), "weight": split.get("percent", 100),
            "request_headers_to_add": _headers(split.get("appendHeaders") or {})}


def _headers(headers: Mapping[str, str]) -> list[Object]:
    return [{"header": {"key": key, "value": value}, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}
            for key, value in sorted(headers.items())]


# Only what no pod has seen is sent again, and then not to the pods but to the activator; for about four seconds, in
# which an activator that died is there again.
_RETRY: Object = {
    "retry_on": "connect-failure,refused-stream,reset-before-request", "num_retries": 20,
    "retry_back_off": {"base_interval": "0.025s", "max_interval": "0.5s"},
    "retry_priority": {"name": "envoy.retry_priorities.previous_priorities", "typed_config": {
        "@type": f"{_V3}.extensions.retry.priority.previous_priorities.v3.PreviousPrioritiesConfig",
        "update_frequency": 1}}}


def _aliases(virtual_services: Iterable[Object], hosts: list[Object]) -> list[Object]:
    """KServe's VirtualServices send the hosts of an InferenceService to those of its predictor."""
    by_domain = {domain: host for host in hosts for domain in host["domains"]}
    aliases = []
    for service in virtual_services:
        for index, http in enumerate(service["spec"].get("http", [])):
            headers = dict(http.get("headers", {}).get("request", {}).get("set", {}))
            target = by_domain.get(headers.pop("Host", ""))
            if target is not None:
                name = f"{service['metadata']['namespace']}/{service['metadata']['name']}/virtual/{index}"
                aliases.append({**target, "name": name, "domains": list(service["spec"].get("hosts", [])),
                                "request_headers_to_add": _headers(headers)})
    return aliases


def _unique(hosts: list[Object]) -> list[Object]:
    """Each domain once, the first host that claims it wins: Envoy refuses routes with a domain claimed twice."""
    taken: set[str] = set()
    kept = []
    for host in hosts:
        domains = [d for d in dict.fromkeys(host["domains"]) if d not in taken]
        taken.update(domains)
        if domains:
            kept.append({**host, "domains": domains})
    return kept
