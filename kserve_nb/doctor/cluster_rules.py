"""Rules about the cluster, KServe's installation and its models getting ready (K…)."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from urllib.parse import urlsplit

from kserve_nb.doctor.facts import KSERVE_CONFIG, Cause, Facts, Service
from kserve_nb.doctor.finding import Finding, Severity
from kserve_nb.kserve_versions import ignores_canary
from kserve_nb.model import conditions_of, short

OLDEST = (1, 32)  # KServe's quick start: "Kubernetes 1.32 or later"
_TUTORIAL = re.compile(
    r"(kserve-nb|kind|k3d|minikube|docker-desktop|rancher-desktop|orbstack|colima|microk8s)(\b|[-_])"
)
_PRODUCTION = re.compile(r"(^|[^a-z])(prod|production|live)([^a-z]|$)", re.IGNORECASE)
_LOCAL = ("127.0.0.1", "localhost", "::1")
_ISTIO = "istio.ingress.networking.knative.dev"  # what Knative takes where config-network says nothing
_GATEWAYS = {"istio": "istio-ingressgateway", "kourier": "kourier"}
_WEBHOOK = re.compile(r"failed (?:to call|calling) webhook|no endpoints available|connection refused")
_DOWNLOADER = "storage-initializer"


def wrong_context(facts: Facts) -> Iterator[Finding]:
    """K01: what the context is called, and whether its server is this machine."""
    if not facts.context or _TUTORIAL.match(facts.context):
        return
    where = f"context {facts.context}"
    production = bool(_PRODUCTION.search(facts.context))
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
        why += f" {' and '.join(without)} {'are' if len(without) > 1 else 'is'} not installed: take the embedded one."
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


def no_room(facts: Facts) -> Iterator[Finding]:
    """K04: the scheduler found no node for a pod."""
    for service in facts.services:
        for where, saw, asks in _unscheduled(service):
            yield Finding(
                "K04", "blocker", "pod", where, saw,
                f"It asks for {asks}; the node has {_allocatable(facts)} in all. Without resources in the "
                "manifest each revision asks for 1 CPU and 2Gi, and a canary has two.",
                "under predictor.model: resources: {requests: {cpu: 100m, memory: 256Mi}}",
            )  # fmt: skip


def _unscheduled(service: Service) -> Iterator[tuple[str, str, str]]:
    """Name, message and requests of each pod without a node; from events, where the pod has been given up."""
    for pod in service.pods:
        scheduled = conditions_of(pod).get("PodScheduled")
        if scheduled is not None and scheduled.reason == "Unschedulable":
            yield pod["metadata"]["name"], scheduled.message, _requests(pod)
    status = service.status
    told = [event for event in service.events if event.get("reason") == "FailedScheduling"]
    if not service.pods and told and status.latest_created != status.latest_ready:
        yield told[-1]["involvedObject"]["name"], told[-1].get("message") or "", "more than is free"


def _requests(pod: dict[str, object]) -> str:
    containers = pod["spec"]["containers"]  # type: ignore[index]  # a pod has them
    asked = [(c.get("resources") or {}).get("requests") or {} for c in containers]
    each = [" and ".join(f"{amount} {name}" for name, amount in row.items()) for row in asked if row]
    return " + ".join(each) or "nothing"


def _allocatable(facts: Facts) -> str:
    found = [(node.get("status") or {}).get("allocatable") or {} for node in facts.nodes]
    return "; ".join(f"{row.get('cpu')} cpu and {row.get('memory')} memory" for row in found) or "an unknown amount"


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
    yield from _ingress_class(facts)
    ingress = facts.setting("ingress")
    if ingress and "ingressGateway" not in ingress:
        yield Finding(
            "K07", "warning", "KServe", f"config map {KSERVE_CONFIG}, ingress", f"only {', '.join(sorted(ingress))}",
            "The entry is one string of JSON: a patch of it replaces all, and ingressGateway, ingressDomain and others "
            "are gone.", f"kubectl edit configmap -n kserve {KSERVE_CONFIG}   # put the other keys back",
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


def no_model(facts: Facts) -> Iterator[Finding]:
    """K13: the storage-initializer failed."""
    for service in facts.services:
        found = next((cause for cause in service.causes if cause.container == _DOWNLOADER), None)
        told = service.status.failure if not service.causes and _failing(service) else ""
        if found is None and "torage" not in told:
            continue
        gone = f"POD of {service.status.latest_created or service.name}"
        cause = found or Cause(gone, _DOWNLOADER, "Error", None, told)
        yield Finding(
            "K13", "blocker", "pod", cause.pod, cause.last_words,
            f"{_messenger(service)}The init container storage-initializer cannot fetch {service.status.model}. "
            f"{_users(service)}",
            f"compare storageUri with where the model is; kubectl logs {cause.pod.partition(' ')[0]} -c {_DOWNLOADER}",
        )  # fmt: skip


def no_revision(facts: Facts) -> Iterator[Finding]:
    """K17: RevisionMissing and its like say that something failed; the deepest cause says what."""
    for service in facts.services:
        if not _failing(service) or ignores_canary(service.mode) or _explained(service, facts):
            continue
        where, saw = _deepest(service)
        yield Finding(
            "K17", "blocker", "revision", where, saw,
            f"{_messenger(service)}This is the deepest cause that is known. {_users(service)}",
            f"kubectl describe isvc {service.name}; kubectl get events --sort-by=.lastTimestamp",
        )  # fmt: skip


def _failing(service: Service) -> bool:
    """Whether something has gone wrong, not merely is under way."""
    status = service.status
    believed = status.latest_created != status.latest_ready or not status.latest_created
    failed = any(c.status == "False" for t, c in status.conditions.items() if t in ("PredictorReady", "Ready"))
    blocked = status.model_state in ("BlockedByFailedLoad", "InvalidSpec")
    return bool(service.causes) or (believed and (failed or blocked)) or (failed and _reconcile_failed(service)) or (
        not status.latest_created and bool(_refused(service))
    )


def _reconcile_failed(service: Service) -> bool:
    predictor = service.status.conditions.get("PredictorReady")
    return predictor is not None and predictor.reason == "ReconcileFailed"


def _explained(service: Service, facts: Facts) -> bool:
    """Whether a rule of its own names the cause."""
    status = service.status
    told = status.failure if not service.causes else ""
    return (
        any(cause.container == _DOWNLOADER for cause in service.causes)
        or "torage" in told
        or any(True for _ in _unscheduled(service))
        or (status.asked_percent is not None and not 0 <= status.asked_percent <= 100)
        or "control-plane" in (facts.namespace_labels or {})
    )


def _deepest(service: Service) -> tuple[str, str]:
    """Where the deepest cause is, and its own words: container, revision, event, condition."""
    for cause in service.causes:
        code = "" if cause.exit_code is None else f" exited {cause.exit_code}"
        return f"pod {cause.pod}", f"container {cause.container}{code}: {cause.last_words}"
    status = service.status
    for revision in reversed(service.revision_values):
        if revision.message and not revision.ready:
            return f"revision {revision.name}", f"{revision.reason}: {revision.message}"
    refused = _refused(service)
    if refused or status.failure:
        return f"InferenceService {service.name}", ": ".join(filter(None, (status.failure, refused)))
    ready = status.conditions.get("PredictorReady", status.ready)
    return f"InferenceService {service.name}", f"{ready.reason}: {ready.message}"


def _refused(service: Service) -> str:
    """KServe's own word in an event, which may be the only place where it says why."""
    found = [event for event in service.events if event.get("reason") == "InternalError"
             and event["involvedObject"].get("kind") == "InferenceService"
             and event["involvedObject"].get("name") == service.name
             and "object has been modified" not in (event.get("message") or "")]  # fmt: skip
    return str(found[-1].get("message") or "") if found else ""


def _messenger(service: Service) -> str:
    ready = service.status.conditions.get("PredictorReady")
    return f"{ready.reason} is only the messenger. " if ready and ready.reason else ""


def _users(service: Service) -> str:
    serving = [short(name) for name, percent in service.status.percents.items() if percent]
    return f"Users are served by {', '.join(dict.fromkeys(serving))} meanwhile." if serving else "Nobody is served yet."


RULES = (
    wrong_context, no_cluster, old_kubernetes, webhook_down, standard_mode, network_parts, labelled_namespace,
    no_room, no_model, no_revision,
)  # fmt: skip
