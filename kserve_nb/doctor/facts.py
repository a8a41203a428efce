"""What one look at a cluster saw: all that the rules judge. What could not be read is None or empty, never guessed."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from kserve_nb.access.api_client import Object
from kserve_nb.access.ingress import Response, host_of
from kserve_nb.doctor.session import Session
from kserve_nb.rollout.sampling import Tally
from kserve_nb.values.kserve_versions import knative_services
from kserve_nb.values.labels import INFERENCE_SERVICE_LABEL, LAST_APPLIED
from kserve_nb.values.pods import Pod
from kserve_nb.values.revisions import Revision
from kserve_nb.values.rollout_status import RolloutStatus

KSERVE_CONFIG = "inferenceservice-config"
_STAMP = re.compile(r"^\S+ \S+ \d+ \S+ [A-Z]+ \[\S+\] ")  # time, process, logger, level and place of a log line


@dataclass(frozen=True)
class ProbeResult:
    """One request that was tried: an answer, or why there was none."""

    answer: Response | None = None
    error: str = ""


@dataclass(frozen=True)
class Cause:
    """Why a container does not run: the deepest thing that Kubernetes knows."""

    pod: str
    container: str
    reason: str  # Error, CrashLoopBackOff, ImagePullBackOff …
    exit_code: int | None
    log: str  # the end of its log, or the kubelet's message
    arguments: tuple[str, ...] = ()  # of the container; the storage-initializer's first one is the model's URI

    @property
    def last_words(self) -> str:
        """The line of the log that says what failed."""
        lines = [line.strip() for line in self.log.splitlines() if line.strip()]
        return _STAMP.sub("", lines[-1]) if lines else self.reason


@dataclass(frozen=True)
class Service:
    """An InferenceService with all that belongs to it."""

    isvc: Object
    knative: Object | None = None
    revisions: tuple[Object, ...] = ()  # oldest first
    pods: tuple[Object, ...] = ()
    events: tuple[Object, ...] = ()
    logs: Mapping[str, str] = field(default_factory=dict)  # by pod: the end of its failing container's log
    probe: ProbeResult | None = None  # a GET of the model through the gateway

    @property
    def name(self) -> str:
        """Its name."""
        return str(self.isvc["metadata"]["name"])

    @property
    def status(self) -> RolloutStatus:
        """The InferenceService as a value."""
        return RolloutStatus.of(self.isvc)

    @property
    def mode(self) -> str:
        """Knative or Standard (RawDeployment, before KServe 0.16): what was asked for, else what it became."""
        return self.annotations.get("serving.kserve.io/deploymentMode") or self.status.mode

    @property
    def annotations(self) -> Mapping[str, str]:
        """Its annotations."""
        found: Mapping[str, str] = self.isvc["metadata"].get("annotations") or {}
        return found

    @property
    def last_applied(self) -> Mapping[str, Any]:
        """What the last `kubectl apply` wrote; empty where it was made otherwise."""
        return _mapping(self.annotations.get(LAST_APPLIED))

    @property
    def written_at(self) -> str:
        """When somebody last wrote its spec; empty where the object does not say."""
        rows = self.isvc["metadata"].get("managedFields") or []
        return max((str(row.get("time") or "") for row in rows if row.get("subresource") != "status"), default="")

    @property
    def wanted_pods(self) -> tuple[Object, ...]:
        """Its pods without those that were told to end, and those that a revision before the newest has left behind."""
        status = self.status
        newest = [str(revision["metadata"]["name"]) for revision in self.revisions[-1:]]
        wanted = {*status.percents, status.latest_created, *newest, ""}
        pods = [(pod, Pod.of(pod)) for pod in self.pods]
        return tuple(pod for pod, value in pods if not value.terminating and value.revision in wanted)

    @property
    def causes(self) -> tuple[Cause, ...]:
        """Why containers of pods that are wanted do not run; the newest revision's first."""
        newest_first = sorted(self.wanted_pods, key=lambda pod: Pod.of(pod).revision, reverse=True)
        found = (cause_of(pod, self.logs.get(pod["metadata"]["name"], "")) for pod in newest_first)
        return tuple(cause for cause in found if cause is not None)

    @property
    def revision_values(self) -> tuple[Revision, ...]:
        """Its revisions as values, oldest first."""
        return tuple(map(Revision.of, self.revisions))

    @property
    def hosts(self) -> tuple[str, ...]:
        """Every host that the gateway was told to serve for it, the main one first."""
        component = ((self.isvc.get("status") or {}).get("components") or {}).get("predictor") or {}
        urls = [self.status.url, component.get("url") or "", *(target.url for target in self.status.traffic)]
        return tuple(dict.fromkeys(host_of(url) for url in urls if url))

    @property
    def answered(self) -> int:
        """The HTTP status of the probe; 0 where there was none."""
        return self.probe.answer.status if self.probe and self.probe.answer else 0

    @property
    def has_serving_pods(self) -> bool:
        """Whether a revision with traffic has a pod; without one, a request would start it."""
        serving = {name for name, percent in self.status.percents.items() if percent}
        return any(Pod.of(pod).revision in serving for pod in self.pods)


