"""One look at a cluster: everything the rules judge is read here, and nothing is written."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace

from kubernetes.config import ConfigException

from kserve_nb.access import gateway_discovery, kube_context
from kserve_nb.access.api_client import (
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
from kserve_nb.doctor.facts import KSERVE_CONFIG, Facts, ProbeResult, Service, cause_of, services_of
from kserve_nb.doctor.session import Session
from kserve_nb.values.cluster import UNKNOWN_HOST, Cluster
from kserve_nb.values.manifest import MODEL, inference_service

_CONFIG_MAP = Resource("", "v1", "configmaps")
_EVENT = Resource("", "v1", "events")
_NODE = Resource("", "v1", "nodes", namespaced=False)
_CONFIGS = (("kserve", KSERVE_CONFIG), ("knative-serving", "config-domain"), ("knative-serving", "config-network"))
_DRY_RUN = "kserve-nb-doctor"  # an InferenceService that is never stored
_ANSWER_S = 3.0  # the first question, and each probe
_LOG_LINES = 20
_NOBODY = (UNREACHABLE, "Unauthorized")  # reasons for which nothing at all can be read
_MOST = 5  # models that are asked for an answer


def look(cluster: Cluster, session: Session, *, probing: bool = True) -> Facts:
    """The facts of a cluster now. Reads, asks admission by a dry run, and sends a GET to the gateway and each model."""
    found = kube_context.current(cluster.kubeconfig)
    facts = Facts(cluster.namespace, found.name, found.server, session=session, ingress=cluster.ingress)
    try:
        client = Client(cluster)
        version = json.loads(client.raw("/version", _ANSWER_S)).get("gitVersion") or ""
        facts = _look(client, replace(facts, version=version))
        return _reached(facts, cluster, client, session) if probing else facts
    except RefusedError as refused:
        return replace(facts, unreachable=str(refused))
    except (ConfigException, OSError, ValueError) as error:  # no such kubeconfig, or one that names nothing
        return replace(facts, unreachable=f"{cluster.kubeconfig}: {error}")


def _look(client: Client, facts: Facts) -> Facts:
    lacking: list[str] = []
    hidden: dict[Resource, str] = {}

    def every(kind: Resource) -> list[Object]:
        try:
            return client.find_all(kind)
        except ObjectNotFoundError:
            lacking.append(f"{kind.plural}.{kind.group}")
            return []
        except RefusedError as refused:
            if refused.reason in _NOBODY:
                raise
            hidden[kind] = str(refused)  # not ours to read
            return []

    kinds = (INFERENCE_SERVICE, KNATIVE_SERVICE, REVISION, POD, _EVENT)
    services = services_of(*map(every, kinds))
    labels = _namespace_labels(client)
    return replace(
        facts,
        services=tuple(replace(service, logs=_logs(client, service)) for service in services),
        lacking=tuple(lacking),
        hidden=hidden.get(INFERENCE_SERVICE, ""),
        namespace_labels=labels,
        configs=_configs(client),
        gateways=_gateways(client),
        nodes=tuple(every(_NODE)),
        dry_run=_dry_run(client) if labels is not None and not lacking else "",
    )


def _namespace_labels(client: Client) -> dict[str, str] | None:
    """The namespace's labels, none where it is not ours to read; None where there is no such namespace."""
    try:
        namespace = client.find(NAMESPACE, client.namespace)
    except RefusedError as refused:
        if refused.reason in _NOBODY:
            raise
        return {}
    return None if namespace is None else namespace["metadata"].get("labels") or {}


def _configs(client: Client) -> dict[str, Mapping[str, str] | None]:
    found: dict[str, Mapping[str, str] | None] = {}
    for namespace, name in _CONFIGS:
        try:
            config = client.find(_CONFIG_MAP, name, namespace)
        except RefusedError:
            continue  # not ours to read: unknown
        found[name] = None if config is None else config.get("data") or {}
    return found


def _gateways(client: Client) -> tuple[Object, ...] | None:
    try:
        found = [client.find(SERVICE, name, namespace) for namespace, name in gateway_discovery.GATEWAYS]
    except RefusedError:
        return None
    return tuple(service for service in found if service is not None)


def _dry_run(client: Client) -> str:
    """Why admission refuses an InferenceService that is fine; empty where it does not."""
    try:
        client.create(INFERENCE_SERVICE, inference_service(_DRY_RUN, MODEL), dry_run=True)
    except RefusedError as refused:
        return "" if refused.reason == "Forbidden" and "cannot create" in str(refused) else str(refused)
    return ""


def _logs(client: Client, service: Service) -> dict[str, str]:
    """The end of the log of each failing container that left no message."""
    found: dict[str, str] = {}
    for pod in service.pods:
        cause = cause_of(pod)
        if cause is None or cause.log or cause.exit_code is None:
            continue
        path = f"{POD.path(client.namespace, cause.pod)}/log?container={cause.container}&tailLines={_LOG_LINES}"
        try:
            found[cause.pod] = client.raw(path, _ANSWER_S)
        except RefusedError:
            continue  # the container may be gone
    return found


def _reached(facts: Facts, cluster: Cluster, client: Client, session: Session) -> Facts:
    """The facts with what comes back through the gateway, which is looked for as connect() does."""
    try:
        ingress = gateway_discovery.find(cluster, client, session.environ)
    except NoGatewayError as nowhere:
        return replace(facts, unknown_host=ProbeResult(error=str(nowhere)))
    try:
        lasting = ingress.how != "port-forward"  # one that we began ends with this look
        return _probed(replace(facts, ingress=ingress.address if lasting else ""), ingress)
    finally:
        ingress.close()


def _probed(facts: Facts, ingress: Ingress) -> Facts:
    """The facts with what the gateway answers; a model without pods is not woken."""
    unknown = _probe(ingress, UNKNOWN_HOST, "/")
    if unknown.answer is None:
        return replace(facts, unknown_host=unknown)
    asked = 0
    services: list[Service] = []
    for service in facts.services:
        if service.status.url and service.has_serving_pods and asked < _MOST:
            asked += 1
            service = replace(service, probe=_ask(ingress, service))
        services.append(service)
    return replace(facts, unknown_host=unknown, services=tuple(services))


def _ask(ingress: Ingress, service: Service) -> ProbeResult:
    model = service.isvc["spec"]["predictor"].get("model") or {}
    protocol = "v2" if str(model.get("protocolVersion") or "v1").endswith("v2") else "v1"
    return _probe(ingress, host_of(service.status.url), f"/{protocol}/models/{service.name}")


def _probe(ingress: Ingress, host: str, path: str) -> ProbeResult:
    try:
        return ProbeResult(answer=ingress.send("GET", host, path, timeout_s=_ANSWER_S))
    except PredictError as error:
        return ProbeResult(error=str(error))


def send(ingress: Ingress, method: str, host: str, path: str, headers: Mapping[str, str], body: str) -> ProbeResult:
    """Send a pasted request as it is."""
    try:
        answer = ingress.send(method, host, path, body=body or None, headers=headers, timeout_s=_ANSWER_S)
        return ProbeResult(answer=answer)
    except PredictError as error:
        return ProbeResult(error=str(error))

