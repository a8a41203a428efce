"""Rules about KServe and Knative as they are installed in the cluster (K05 to K08, K16)."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

from kserve_nb.doctor.fact_check import fact_check, service_check
from kserve_nb.doctor.facts import KSERVE_CONFIG, Facts, ServiceFacts
from kserve_nb.doctor.finding import Finding, Severity
from kserve_nb.doctor.pod_facts import seconds_between
from kserve_nb.doctor.remedy import Remedy, kubectl, merge_patch
from kserve_nb.doctor.rule import declare
from kserve_nb.values.kserve_versions import ignores_canary

WEBHOOK_DOWN = declare("K05", "KServe's webhook does not answer")
STANDARD_MODE = declare("K06", "Standard mode: canaryTrafficPercent does nothing")
NETWORK_PARTS = declare("K07", "a part of KServe or of Knative's network is missing")
NO_DOWNLOADS = declare("K08", "a label of the namespace prevents the download of models")
NO_STATUS = declare("K16", "KServe does not process the InferenceService")

_ISTIO = "istio.ingress.networking.knative.dev"  # Knative's default when config-network names no class
_GATEWAYS = {"istio": "istio-ingressgateway", "kourier": "kourier"}
_WEBHOOK = re.compile(r"failed (?:to call|calling) webhook|no endpoints available|connection refused")
_SILENT_S = 20.0  # KServe writes a first status within a second
_CONTROLLER_LOG = kubectl("logs", "deployment/kserve-controller-manager", "--tail=20", namespace="kserve")
_QUICK_START = Remedy("install KServe in Knative mode, or use a cluster that has it", "kserve-nb up",
                      'lab = connect("embedded")')  # fmt: skip


@fact_check
def webhook_down(facts: Facts) -> Iterator[Finding]:
    """K05: a dry run of an InferenceService does not reach the webhook."""
    if _WEBHOOK.search(facts.dry_run):
        yield Finding(
            WEBHOOK_DOWN, "blocker", "KServe", "dry run of an InferenceService", facts.dry_run,
            "KServe is still being installed, or its controller is down. Until it answers, nothing can be created.",
            Remedy("wait for the controller", kubectl(
                "wait", "deployment/kserve-controller-manager", "--for=condition=Available", "--timeout=300s",
                namespace="kserve")),
        )  # fmt: skip


@fact_check
def standard_mode(facts: Facts) -> Iterator[Finding]:
    """K06: KServe's default mode."""
    default = str(facts.setting("deploy").get("defaultDeploymentMode") or "")
    if ignores_canary(default):
        entry = json.dumps({**facts.setting("deploy"), "defaultDeploymentMode": "Knative"})
        yield Finding(
            STANDARD_MODE, "blocker", "KServe", f"ConfigMap {KSERVE_CONFIG}, entry deploy",
            f'defaultDeploymentMode: "{default}"',
            "In this mode KServe creates Deployments without Knative, and ignores canaryTrafficPercent.",
            Remedy("set the mode to Knative",
                   merge_patch("configmap", KSERVE_CONFIG, "kserve", {"data": {"deploy": entry}})),
        )  # fmt: skip


@service_check
def standard_service(facts: Facts, service: ServiceFacts) -> Iterator[Finding]:
    """K06: the mode of one InferenceService, which cannot be changed."""
    if ignores_canary(service.mode) and not (service.isvc.get("spec") or {}).get("canary"):  # else rule C18
        yield Finding(
            STANDARD_MODE, "blocker", "service", service.title, f"deploymentMode: {service.mode}",
            "In this mode there are no revisions, and KServe ignores canaryTrafficPercent. "
            "The mode of an InferenceService cannot be changed.",
            Remedy("delete it, then apply it without the annotation serving.kserve.io/deploymentMode",
                   kubectl("delete", "isvc", service.name, "--wait=false", namespace=facts.namespace)),
        )  # fmt: skip


@fact_check
def network_parts(facts: Facts) -> Iterator[Finding]:
    """K07: kinds that are not served, settings that are not JSON, and an ingress class without its gateway."""
    if facts.lacking:
        yield Finding(
            NETWORK_PARTS, "blocker", "KServe", "the API", f"not served: {', '.join(facts.lacking)}",
            "KServe or Knative Serving is not installed in this cluster.", _QUICK_START,
        )  # fmt: skip
        return
    yield from _invalid_entries(facts)
    yield from _ingress_class(facts)
    ingress = facts.setting("ingress")
    if ingress and "ingressGateway" not in ingress:
        yield Finding(
            NETWORK_PARTS, "warning", "KServe", f"ConfigMap {KSERVE_CONFIG}, entry ingress",
            f"only {', '.join(sorted(ingress))}",
            "The entry is one JSON string, so a patch replaces all of it: ingressGateway, ingressDomain and the other "
            "keys are missing.",
            Remedy("put the missing keys back; KServe's default values are in the release manifest",
                   kubectl("get", "configmap", KSERVE_CONFIG, "-o", "jsonpath={.data.ingress}", namespace="kserve")),
        )  # fmt: skip