@dataclass(frozen=True)
class Facts:
    """A cluster, a namespace of it, and the session that works with it, as they were found at one moment."""

    namespace: str
    context: str = ""
    server: str = ""
    ingress: str = ""  # HOST:PORT; empty where none is known
    unreachable: str = ""  # why the API server did not answer
    version: str = ""  # v1.35.4
    namespace_labels: Mapping[str, str] | None = None  # None: there is no such namespace
    configs: Mapping[str, Mapping[str, str] | None] = field(default_factory=dict)  # None: there is no such config map
    gateways: tuple[Object, ...] | None = None  # the gateway's Services; None where they may not be read
    nodes: tuple[Object, ...] = ()
    lacking: tuple[str, ...] = ()  # kinds that this cluster does not serve
    hidden: str = ""  # why the InferenceServices may not be read
    dry_run: str = ""  # why a dry run of an InferenceService was refused
    services: tuple[Service, ...] = ()
    unknown_host: ProbeResult | None = None  # a request for a host that nobody serves: is it the gateway?
    tally: Tally | None = None
    session: Session | None = None

    @property
    def hosts(self) -> tuple[str, ...]:
        """Every host that the gateway was told to serve."""
        return tuple(dict.fromkeys(host for service in self.services for host in service.hosts))

    @property
    def gateway_answers(self) -> bool:
        """Whether something answered at the ingress address."""
        return self.unknown_host is not None and self.unknown_host.answer is not None

    def setting(self, key: str) -> Mapping[str, Any]:
        """One entry of KServe's config map, which is JSON in a string; empty where it is not known."""
        return _mapping((self.configs.get(KSERVE_CONFIG) or {}).get(key))

    @property
    def looked(self) -> str:
        """What was looked at, in a line."""
        if self.unreachable:
            return "the cluster does not answer"
        if self.namespace_labels is None:
            create = f"kubectl create namespace {self.namespace}"
            return f"the cluster answers; it has no namespace {self.namespace} yet: {create}"
        names = ", ".join(service.name for service in self.services) or "no InferenceService yet"
        return f"cluster, KServe, gateway, namespace {self.namespace}, {names}"


def services_of(
    isvcs: Sequence[Object], knative: Sequence[Object], revisions: Sequence[Object], pods: Sequence[Object],
    events: Sequence[Object],
) -> tuple[Service, ...]:  # fmt: skip
    """The objects of a namespace, put together by the InferenceService that they belong to."""
    in_time = sorted(events, key=moment)
    return tuple(
        Service(
            isvc=isvc,
            knative=next((k for k in knative if k["metadata"]["name"] in knative_services(name)), None),
            revisions=tuple(sorted((r for r in revisions if _belongs(r, name)), key=_generation)),
            pods=tuple(pod for pod in pods if _belongs(pod, name)),
            events=tuple(e for e in in_time if str(e["involvedObject"].get("name", "")).startswith(name)),
        )
        for isvc in isvcs
        for name in [str(isvc["metadata"]["name"])]
    )


def moment(event: Object) -> str:
    """When an event was seen last, as text that sorts."""
    return str(event.get("lastTimestamp") or event.get("eventTime") or event["metadata"].get("creationTimestamp") or "")


def cause_of(pod: Object, log: str = "") -> Cause | None:
    """Why a pod's first failing container does not run; None where none has failed."""
    status = pod.get("status") or {}
    rows = [*(status.get("initContainerStatuses") or []), *(status.get("containerStatuses") or [])]
    for row in rows:
        state, last = row.get("state") or {}, row.get("lastState") or {}
        ended = state.get("terminated") or last.get("terminated") or {}
        waiting = state.get("waiting") or {}
        failed = not row.get("ready") and (ended.get("exitCode") or _BAD.intersection({waiting.get("reason")}))
        if failed:
            reason = waiting.get("reason") or ended.get("reason") or "Error"
            words = ended.get("message") or log or waiting.get("message") or ""
            arguments = _arguments(pod, row["name"])
            return Cause(pod["metadata"]["name"], row["name"], reason, ended.get("exitCode"), words, arguments)
    return None


def _arguments(pod: Object, container: str) -> tuple[str, ...]:
    rows = [*(pod["spec"].get("initContainers") or []), *(pod["spec"].get("containers") or [])]
    return tuple(next((row.get("args") or [] for row in rows if row.get("name") == container), []))


_BAD = {"ImagePullBackOff", "ErrImagePull", "InvalidImageName", "CreateContainerConfigError", "RunContainerError"}


def _mapping(text: str | None) -> Mapping[str, Any]:
    """A JSON object in a string; empty where it is none, as after an edit by hand."""
    try:
        loaded = json.loads(text or "{}")
    except ValueError:
        return {}
    return loaded if isinstance(loaded, dict) else {}


def _belongs(obj: Object, name: str) -> bool:
    return (obj["metadata"].get("labels") or {}).get(INFERENCE_SERVICE_LABEL) == name


def _generation(revision: Object) -> int:
    labels = revision["metadata"].get("labels") or {}
    return int(labels.get("serving.knative.dev/configurationGeneration") or 0)
