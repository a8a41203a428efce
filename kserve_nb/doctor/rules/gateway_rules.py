"""Rules about the path of a request: the gateway's address, hosts and answers (R01 to R04, R06, R09, R10)."""

from __future__ import annotations

import re
from collections.abc import Iterator

from kserve_nb.access.api_client import Object
from kserve_nb.access.gateway_discovery import GATEWAYS, balancer_hosts, http_port
from kserve_nb.access.ingress import host_of
from kserve_nb.doctor.fact_check import fact_check, service_check
from kserve_nb.doctor.facts import Facts, ServiceFacts
from kserve_nb.doctor.finding import Finding, Severity
from kserve_nb.doctor.pod_facts import lacks_model_file
from kserve_nb.doctor.remedy import Remedy, kubectl, merge_patch
from kserve_nb.doctor.rule import declare
from kserve_nb.values.revisions import short

NO_ADDRESS = declare("R01", "the gateway's address is missing")
UNREACHABLE_NODE = declare("R02", "the node's address cannot be reached from here")
FOREIGN_NAME = declare("R03", "the host name does not resolve to the gateway")
NOT_FOUND = declare("R04", "404: no such host, path or object")
INSIDE_DOMAIN = declare("R06", "this host works only inside the cluster")
CUT_OFF = declare("R09", "the connection to the gateway is broken")
NO_READY_POD = declare("R10", "no pod was ready to answer")

_LOOPBACK = ("127.0.0.1", "localhost")
_INSIDE = "svc.cluster.local"
_WILDCARD = re.compile(r"(?:^|[.-])(\d+[.-]\d+[.-]\d+[.-]\d+)\.(sslip|nip|xip)\.io$")
_PRIVATE = re.compile(r"192\.168\.|172\.(1[6-9]|2\d|3[01])\.")
_LATE = (503, 504)


@fact_check
def no_address(facts: Facts) -> Iterator[Finding]:
    """R01: the gateway's Service waits for a load balancer, which a laptop does not have."""
    for gateway in facts.gateways or ():
        name, spec = gateway["metadata"]["name"], gateway["spec"]
        if spec.get("type") == "LoadBalancer" and not balancer_hosts(gateway):
            severity: Severity = "note" if facts.gateway_answers else "blocker"
            yield Finding(
                NO_ADDRESS, severity, "gateway", f"Service {name}", "TYPE LoadBalancer, EXTERNAL-IP <pending>",
                "kind and minikube have no load balancer. Use the NodePort or a forwarded port, as connect() does; "
                f"INGRESS_HOST and INGRESS_PORT are {facts.ingress or 'unknown'}.", forward_remedy(facts),
            )  # fmt: skip


@fact_check
def cut_off(facts: Facts) -> Iterator[Finding]:
    """R02 and R09: nothing answers at the ingress address."""
    probe = facts.unknown_host
    if probe is None or probe.answer is not None:
        return
    host = facts.ingress.rpartition(":")[0]
    if host not in _LOOPBACK and _PRIVATE.match(host) and "Timeout" in probe.error:
        yield Finding(
            UNREACHABLE_NODE, "blocker", "gateway", facts.ingress, probe.error,
            "With the docker driver on macOS or Windows, and behind some VPNs, a node's address cannot be reached.",
            forward_remedy(facts),
        )  # fmt: skip
        return
    addresses = [f"{host}:{http_port(row)['port']}" for row in facts.gateways or () for host in balancer_hosts(row)]
    other = next((address for address in addresses if address != facts.ingress), "")
    remedy = forward_remedy(facts)
    if other and facts.ingress:
        host, _, port = other.rpartition(":")
        remedy = Remedy("use the address of the gateway's Service",
                        f"export INGRESS_HOST={host} INGRESS_PORT={port}", f'lab = connect(ingress="{other}")')
    yield Finding(
        CUT_OFF, "blocker", "gateway", facts.ingress or "the gateway", probe.error,
        "The gateway is down, or its port-forward has ended: a port-forward ends with its terminal, with its pod, and "
        "sometimes under load. Failed requests say nothing about the canary.",
        remedy,
    )  # fmt: skip


def forward_remedy(facts: Facts) -> Remedy:
    """Forward a local port to the gateway; to Istio's Service when none is known."""
    namespace, name = GATEWAYS[0]
    port = 80
    if facts.gateways:
        meta, port = facts.gateways[0]["metadata"], _port(facts.gateways[0])
        namespace, name = meta["namespace"], meta["name"]
    return Remedy("forward a port in a second terminal, and use INGRESS_HOST=127.0.0.1 INGRESS_PORT=8080",
                  kubectl("port-forward", f"service/{name}", f"8080:{port}", namespace=namespace), "lab = connect()")


