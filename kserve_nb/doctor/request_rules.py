"""Rules about the way of a request, from what the cluster and the gateway answered (R…)."""

from __future__ import annotations

import re
from collections.abc import Iterator

from kserve_nb.access.api_client import Object
from kserve_nb.access.gateway_discovery import GATEWAYS, balancer_hosts, http_port
from kserve_nb.access.ingress import host_of
from kserve_nb.doctor.facts import Facts, Service
from kserve_nb.doctor.finding import Finding, Severity
from kserve_nb.values.revisions import short

_LOCAL = ("127.0.0.1", "localhost")
_INSIDE = "svc.cluster.local"
_WILDCARD = re.compile(r"(?:^|[.-])(\d+[.-]\d+[.-]\d+[.-]\d+)\.(sslip|nip|xip)\.io$")
_PRIVATE = re.compile(r"192\.168\.|172\.(1[6-9]|2\d|3[01])\.")


def no_address(facts: Facts) -> Iterator[Finding]:
    """R01: the gateway's Service waits for a load balancer that a laptop does not have."""
    for gateway in facts.gateways or ():
        meta, status = gateway["metadata"], gateway.get("status") or {}
        balanced = (status.get("loadBalancer") or {}).get("ingress")
        if gateway["spec"].get("type") == "LoadBalancer" and not balanced:
            severity: Severity = "note" if facts.gateway_answers else "blocker"
            yield Finding(
                "R01", severity, "gateway", f"service {meta['name']}", "TYPE LoadBalancer, EXTERNAL-IP <pending>",
                "kind and minikube have no load balancer. Use the NodePort, or a port that is forwarded, as connect() "
                f"does by itself; INGRESS_HOST and INGRESS_PORT are {facts.ingress or 'not known'}.",
                f"{_forward(gateway)}, then --ingress 127.0.0.1:8080",
            )  # fmt: skip


def cut_off(facts: Facts) -> Iterator[Finding]:
    """R02 and R09: nobody answers at the ingress address."""
    probe = facts.unknown_host
    if probe is None or probe.answer is not None:
        return
    host = facts.ingress.rpartition(":")[0]
    if host not in _LOCAL and _PRIVATE.match(host) and "Timeout" in probe.error:
        yield Finding(
            "R02", "blocker", "gateway", facts.ingress, probe.error,
            "With the docker driver on a Mac or on Windows, and behind a VPN, a node's address cannot be reached.",
            f"minikube tunnel, or {_forward(*facts.gateways or ())}",
        )  # fmt: skip
        return
    told = [f"{host}:{http_port(row)['port']}" for row in facts.gateways or () for host in balancer_hosts(row)]
    elsewhere = [address for address in told if address != facts.ingress]
    yield Finding(
        "R09", "blocker", "gateway", facts.ingress or "the gateway", probe.error,
        "A port-forward ends with its terminal, with the pod it led to, and under load; or the gateway is down. "
        "Requests that fail so say nothing about a canary.",
        f'connect(ingress="{elsewhere[0]}"), as the gateway\'s Service says' if elsewhere and facts.ingress else
        f"{_forward(*facts.gateways or ())}, or see kserve-nb status",
    )  # fmt: skip


def _forward(*gateways: Object) -> str:
    """The command that forwards a port to a gateway; to Istio's where none is known."""
    if not gateways:
        return "kubectl port-forward -n {} service/{} 8080:80".format(*GATEWAYS[0])
    meta, port = gateways[0]["metadata"], http_port(gateways[0])["port"]
    return f"kubectl port-forward -n {meta['namespace']} service/{meta['name']} 8080:{port}"


def foreign_name(facts: Facts) -> Iterator[Finding]:
    """R03: a host whose name holds an address leads there, and the gateway is elsewhere."""
    for service in facts.services:
        host = host_of(service.status.url)
        found = _WILDCARD.search(host)
        address = found[1].replace("-", ".") if found else ""
        if found and (found[2] == "xip" or address != facts.ingress.rpartition(":")[0]):
            yield Finding(
                "R03", "warning", "host", host, f"the name leads to {address}, the gateway is at {facts.ingress}",
                "Names of sslip.io lead to the address they hold; xip.io is dead, and some routers block them.",
                f'curl -H "Host: {host}" http://{facts.ingress}/v1/models/{service.name}',
            )  # fmt: skip


def unknown_host(facts: Facts) -> Iterator[Finding]:
    """R04: the gateway, or the model server, does not know what status.url names."""
    for service in facts.services:
        answer = service.probe.answer if service.probe else None
        if answer is None or answer.status != 404:
            continue
        host = host_of(service.status.url)
        if answer.text:
            yield Finding(
                "R04", "warning", "model", f"http://{facts.ingress}/v1/models/{service.name}", f"404 {answer.text}",
                "Host is right; the model server has no model of that name.", f"curl http://{facts.ingress}/v1/models",
            )  # fmt: skip
        else:
            yield Finding(
                "R04", "blocker", "host", f"Host: {host}",
                f"404, empty body, server: {answer.headers.get('server', '')}",
                "The gateway at this address does not know the host: it may be another cluster's, or the route is not "
                "programmed yet.", "kubectl get kingress; compare INGRESS_HOST and INGRESS_PORT with kserve-nb status",
            )  # fmt: skip


def inside_domain(facts: Facts) -> Iterator[Finding]:
    """R06: since Knative 1.8 the domain is cluster-local unless config-domain names another."""
    inside = [service for service in facts.services if host_of(service.status.url).endswith(_INSIDE)]
    config = facts.configs.get("config-domain", {})
    domains = [domain for domain in config or {} if not domain.startswith("_")]
    known = "config-domain" in facts.configs
    if inside or (known and (not domains or domains == [_INSIDE])):
        saw = inside[0].status.url if inside else f"domains: {', '.join(domains) or 'none'}"
        yield Finding(
            "R06", "blocker" if inside else "warning", "KServe", "config map config-domain", saw,
            "Knative's own domain is svc.cluster.local: the gateway answers 404 to such a host from outside.",
            "kubectl patch configmap -n knative-serving config-domain --type merge -p "
            "'{\"data\":{\"example.com\":\"\"}}'",
        )  # fmt: skip


def scaled_to_zero(facts: Facts) -> Iterator[Finding]:
    """R10: no pod, by wish."""
    for service in facts.services:
        fewest = service.isvc["spec"]["predictor"].get("minReplicas")
        late = service.answered in (503, 504)
        if late or (fewest == 0 and service.status.traffic and not service.has_serving_pods):
            names = ", ".join(short(name) for name, percent in service.status.percents.items() if percent)
            yield Finding(
                "R10", "note" if not late else "warning", "pod", f"InferenceService {service.name}",
                f"minReplicas: {fewest}, no pod of {names}" if not late else _answer(service),
                "The activator holds the first request until a pod is up and has its model: 4 to 60 s.",
                "wait for it: curl --max-time 120 …; or minReplicas: 1",
            )  # fmt: skip


def _answer(service: Service) -> str:
    answer = service.probe.answer if service.probe else None
    return f"{answer.status} {answer.text}" if answer else ""


RULES = (no_address, cut_off, foreign_name, unknown_host, inside_domain, scaled_to_zero)
