"""Read the facts of a cluster: objects, settings, logs, a dry run, and one request to the gateway and to each model."""

from __future__ import annotations

import json
import shutil
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from kserve_nb.access import gateway_discovery, kube_context
from kserve_nb.access.api_client import (
    EVENT,
    INFERENCE_SERVICE,
    KNATIVE_SERVICE,
    NAMESPACE,
    POD,
    REVISION,
    SERVICE,
    UNREACHABLE,
    Client,
    Object,
    ObjectNotFoundError,
    RefusedError,
    Resource,
)
from kserve_nb.access.ingress import Ingress, NoGatewayError, PredictError, host_of
from kserve_nb.doctor.facts import KSERVE_CONFIG, Facts, ProbeResult, ServiceFacts, services_of
from kserve_nb.doctor.pod_facts import SERVER, failure_of, progress_of
from kserve_nb.doctor.session import Session
from kserve_nb.values.cluster import UNKNOWN_HOST, Cluster
from kserve_nb.values.manifest import MODEL, inference_service

_CONFIG_MAP = Resource("", "v1", "configmaps")
_NODE = Resource("", "v1", "nodes", namespaced=False)
_CONFIGS = (("kserve", KSERVE_CONFIG), ("knative-serving", "config-domain"), ("knative-serving", "config-network"))
_EVERYWHERE = f"/apis/{INFERENCE_SERVICE.group}/{INFERENCE_SERVICE.version}/{INFERENCE_SERVICE.plural}"
_HEALTH = "health.json"  # in the folder of an embedded cluster's kubeconfig: the state of its parts
_DRY_RUN = "kserve-nb-doctor"  # the name of an InferenceService that is never stored
_ANSWER_S = 3.0  # for the first request and for each probe
_LOG_LINES = 20
_FIRST_BYTES = 8192  # read from a model server's log, which begins with the loading of the model
_NO_ACCESS = (UNREACHABLE, "Unauthorized")  # for these reasons, nothing at all can be read
_MAX_PROBES = 5  # models that get a request


def collect(cluster: Cluster, session: Session, *, probing: bool = True) -> Facts:
    """The facts of a cluster and one namespace. Writes nothing, and starts no pod of a model that is scaled to zero."""
    found = kube_context.current(cluster.kubeconfig)
    facts = Facts(
        cluster.namespace, found.name, found.server, session=session, ingress=cluster.ingress, now=time.time(),
        cluster_name=cluster.name, **_local_state(cluster),
    )  # fmt: skip
    try:
        client = Client(cluster)
        version = json.loads(client.raw("/version", _ANSWER_S)).get("gitVersion") or ""
        facts = _objects(client, replace(facts, version=version))
        return _probed_through_gateway(facts, cluster, client, session) if probing else facts
    except RefusedError as refused:
        return replace(facts, unreachable=str(refused))
    except (OSError, ValueError) as error:  # the kubeconfig is missing or invalid
        return replace(facts, unreachable=f"{cluster.kubeconfig}: {error}")


def namespaces_with_services(cluster: Cluster) -> Mapping[str, int]:
    """The number of InferenceServices in each namespace; empty when they are forbidden or not served."""
    try:
        items = json.loads(Client(cluster).raw(_EVERYWHERE, _ANSWER_S)).get("items") or []
    except (RefusedError, OSError, ValueError):
        return {}
    return Counter(str(item["metadata"].get("namespace") or "") for item in items)


def send(ingress: Ingress, method: str, host: str, path: str, headers: Mapping[str, str], body: str) -> ProbeResult:
    """Send a pasted request unchanged."""
    try:
        answer = ingress.send(method, host, path, body=body or None, headers=headers, timeout_s=_ANSWER_S)
        return ProbeResult(answer=answer)
    except PredictError as error:
        return ProbeResult(error=str(error))


def _objects(client: Client, facts: Facts) -> Facts:
    lacking: list[str] = []
    hidden: dict[Resource, str] = {}

    def every(kind: Resource) -> list[Object]:
        try:
            return client.find_all(kind)
        except ObjectNotFoundError:
            lacking.append(f"{kind.plural}.{kind.group}")
            return []
        except RefusedError as refused:
            if refused.reason in _NO_ACCESS:
                raise
            hidden[kind] = str(refused)
            return []

    services = services_of(*map(every, (INFERENCE_SERVICE, KNATIVE_SERVICE, REVISION, POD, EVENT)))
    labels = _namespace_labels(client)
    return replace(
        facts,
        services=tuple(replace(service, logs=_logs(client, service), first_lines=_first_lines(client, service))
                       for service in services),
        lacking=tuple(lacking),
        hidden=hidden.get(INFERENCE_SERVICE, ""),
        namespace_labels=labels,
        configs=_configs(client),
        gateways=_gateways(client),
        nodes=tuple(every(_NODE)),
        dry_run=_dry_run(client) if labels is not None and not lacking else "",
    )