def _port(gateway: Object) -> int:
    return int(http_port(gateway)["port"])


@service_check
def foreign_name(facts: Facts, service: ServiceFacts) -> Iterator[Finding]:
    """R03: the host name contains an address, and the gateway is somewhere else."""
    host = host_of(service.status.url)
    found = _WILDCARD.search(host)
    address = found[1].replace("-", ".") if found else ""
    if found and (found[2] == "xip" or address != facts.ingress.rpartition(":")[0]):
        yield Finding(
            FOREIGN_NAME, "warning", "host", host, f"the name resolves to {address}, the gateway is at {facts.ingress}",
            "A name of sslip.io resolves to the address that it contains. xip.io no longer exists, and some routers "
            "block such names.",
            Remedy("send the request to the gateway, with the name in the Host header",
                   f'curl -H "Host: {host}" http://{facts.ingress}/v1/models/{service.name}'),
        )  # fmt: skip


@service_check
def unknown_host(facts: Facts, service: ServiceFacts) -> Iterator[Finding]:
    """R04: the gateway or the model server answers 404 to the host and the name that the status has."""
    answer = service.probe.answer if service.probe else None
    if answer is None or answer.status != 404:
        return
    if answer.text and any(map(lacks_model_file, service.first_lines.values())):
        return  # L01 names the folder that has no model
    host = host_of(service.status.url)
    if answer.text:
        yield Finding(
            NOT_FOUND, "warning", "model", f"http://{facts.ingress}/v1/models/{service.name}", f"404 {answer.text}",
            "The host is right: the model server answered. It has no model of that name.",
            Remedy("list its models", f'curl -H "Host: {host}" http://{facts.ingress}/v1/models'),
        )  # fmt: skip
    else:
        yield Finding(
            NOT_FOUND, "blocker", "host", f"Host: {host}",
            f"404, empty body, server: {answer.headers.get('server', '')}",
            "The gateway at this address has no route for the host. Either the gateway belongs to another cluster, or "
            "the route is not programmed yet.",
            Remedy("check whether the route is ready", kubectl("get", "kingress", namespace=facts.namespace)),
        )  # fmt: skip


@fact_check
def inside_domain(facts: Facts) -> Iterator[Finding]:
    """R06: since Knative 1.8 the domain is cluster-local unless config-domain names another."""
    inside = [service for service in facts.services if host_of(service.status.url).endswith(_INSIDE)]
    config = facts.configs.get("config-domain", {})
    domains = [domain for domain in config or {} if not domain.startswith("_")]
    known = "config-domain" in facts.configs
    if inside or (known and (not domains or domains == [_INSIDE])):
        saw = inside[0].status.url if inside else f"domains: {', '.join(domains) or 'none'}"
        yield Finding(
            INSIDE_DOMAIN, "blocker" if inside else "warning", "KServe", "ConfigMap config-domain", saw,
            "Knative's default domain is svc.cluster.local. From outside, the gateway answers 404 to such a host.",
            Remedy("configure a domain", merge_patch(
                "configmap", "config-domain", "knative-serving", {"data": {"example.com": ""}})),
        )  # fmt: skip


@service_check
def scaled_to_zero(facts: Facts, service: ServiceFacts) -> Iterator[Finding]:
    """R10: no pod, because minReplicas is 0, or an answer that came too late."""
    minimum = service.predictor.get("minReplicas")
    late = service.answered in _LATE
    if not late and not (minimum == 0 and service.status.traffic and not service.has_serving_pods):
        return
    names = ", ".join(short(name) for name, percent in service.status.percents.items() if percent)
    answer = service.probe.answer if service.probe else None
    saw = f"{answer.status} {answer.text}" if late and answer else f"minReplicas: {minimum}, no pod of {names}"
    keep_one = {"spec": {"predictor": {"minReplicas": 1}}}
    yield Finding(
        NO_READY_POD, "warning" if late else "note", "pod", service.title, saw,
        "The activator holds the first request until a pod has loaded its model, which takes 4 to 60 s.",
        Remedy("allow the first request 120 s, or keep one pod",
               merge_patch("isvc", service.name, facts.namespace, keep_one)),
    )  # fmt: skip
