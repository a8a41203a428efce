"""Ingress objects → Envoy's configuration: a cluster for each revision and a virtual host for each rule.

Pure functions. They give Knative's Ingress objects the meaning that net-kourier and net-istio give them.
"""

from __future__ import annotations

import functools
import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from kserve_nb.clusters.embedded.addresses import socket_path
from kserve_nb.clusters.embedded.apimachinery.objects import Object

Key = tuple[str, str]  # namespace and name of a revision
CLUSTERS_FILE, ROUTES_FILE, ROUTES = "clusters.json", "routes.json", "routes"
UNLIMITED = 100_000  # replaces Envoy's defaults of 1024 requests and 3 retries per cluster
# The model server closes connections that were idle for 5 s. Envoy closes them earlier, so it never uses a closed one.
IDLE_TIMEOUT_S = 3
INGRESS_GATEWAY = "knative-serving/knative-ingress-gateway"
_V3 = "type.googleapis.com/envoy"


@dataclass(frozen=True)
class RevisionBackend:
    """The ready pods of one revision and the limits of its spec."""

    addresses: tuple[str, ...] = ()
    concurrency: int = 0  # requests that a pod handles at a time; 0: no limit
    timeout_s: float = 300


@dataclass(frozen=True)
class EnvoyConfig:
    """Envoy's dynamic configuration: clusters by name, and virtual hosts in the order of the objects."""

    clusters: dict[str, Object]
    virtual_hosts: list[Object]


def cluster_name(key: Key) -> str:
    """The name of a revision's Envoy cluster, also in statistics: `kserve-test/sklearn-iris-predictor-00001`."""
    return "/".join(key)


def address(address: str) -> Object:
    """An address inside the cluster (`addresses.py`) in the form of Envoy's configuration."""
    path = socket_path(address)
    if path is not None:
        return {"pipe": {"path": path}}
    host, _, port = address.rpartition(":")
    return {"socket_address": {"address": host, "port_value": int(port)}}


def envoy_config(ingresses: Iterable[Object], virtual_services: Iterable[Object],
                 backends: Mapping[Key, RevisionBackend], activator: str) -> EnvoyConfig:
    """The configuration that serves the external hosts of the Ingresses and of KServe's VirtualServices.

    Cluster-local hosts are not served, because Envoy takes the place of the gateway that faces outside.
    A revision with ready pods keeps its cluster when no Ingress names it any more, for the requests in flight.
    """
    ingresses = sorted(ingresses, key=lambda o: (o["metadata"].get("creationTimestamp", ""), o["metadata"]["name"]))
    named = {_split_key(split) for ingress in ingresses for path in _paths(ingress) for split in path["splits"]}
    named |= {key for key, backend in backends.items() if backend.addresses}
    clusters = {cluster_name(key): _cluster(key, backends.get(key, RevisionBackend()), activator)
                for key in sorted(named)}
    external, local = ([host for ingress in ingresses for host in _virtual_hosts(ingress, backends, external=outside)]
                       for outside in (True, False))
    return EnvoyConfig(clusters, _unique(_virtual_service_hosts(virtual_services, local) + external))


def clusters_document(clusters: Mapping[str, Object]) -> Object:
    """The clusters as a discovery response of Envoy's API."""
    return _document([{"@type": f"{_V3}.config.cluster.v3.Cluster", **c} for c in clusters.values()])


def routes_document(virtual_hosts: list[Object]) -> Object:
    """The routes as a discovery response of Envoy's API. Hosts match with and without a port."""
    return _document([{"@type": f"{_V3}.config.route.v3.RouteConfiguration", "name": ROUTES,
                       "ignore_port_in_host_matching": True, "virtual_hosts": virtual_hosts}])


def clusters_of(routes: Mapping[str, Any]) -> set[str]:
    """The names of the clusters in a document of `routes_document`."""
    return {weighted["name"] for resource in routes["resources"] for host in resource.get("virtual_hosts", [])
            for route in host["routes"] for weighted in route["route"]["weighted_clusters"]["clusters"]}


def _document(resources: list[Object]) -> Object:
    return {"version_info": hashlib.sha256(orjson.dumps(resources)).hexdigest()[:16], "resources": resources}


def _paths(ingress: Object) -> list[Object]:
    return [path for rule in ingress["spec"].get("rules", []) for path in rule["http"]["paths"]]


def _split_key(split: Object) -> Key:
    return split["serviceNamespace"], split["serviceName"]


