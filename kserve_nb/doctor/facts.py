"""The facts that the rules judge, as one examination read them. What could not be read is None or empty."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from kserve_nb.access.api_client import Object
from kserve_nb.access.ingress import Response, host_of
from kserve_nb.doctor.pod_facts import ContainerFailure, failure_of
from kserve_nb.doctor.session import Session
from kserve_nb.rollout.sampling import Tally
from kserve_nb.values.labels import INFERENCE_SERVICE_LABEL, LAST_APPLIED
from kserve_nb.values.pods import Pod
from kserve_nb.values.revisions import Revision
from kserve_nb.values.rollout_status import RolloutStatus

KSERVE_CONFIG = "inferenceservice-config"
_MODE = "serving.kserve.io/deploymentMode"


@dataclass(frozen=True)
class ProbeResult:
    """The result of one request: an answer, or the reason why there was none."""

    answer: Response | None = None
    error: str = ""


@dataclass(frozen=True)
class ServiceFacts:
    """An InferenceService with the objects that belong to it."""

    isvc: Object
    knative: Object | None = None
    revisions: tuple[Object, ...] = ()  # oldest first
    pods: tuple[Object, ...] = ()
    events: tuple[Object, ...] = ()  # oldest first
    logs: Mapping[str, str] = field(default_factory=dict)  # by pod: the end of the log of the container that matters
    first_lines: Mapping[str, str] = field(default_factory=dict)  # by ready pod: the start of its model server's log
    probe: ProbeResult | None = None  # a GET of the model through the gateway

    @property
    def name(self) -> str:
        """The name of the InferenceService."""
        return str(self.isvc["metadata"]["name"])

    @property
    def namespace(self) -> str:
        """The namespace of the InferenceService."""
        return str(self.isvc["metadata"].get("namespace") or "")

    @property
    def title(self) -> str:
        """The InferenceService as a finding names it."""
        return f"InferenceService {self.name}"

    @property
    def status(self) -> RolloutStatus:
        """The InferenceService as a value."""
        return RolloutStatus.of(self.isvc)

    @property
    def predictor(self) -> Mapping[str, Any]:
        """`spec.predictor`."""
        found: Mapping[str, Any] = (self.isvc.get("spec") or {}).get("predictor") or {}
        return found

    @property
    def mode(self) -> str:
        """Knative or Standard (RawDeployment before KServe 0.16): the requested mode, or else the current one."""
        return self.annotations.get(_MODE) or self.status.mode

    @property
    def annotations(self) -> Mapping[str, str]:
        """The annotations of the InferenceService."""
        found: Mapping[str, str] = self.isvc["metadata"].get("annotations") or {}
        return found

    @property
    def labels(self) -> Mapping[str, str]:
        """The labels of the InferenceService."""
        found: Mapping[str, str] = self.isvc["metadata"].get("labels") or {}
        return found

    @property
    def last_applied(self) -> Mapping[str, Any]:
        """The manifest of the last `kubectl apply`; empty when the object was created by other means."""
        return _mapping(self.annotations.get(LAST_APPLIED))

    @property
    def written_at(self) -> str:
        """When the spec was last written; empty when the object does not record it."""
        rows = self.isvc["metadata"].get("managedFields") or []
        return max((str(row.get("time") or "") for row in rows if row.get("subresource") != "status"), default="")

    @property
    def wanted_pods(self) -> tuple[Object, ...]:
        """The pods of revisions that are in the traffic list or newest, without those that are terminating."""
        status = self.status
        newest = [str(revision["metadata"]["name"]) for revision in self.revisions[-1:]]
        wanted = {*status.percents, status.latest_created, *newest, ""}
        pods = [(pod, Pod.of(pod)) for pod in self.pods]
        return tuple(pod for pod, value in pods if not value.terminating and value.revision in wanted)

    @property
    def failures(self) -> tuple[ContainerFailure, ...]:
        """Why containers of wanted pods do not run; the newest revision's first."""
        newest_first = sorted(self.wanted_pods, key=lambda pod: Pod.of(pod).revision, reverse=True)
        found = (failure_of(pod, self.logs.get(pod["metadata"]["name"], "")) for pod in newest_first)
        return tuple(failure for failure in found if failure is not None)

    @property
    def revision_values(self) -> tuple[Revision, ...]:
        """The revisions as values, oldest first."""
        return tuple(map(Revision.of, self.revisions))

    @property
    def hosts(self) -> tuple[str, ...]:
        """Every host that the gateway serves for it, the main one first."""
        component = ((self.isvc.get("status") or {}).get("components") or {}).get("predictor") or {}
        urls = [self.status.url, component.get("url") or "", *(target.url for target in self.status.traffic)]
        return tuple(dict.fromkeys(host_of(url) for url in urls if url))

    @property
    def answered(self) -> int:
        """The HTTP status of the probe; 0 when there was no answer."""
        return self.probe.answer.status if self.probe and self.probe.answer else 0

    @property
    def has_serving_pods(self) -> bool:
        """Whether a revision with traffic has a pod; without one, a request would start it."""
        serving = {name for name, percent in self.status.percents.items() if percent}
        return any(Pod.of(pod).revision in serving for pod in self.pods)