def _namespace_labels(client: Client) -> dict[str, str] | None:
    """The namespace's labels, empty when they are forbidden; None when the namespace does not exist."""
    try:
        namespace = client.find(NAMESPACE, client.namespace)
    except RefusedError as refused:
        if refused.reason in _NO_ACCESS:
            raise
        return {}
    return None if namespace is None else namespace["metadata"].get("labels") or {}


def _configs(client: Client) -> dict[str, Mapping[str, str] | None]:
    found: dict[str, Mapping[str, str] | None] = {}
    for namespace, name in _CONFIGS:
        try:
            config = client.find(_CONFIG_MAP, name, namespace)
        except RefusedError:
            continue  # forbidden, so unknown
        found[name] = None if config is None else config.get("data") or {}
    return found


def _gateways(client: Client) -> tuple[Object, ...] | None:
    try:
        found = [client.find(SERVICE, name, namespace) for namespace, name in gateway_discovery.GATEWAYS]
    except RefusedError:
        return None
    return tuple(service for service in found if service is not None)


def _dry_run(client: Client) -> str:
    """Why admission refuses a valid InferenceService; empty when it accepts one."""
    try:
        client.create(INFERENCE_SERVICE, inference_service(_DRY_RUN, MODEL), dry_run=True)
    except RefusedError as refused:
        return "" if refused.reason == "Forbidden" and "cannot create" in str(refused) else str(refused)
    return ""


def _logs(client: Client, service: ServiceFacts) -> dict[str, str]:
    """By pod: the end of the log of its failing container, or of the one that it still waits for."""
    found: dict[str, str] = {}
    for pod in service.wanted_pods:
        failure, progress = failure_of(pod), progress_of(pod)
        if failure is not None and (failure.log or failure.exit_code is None):
            continue  # the status has the message, or the container has never run
        container = failure.container if failure is not None else progress.container if progress is not None else ""
        if not container:
            continue
        found |= _log(client, pod, container, f"tailLines={_LOG_LINES}")
    return found


def _first_lines(client: Client, service: ServiceFacts) -> dict[str, str]:
    """By ready pod: the start of the log of its model server, which has the warnings about the model."""
    found: dict[str, str] = {}
    for pod in service.wanted_pods:
        if progress_of(pod) is not None:
            continue
        found |= _log(client, pod, SERVER, f"limitBytes={_FIRST_BYTES}")
    return found


def _log(client: Client, pod: Mapping[str, Any], container: str, part: str) -> dict[str, str]:
    """A part of a container's log, by the pod's name; empty if it is forbidden, or the container is gone."""
    name = str(pod["metadata"]["name"])
    try:
        return {name: client.raw(f"{POD.path(client.namespace, name)}/log?container={container}&{part}", _ANSWER_S)}
    except RefusedError:
        return {}


def _local_state(cluster: Cluster) -> dict[str, Any]:
    """The health record and the disk of a cluster on this machine; empty for other clusters."""
    folder = cluster.kubeconfig.parent
    try:
        health = json.loads((folder / _HEALTH).read_text(encoding="utf-8"))
        free = shutil.disk_usage(folder).free
    except (OSError, ValueError):
        return {}
    return {"health": health if isinstance(health, dict) else {}, "folder": str(folder), "free_bytes": free}


def _probed_through_gateway(facts: Facts, cluster: Cluster, client: Client, session: Session) -> Facts:
    """The facts with the answers that come through the gateway, which is found as connect() finds it."""
    try:
        ingress = gateway_discovery.find(cluster, client, session.environ)
    except NoGatewayError as nowhere:
        return replace(facts, unknown_host=ProbeResult(error=str(nowhere)))
    try:
        lasting = ingress.how != "port-forward"  # a port-forward of this examination ends with it
        return _probed(replace(facts, ingress=ingress.address if lasting else ""), ingress)
    finally:
        ingress.close()


def _probed(facts: Facts, ingress: Ingress) -> Facts:
    """The facts with the answers of the gateway and of the models that have pods."""
    unknown = _probe(ingress, UNKNOWN_HOST, "/")
    if unknown.answer is None:
        return replace(facts, unknown_host=unknown)
    probes = 0
    services: list[ServiceFacts] = []
    for service in facts.services:
        if service.status.url and service.has_serving_pods and probes < _MAX_PROBES:
            probes += 1
            service = replace(service, probe=_probe_model(ingress, service))
        services.append(service)
    return replace(facts, unknown_host=unknown, services=tuple(services))


def _probe_model(ingress: Ingress, service: ServiceFacts) -> ProbeResult:
    model = service.predictor.get("model") or {}
    protocol = "v2" if str(model.get("protocolVersion") or "v1").endswith("v2") else "v1"
    return _probe(ingress, host_of(service.status.url), f"/{protocol}/models/{service.name}")


def _probe(ingress: Ingress, host: str, path: str) -> ProbeResult:
    return send(ingress, "GET", host, path, {}, "")