@functools.lru_cache(maxsize=4096)
def _cluster(key: Key, backend: RevisionBackend, activator: str) -> Object:
    """The Envoy cluster of a revision: its ready pods, or the activator if none is ready or accepts a connection."""
    tiers = [list(backend.addresses), [activator]] if backend.addresses else [[activator]]
    breakers: Object = {"thresholds": [{"max_connections": UNLIMITED, "max_pending_requests": UNLIMITED,
                                        "max_requests": UNLIMITED, "max_retries": UNLIMITED}]}
    if backend.concurrency:  # with HTTP/1, each request in progress has its own connection
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


def _virtual_hosts(ingress: Object, backends: Mapping[Key, RevisionBackend], *, external: bool) -> list[Object]:
    """A virtual host for each rule of an Ingress: the rules for hosts outside or those for hosts inside the cluster."""
    name = f"{ingress['metadata']['namespace']}/{ingress['metadata']['name']}"
    return [{"name": f"{name}/{index}", "domains": list(rule["hosts"]), "retry_policy": _RETRY,
             "routes": [_route(path, backends) for path in rule["http"]["paths"]]}
            for index, rule in enumerate(ingress["spec"].get("rules", []))
            if (rule.get("visibility", "ExternalIP") == "ExternalIP") == external]


def _route(path: Object, backends: Mapping[Key, RevisionBackend]) -> Object:
    timeout_s = max(backends.get(_split_key(split), RevisionBackend()).timeout_s for split in path["splits"])
    return {"match": {"prefix": path.get("path") or "/"}, "route": {
        "weighted_clusters": {"clusters": [_weighted(split) for split in path["splits"]]},
        "timeout": f"{timeout_s + 1:g}s"}}  # a second longer than the activator, which reports its own time-outs


def _weighted(split: Object) -> Object:
    return {"name": cluster_name(_split_key(split)), "weight": split.get("percent", 100),
            "request_headers_to_add": _headers(split.get("appendHeaders") or {})}


def _headers(headers: Mapping[str, str]) -> list[Object]:
    return [{"header": {"key": key, "value": value}, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}
            for key, value in sorted(headers.items())]


# Only requests that no pod has received are retried, and then by way of the activator. The retries last about four
# seconds, in which a crashed activator is restarted.
_RETRY: Object = {
    "retry_on": "connect-failure,refused-stream,reset-before-request", "num_retries": 20,
    "retry_back_off": {"base_interval": "0.025s", "max_interval": "0.5s"},
    "retry_priority": {"name": "envoy.retry_priorities.previous_priorities", "typed_config": {
        "@type": f"{_V3}.extensions.retry.priority.previous_priorities.v3.PreviousPrioritiesConfig",
        "update_frequency": 1}}}


def _virtual_service_hosts(virtual_services: Iterable[Object], local: list[Object]) -> list[Object]:
    """Virtual hosts for KServe's VirtualServices, which give the hosts of an InferenceService to its predictor.

    A VirtualService sends requests on to the local gateway with another Host header. `local` has that gateway's hosts.
    """
    by_domain = {domain: host for host in local for domain in host["domains"]}
    found = []
    for service in virtual_services:
        for index, http in enumerate(service["spec"].get("http", [])):
            headers = dict(http.get("headers", {}).get("request", {}).get("set", {}))
            target = by_domain.get(headers.pop("Host", ""))
            if target is not None:
                name = f"{service['metadata']['namespace']}/{service['metadata']['name']}/virtual/{index}"
                found.append({**target, "name": name, "domains": _external_hosts(service, http),
                              "request_headers_to_add": _headers(headers)})
    return found


def _external_hosts(service: Object, http: Object) -> list[str]:
    """The hosts that a route of a VirtualService serves at the ingress gateway."""
    patterns = [match.get("authority", {}).get("regex", "") for match in http.get("match", [])
                if INGRESS_GATEWAY in match.get("gateways", service["spec"].get("gateways", []))]
    return [host for host in service["spec"].get("hosts", [])
            if any(re.fullmatch(pattern, host) for pattern in patterns)]


def _unique(hosts: list[Object]) -> list[Object]:
    """Keep each domain in the first host that has it, because Envoy rejects duplicate domains."""
    taken: set[str] = set()
    kept = []
    for host in hosts:
        domains = [d for d in dict.fromkeys(host["domains"]) if d not in taken]
        taken.update(domains)
        if domains:
            kept.append({**host, "domains": domains})
    return kept