@dataclass(frozen=True)
class Facts:
    """A cluster, one of its namespaces, and the session that uses it, read at one moment."""

    namespace: str
    context: str = ""
    server: str = ""
    ingress: str = ""  # HOST:PORT; empty when it is unknown
    cluster_name: str = "default"  # for `--name`
    unreachable: str = ""  # why the API server did not answer
    version: str = ""  # v1.35.4
    namespace_labels: Mapping[str, str] | None = None  # None: the namespace does not exist
    configs: Mapping[str, Mapping[str, str] | None] = field(default_factory=dict)  # None: the ConfigMap does not exist
    gateways: tuple[Object, ...] | None = None  # the gateway's Services; None when they are forbidden
    nodes: tuple[Object, ...] = ()
    health: Mapping[str, Any] = field(default_factory=dict)  # an embedded cluster's own record of its parts
    folder: str = ""  # the state folder of an embedded cluster
    free_bytes: int | None = None  # on the disk of that folder
    lacking: tuple[str, ...] = ()  # kinds that this cluster does not serve
    hidden: str = ""  # why the InferenceServices are forbidden
    dry_run: str = ""  # why a dry run of an InferenceService was refused
    services: tuple[ServiceFacts, ...] = ()
    elsewhere: Mapping[str, int] = field(default_factory=dict)  # InferenceServices in other namespaces, by namespace
    unknown_host: ProbeResult | None = None  # a request for a host that nothing serves: does the gateway answer?
    tally: Tally | None = None
    session: Session | None = None
    now: float | None = None  # seconds since the epoch

    @property
    def hosts(self) -> tuple[str, ...]:
        """Every host that the gateway serves."""
        return tuple(dict.fromkeys(host for service in self.services for host in service.hosts))

    @property
    def gateway_answers(self) -> bool:
        """Whether something answered at the ingress address."""
        return self.unknown_host is not None and self.unknown_host.answer is not None

    def setting(self, key: str) -> Mapping[str, Any]:
        """One entry of KServe's ConfigMap, which is JSON in a string; empty when it is unknown."""
        return _mapping((self.configs.get(KSERVE_CONFIG) or {}).get(key))

    @property
    def examined(self) -> str:
        """The parts that were examined, in one line."""
        if self.unreachable:
            return "the API server does not answer"
        if self.namespace_labels is None:
            return f"the cluster answers; namespace {self.namespace} does not exist yet"
        names = ", ".join(service.name for service in self.services) or "no InferenceService yet"
        return f"cluster, KServe, gateway, namespace {self.namespace}, {names}"


def services_of(
    isvcs: Sequence[Object], knative: Sequence[Object], revisions: Sequence[Object], pods: Sequence[Object],
    events: Sequence[Object],
) -> tuple[ServiceFacts, ...]:  # fmt: skip
    """Group the objects of a namespace by the InferenceService that they belong to."""
    in_time = sorted(events, key=moment)
    return tuple(_service_of(isvc, knative, revisions, pods, in_time) for isvc in isvcs)


def _service_of(
    isvc: Object, knative: Sequence[Object], revisions: Sequence[Object], pods: Sequence[Object],
    events: Sequence[Object],
) -> ServiceFacts:  # fmt: skip
    name = str(isvc["metadata"]["name"])
    service = next((k for k in knative if _owned_by(k, isvc)), None)
    own_revisions = sorted((r for r in revisions if _labelled(r, name)), key=_generation)
    names = {str(obj["metadata"]["name"]) for obj in (service, *own_revisions) if obj} or {f"{name}-predictor"}
    return ServiceFacts(
        isvc=isvc,
        knative=service,
        revisions=tuple(own_revisions),
        pods=tuple(pod for pod in pods if _labelled(pod, name)),
        events=tuple(event for event in events if _concerns(event, name, names)),
    )


def moment(event: Object) -> str:
    """When an event was last seen, as text that sorts."""
    return str(event.get("lastTimestamp") or event.get("eventTime") or event["metadata"].get("creationTimestamp") or "")


def _concerns(event: Object, name: str, names: set[str]) -> bool:
    """Whether an event is about the InferenceService or an object whose name begins with one of its objects' names."""
    about = str(event["involvedObject"].get("name") or "")
    return about == name or any(about == known or about.startswith(f"{known}-") for known in names)


def _owned_by(knative: Object, isvc: Object) -> bool:
    """Whether a Knative Service is the predictor of an InferenceService: by owner, and else by label."""
    meta, own = knative["metadata"], isvc["metadata"]
    if (meta.get("labels") or {}).get("component", "predictor") != "predictor":
        return False
    owners = meta.get("ownerReferences") or []
    if any(owner.get("kind") == "InferenceService" and owner.get("name") == own["name"] for owner in owners):
        return True
    return _labelled(knative, str(own["name"]))


def _mapping(text: str | None) -> Mapping[str, Any]:
    """A JSON object in a string; empty when it is invalid, as after a manual edit."""
    try:
        loaded = json.loads(text or "{}")
    except ValueError:
        return {}
    return loaded if isinstance(loaded, dict) else {}


def _labelled(obj: Object, name: str) -> bool:
    return (obj["metadata"].get("labels") or {}).get(INFERENCE_SERVICE_LABEL) == name


def _generation(revision: Object) -> int:
    labels = revision["metadata"].get("labels") or {}
    return int(labels.get("serving.knative.dev/configurationGeneration") or 0)
