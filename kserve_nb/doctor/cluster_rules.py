"""Rules about the cluster and KServe's installation in it (K01 to K08)."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from urllib.parse import urlsplit

from kserve_nb.doctor.facts import KSERVE_CONFIG, Facts
from kserve_nb.doctor.finding import Finding, Severity
from kserve_nb.values.cluster import looks_like_production
from kserve_nb.values.kserve_versions import ignores_canary

OLDEST = (1, 32)  # KServe's quick start: "Kubernetes 1.32 or later"
_TUTORIAL = re.compile(
    r"(kserve-nb|kind|k3d|minikube|docker-desktop|rancher-desktop|orbstack|colima|microk8s)(\b|[-_])"
)
_LOCAL = ("127.0.0.1", "localhost", "::1")
_ISTIO = "istio.ingress.networking.knative.dev"  # what Knative takes where config-network says nothing
_GATEWAYS = {"istio": "istio-ingressgateway", "kourier": "kourier"}
_WEBHOOK = re.compile(r"failed (?:to call|calling) webhook|no endpoints available|connection refused")


def wrong_context(facts: Facts) -> Iterator[Finding]:
    """K01: what the context is called, whether its server is this machine, and whether we may look at all."""
    if facts.hidden:
        yield Finding(
            "K01", "blocker", "cluster", f"context {facts.context}", facts.hidden,
            "This user may not read InferenceServices there, so nothing is known about them.",
            f"ask for the role view in {facts.namespace}, or kserve-nb up for a cluster of your own",
        )  # fmt: skip
    if not facts.context or _TUTORIAL.match(facts.context):
        return
    where = f"context {facts.context}"
    production = looks_like_production(facts.context)
    if production or urlsplit(facts.server).hostname not in _LOCAL:
        yield Finding(
            "K01", "warning" if production else "note", "cluster", where, facts.server,
            "The tutorial creates, changes and deletes InferenceServices there.",
            "kubectl config use-context kind-kind, or kserve-nb up for a cluster of your own",
        )  # fmt: skip


def no_cluster(facts: Facts) -> Iterator[Finding]:
    """K02: nobody answers at the kubeconfig's address."""
    if not facts.unreachable:
        return
    tools = facts.session.tools if facts.session else frozenset()
    without = [tool for tool in ("docker", "kind") if tool not in tools]
    why = "The API server is not up, cannot be reached, or does not take these credentials."
    if without:
        are = "are" if len(without) > 1 else "is"
        why += f" {' and '.join(without)} {are} not installed; an embedded one needs neither."
    where = facts.context or facts.server or "kubeconfig"
    yield Finding("K02", "blocker", "cluster", where, facts.unreachable, why, "kserve-nb up")


def old_kubernetes(facts: Facts) -> Iterator[Finding]:
    """K03: /version is older than KServe's and Knative's oldest."""
    found = re.match(r"v(\d+)\.(\d+)", facts.version)
    if found and (int(found[1]), int(found[2])) < OLDEST:
        oldest = ".".join(map(str, OLDEST))
        yield Finding(
            "K03", "warning", "cluster", "/version", facts.version,
            f"KServe 0.20 and Knative 1.21 need Kubernetes {oldest} or newer.",
            f"kind create cluster --image kindest/node:v{oldest}.0",
        )  # fmt: skip


def webhook_down(facts: Facts) -> Iterator[Finding]:
    """K05: a dry run meets a webhook that does not listen."""
    if _WEBHOOK.search(facts.dry_run):
        yield Finding(
            "K05", "blocker", "KServe", "dry run of an InferenceService", facts.dry_run,
            "KServe is still being installed, or its controller is down: nothing can be created until it listens.",
            "kubectl wait -n kserve deployment/kserve-controller-manager --for=condition=Available --timeout=300s",
        )  # fmt: skip


def standard_mode(facts: Facts) -> Iterator[Finding]:
    """K06: KServe's own default, an annotation, or what became of an InferenceService."""
    default = facts.setting("deploy").get("defaultDeploymentMode", "")
    if ignores_canary(default):
        yield Finding(
            "K06", "blocker", "KServe", f"config map {KSERVE_CONFIG}, deploy", f'defaultDeploymentMode: "{default}"',
            "In this mode KServe makes plain Deployments, without Knative: canaryTrafficPercent is ignored silently.",
            f"kubectl edit configmap -n kserve {KSERVE_CONFIG}   # deploy: {{\"defaultDeploymentMode\": \"Knative\"}}",
        )  # fmt: skip
    for service in facts.services:
        if ignores_canary(service.mode):
            yield Finding(
                "K06", "blocker", "service", f"InferenceService {service.name}", f"deploymentMode: {service.mode}",
                "In this mode there are no revisions, and canaryTrafficPercent is ignored silently. "
                "The mode of an InferenceService cannot be changed.",
                f"kubectl delete isvc {service.name}, then apply it without serving.kserve.io/deploymentMode",
            )  # fmt: skip