def _invalid_entries(facts: Facts) -> Iterator[Finding]:
    """Entries of KServe's ConfigMap that a manual edit has left without a brace or a comma."""
    for key in ("deploy", "ingress"):
        text = (facts.configs.get(KSERVE_CONFIG) or {}).get(key, "{}")
        try:
            json.loads(text)
        except ValueError as error:
            yield Finding(
                NETWORK_PARTS, "blocker", "KServe", f"ConfigMap {KSERVE_CONFIG}, entry {key}", f"{error}: {text}",
                "The entry must be JSON in a string. While it is not, KServe reconciles no InferenceService.",
                Remedy("correct the JSON; this prints the entry",
                       kubectl("get", "configmap", KSERVE_CONFIG, "-o", f"jsonpath={{.data.{key}}}",
                               namespace="kserve")),
            )  # fmt: skip


def _ingress_class(facts: Facts) -> Iterator[Finding]:
    network = facts.configs.get("config-network", {})
    if network is None:
        yield Finding(
            NETWORK_PARTS, "blocker", "KServe", "ConfigMap config-network", "it does not exist in knative-serving",
            "Without it Knative has no ingress class: Knative is not installed, or only partly.",
            Remedy("check which parts of Knative run", kubectl("get", "pods", namespace="knative-serving")),
        )  # fmt: skip
        return
    if "config-network" not in facts.configs or facts.gateways is None:
        return
    name = network.get("ingress-class") or network.get("ingress.class") or _ISTIO
    wanted = _GATEWAYS.get(name.partition(".")[0], "")
    present = [str(gateway["metadata"]["name"]) for gateway in facts.gateways]
    severity: Severity = "warning" if facts.gateway_answers else "blocker"
    if wanted and wanted not in present and (present or not facts.gateway_answers):
        yield Finding(
            NETWORK_PARTS, severity, "KServe", "ConfigMap config-network", f"ingress-class: {name}",
            f"That class needs the Service {wanted}; the cluster has {', '.join(present) or 'no gateway'}. "
            "New routes stay IngressNotConfigured.",
            _use_present_gateway(present),
        )  # fmt: skip
    elif wanted == "kourier" and facts.setting("ingress").get("disableIstioVirtualHost") is False:
        entry = json.dumps({**facts.setting("ingress"), "disableIstioVirtualHost": True})
        yield Finding(
            NETWORK_PARTS, "warning", "KServe", f"ConfigMap {KSERVE_CONFIG}, entry ingress",
            "disableIstioVirtualHost: false",
            "Without Istio nothing serves the short host that status.url will name.",
            Remedy("", merge_patch("configmap", KSERVE_CONFIG, "kserve", {"data": {"ingress": entry}})),
        )  # fmt: skip


def _use_present_gateway(present: list[str]) -> Remedy:
    """Make Knative use the gateway that the cluster has."""
    if not present:
        return _QUICK_START
    name = next(name for name, service in _GATEWAYS.items() if service in present)
    data = {"data": {"ingress-class": f"{name}.ingress.networking.knative.dev"}}
    return Remedy("use the gateway that is installed",
                  merge_patch("configmap", "config-network", "knative-serving", data))  # fmt: skip


@fact_check
def labelled_namespace(facts: Facts) -> Iterator[Finding]:
    """K08: KServe's pod webhook skips namespaces with the label control-plane."""
    if "control-plane" in (facts.namespace_labels or {}):
        value = (facts.namespace_labels or {})["control-plane"]
        yield Finding(
            NO_DOWNLOADS, "blocker", "namespace", f"namespace {facts.namespace}", f"control-plane={value}",
            "KServe adds no storage-initializer to pods in a namespace with this label: "
            "No such file or directory: '/mnt/models'.",
            Remedy("remove the label, then delete the failing pods",
                   kubectl("label", "namespace", facts.namespace, "control-plane-")),
        )  # fmt: skip


@service_check
def no_status(facts: Facts, service: ServiceFacts) -> Iterator[Finding]:
    """K16: an InferenceService without a status, long after it was created."""
    age = seconds_between(str(service.isvc["metadata"].get("creationTimestamp") or ""), facts.now)
    if not service.isvc.get("status") and age is not None and age > _SILENT_S:
        yield Finding(
            NO_STATUS, "blocker", "KServe", service.title, f"no status {age:.0f} s after it was created",
            "KServe's controller is not running, is not the leader, or cannot reach the API server.",
            Remedy("read the controller's log", _CONTROLLER_LOG),
        )  # fmt: skip