def network_parts(facts: Facts) -> Iterator[Finding]:
    """K07: Knative, its ingress class and KServe's ingress settings have to fit together."""
    if facts.lacking:
        yield Finding(
            "K07", "blocker", "KServe", "the API", f"not served: {', '.join(facts.lacking)}",
            "KServe or Knative Serving is not installed here.",
            "kserve-nb up, or install KServe in Knative mode as its quick start does",
        )  # fmt: skip
        return
    yield from _broken_entries(facts)
    yield from _ingress_class(facts)
    ingress = facts.setting("ingress")
    if ingress and "ingressGateway" not in ingress:
        yield Finding(
            "K07", "warning", "KServe", f"config map {KSERVE_CONFIG}, ingress", f"only {', '.join(sorted(ingress))}",
            "The entry is one string of JSON: a patch of it replaces all, and ingressGateway, ingressDomain and others "
            "are gone.", f"kubectl edit configmap -n kserve {KSERVE_CONFIG}   # put the other keys back",
        )  # fmt: skip


def _broken_entries(facts: Facts) -> Iterator[Finding]:
    """Entries of KServe's config map that an edit has left without a brace or a comma."""
    for key in ("deploy", "ingress"):
        text = (facts.configs.get(KSERVE_CONFIG) or {}).get(key, "{}")
        try:
            json.loads(text)
        except ValueError as error:
            yield Finding(
                "K07", "blocker", "KServe", f"config map {KSERVE_CONFIG}, {key}", f"{error}: {text}",
                "The entry is to be JSON in a string, and is not: KServe can reconcile nothing.",
                f"kubectl edit configmap -n kserve {KSERVE_CONFIG}",
            )  # fmt: skip


def _ingress_class(facts: Facts) -> Iterator[Finding]:
    network = facts.configs.get("config-network", {})
    if network is None:
        yield Finding(
            "K07", "blocker", "KServe", "config map config-network", "there is none in knative-serving",
            "Knative does not know who programs its gateway: it is not installed, or only in part.",
            "kubectl get pods -n knative-serving",
        )  # fmt: skip
        return
    if "config-network" not in facts.configs or facts.gateways is None:
        return
    name = network.get("ingress-class") or network.get("ingress.class") or _ISTIO
    wanted = _GATEWAYS.get(name.partition(".")[0], "")
    have = [gateway["metadata"]["name"] for gateway in facts.gateways]
    severity: Severity = "warning" if facts.gateway_answers else "blocker"
    if wanted and wanted not in have and (have or not facts.gateway_answers):
        yield Finding(
            "K07", severity, "KServe", "config map config-network", f"ingress-class: {name}",
            f"That needs the Service {wanted}; there is {', '.join(have) or 'no gateway'}. "
            "New routes stay IngressNotConfigured.",
            _take_class(have),
        )  # fmt: skip
    elif wanted == "kourier" and facts.setting("ingress").get("disableIstioVirtualHost") is False:
        yield Finding(
            "K07", "warning", "KServe", f"config map {KSERVE_CONFIG}, ingress", "disableIstioVirtualHost: false",
            "Without Istio nobody serves the short host that status.url will name.",
            f"kubectl edit configmap -n kserve {KSERVE_CONFIG}   # ingress: \"disableIstioVirtualHost\": true",
        )  # fmt: skip


def _take_class(have: list[str]) -> str:
    """What makes Knative use the gateway that there is."""
    if not have:
        return "install the gateway, as KServe's quick start does; or kserve-nb up"
    name = next(name for name, service in _GATEWAYS.items() if service in have)
    data = json.dumps({"data": {"ingress-class": f"{name}.ingress.networking.knative.dev"}})
    return f"kubectl patch configmap -n knative-serving config-network --type merge -p '{data}'"


def labelled_namespace(facts: Facts) -> Iterator[Finding]:
    """K08: KServe's pod webhook leaves namespaces with this label alone."""
    if "control-plane" in (facts.namespace_labels or {}):
        value = (facts.namespace_labels or {})["control-plane"]
        yield Finding(
            "K08", "blocker", "namespace", f"namespace {facts.namespace}", f"control-plane={value}",
            "KServe adds no storage-initializer to pods in a namespace with this label: "
            "No such file or directory: '/mnt/models'.",
            f"kubectl label namespace {facts.namespace} control-plane-   # then delete the failing pods",
        )  # fmt: skip


RULES = (
    wrong_context, no_cluster, old_kubernetes, webhook_down, standard_mode, network_parts, labelled_namespace,
)  # fmt: skip
