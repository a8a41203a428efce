"""Frozen values built from API objects: what the rest of the package talks about instead of nested dicts."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

Document = Mapping[str, Any]
_PRODUCTION = re.compile(r"(?<![a-z])(prod(uction)?|prd|live)(?![a-z])", re.IGNORECASE)

TAG_ROUTING = "serving.kserve.io/enable-tag-routing"
_WAITING_STATES = ("waiting", "terminated")
_LOG_HEAD = re.compile(r"^[\d-]{10} [\d:.,]{8,} \d+ \S+ [A-Z]+ \[[^\]]*\] ")  # of KServe's loggers: when, who, where


@dataclass(frozen=True)
class Cluster:
    """A cluster as all code but `clusters` knows it: a kubeconfig and an ingress address."""

    kubeconfig: Path
    ingress: str  # HOST:PORT, without a scheme; empty where it is still to be found
    namespace: str = "kserve-test"
    kind: str = "attach"  # embedded, kind or attach: for being shown, never for being asked
    name: str = "default"
    speed: float = 1  # divides the waiting windows of a cluster that can; 1 is real time
    gateway: str = "istio"  # the form of the URLs: istio or kourier
    read_only: str = ""  # why nothing may be changed here; empty where it may


def looks_like_production(name: str) -> bool:
    """Whether a context, a cluster or a server is named as what users depend on is."""
    return bool(_PRODUCTION.search(name))


@dataclass(frozen=True)
class Condition:
    """One row of an object's `status.conditions`."""

    type: str
    status: str  # True, False or Unknown
    reason: str = ""
    message: str = ""

    @classmethod
    def of(cls, row: Document) -> Condition:
        """The value of one element of `status.conditions`."""
        return cls(row["type"], row["status"], row.get("reason") or "", row.get("message") or "")


def conditions_of(obj: Document) -> dict[str, Condition]:
    """An object's conditions by type."""
    rows = (obj.get("status") or {}).get("conditions") or []
    return {row["type"]: Condition.of(row) for row in rows}


@dataclass(frozen=True)
class TrafficTarget:
    """One row of `status.components.predictor.traffic`: which revision gets what percent."""

    revision: str
    percent: int
    latest: bool = False
    tag: str = ""
    url: str = ""

    @classmethod
    def of(cls, row: Document) -> TrafficTarget:
        """The value of one traffic target of Knative."""
        return cls(
            row.get("revisionName") or "",
            row.get("percent") or 0,
            bool(row.get("latestRevision")),
            row.get("tag") or "",
            row.get("url") or "",
        )


@dataclass(frozen=True)
class Revision:
    """One Knative Revision: an immutable model with its settings."""

    name: str
    ready: bool
    model: str = ""  # its storageUri
    reason: str = ""
    message: str = ""
    failed: bool = False  # its Ready is False, not merely Unknown

    @classmethod
    def of(cls, obj: Document) -> Revision:
        """The value of a `revisions.serving.knative.dev` object."""
        ready = conditions_of(obj).get("Ready", Condition("Ready", "Unknown"))
        annotations = obj["metadata"].get("annotations") or {}
        uri = annotations.get("internal.serving.kserve.io/storage-initializer-sourceuri", "")
        is_ready, failed = ready.status == "True", ready.status == "False"
        return cls(obj["metadata"]["name"], is_ready, uri, ready.reason, ready.message, failed)


def last_line(text: str) -> str:
    """The end of a message that may be a whole log: where it says what failed."""
    return _LOG_HEAD.sub("", (text.strip().splitlines() or [""])[-1])


def short(revision: str) -> str:
    """The number that ends a revision's name: `00001` of `sklearn-iris-predictor-00001`."""
    return revision.rpartition("-")[2] or revision


@dataclass(frozen=True)
class Pod:
    """One pod of an InferenceService, in the words `kubectl get pods` uses."""

    name: str
    revision: str
    ready: int  # containers that are ready
    containers: int
    status: str  # Pending, Init:0/1, PodInitializing, Running, Terminating, CrashLoopBackOff …
    restarts: int = 0
    message: str = ""  # why it waits or failed, where the node says so

    @property
    def terminating(self) -> bool:
        """Whether it has been told to end."""
        return self.status == "Terminating"

    @property
    def is_ready(self) -> bool:
        """Whether every container is ready and none has been told to end."""
        return not self.terminating and 0 < self.containers == self.ready

    @classmethod
    def of(cls, obj: Document) -> Pod:
        """The value of a Pod object."""
        meta, status = obj["metadata"], obj.get("status") or {}
        containers = status.get("containerStatuses") or []
        word, message = _pod_status(obj)
        return cls(
            name=meta["name"],
            revision=(meta.get("labels") or {}).get("serving.knative.dev/revision", ""),
            ready=sum(bool(c.get("ready")) for c in containers),
            containers=len(obj.get("spec", {}).get("containers") or containers),
            status=word,
            restarts=sum(c.get("restartCount") or 0 for c in containers),
            message=message,
        )


def _pod_status(obj: Document) -> tuple[str, str]:
    """kubectl's STATUS column and the message behind it (k8s.io/kubernetes pkg/printers/internalversion printPod)."""
    status = obj.get("status") or {}
    if obj["metadata"].get("deletionTimestamp"):
        return "Terminating", ""
    inits = status.get("initContainerStatuses") or []
    for done, init in enumerate(inits):
        state = init.get("state") or {}
        if (state.get("terminated") or {}).get("exitCode") == 0:
            continue
        word, message = _reason(state)
        if word in ("", "PodInitializing"):
            return f"Init:{done}/{len(inits)}", message
        return f"Init:{word}", message
    for container in status.get("containerStatuses") or []:
        word, message = _reason(container.get("state") or {})
        if word:
            return word, message
    return status.get("phase") or "Pending", status.get("message") or ""


def _reason(state: Document) -> tuple[str, str]:
    """Reason and message of a container that is not running; empty for one that is."""
    for name in _WAITING_STATES:
        if name in state:
            row = state[name]
            return row.get("reason") or (f"ExitCode:{row['exitCode']}" if "exitCode" in row else ""), row.get(
                "message"
            ) or ""
    return "", ""


@dataclass(frozen=True)
class RolloutStatus:
    """An InferenceService as one value: what was asked, and who gets what percent of the traffic now."""

    name: str
    namespace: str
    requested_percent: int | None  # spec.predictor.canaryTrafficPercent
    model: str  # spec: the storageUri
    tag_routing: bool  # the annotation that opens the latest- host
    traffic: tuple[TrafficTarget, ...] = ()
    conditions: Mapping[str, Condition] = field(default_factory=dict)
    latest_created: str = ""
    latest_ready: str = ""
    latest_rolledout: str = ""
    previous_rolledout: str = ""
    url: str = ""
    model_state: str = ""  # status.modelStatus.transitionStatus
    failure: str = ""  # status.modelStatus.lastFailureInfo.message
    mode: str = ""  # status.deploymentMode: Knative, or Standard, where canaryTrafficPercent does nothing
    resources: Mapping[str, Any] = field(default_factory=dict)  # spec: the model's requests and limits
    version: str = ""  # metadata.resourceVersion: changes with every write, the controllers' own included
    uid: str = ""
    generation: int = 0  # metadata.generation: changes with the spec alone
    changed_by: str = ""  # the program that wrote the spec last, as it calls itself: kubectl-patch, kserve-nb …

    @property
    def edition(self) -> tuple[str, int]:
        """Differs between two looks where somebody changed the spec in between, or made the object anew."""
        return self.uid, self.generation

    @property
    def latest(self) -> TrafficTarget | None:
        """The target that follows the latest ready revision: the columns LATEST and LATESTREADYREVISION."""
        return next((target for target in self.traffic if target.latest), None)

    @property
    def previous(self) -> TrafficTarget | None:
        """The target tagged `prev`: the columns PREV and PREVROLLEDOUTREVISION."""
        return next((target for target in self.traffic if target.tag == "prev"), None)

    @property
    def canary_percent(self) -> int | None:
        """The percent that LATEST gets beside a previous revision; None where no canary or pin is."""
        latest, previous = self.latest, self.previous
        return latest.percent if latest and previous else None

    @property
    def percents(self) -> dict[str, int]:
        """Percent of the traffic by revision name, two rows of one revision added up."""
        sums: dict[str, int] = {}
        for target in self.traffic:
            sums[target.revision] = sums.get(target.revision, 0) + target.percent
        return sums

    @property
    def ready(self) -> Condition:
        """The Ready condition. It speaks of the newest revision, and may be stale right after a write."""
        return self.conditions.get("Ready", Condition("Ready", "Unknown"))

    @classmethod
    def of(cls, obj: Document) -> RolloutStatus:
        """The value of an `inferenceservices.serving.kserve.io` object."""
        meta, spec, status = obj["metadata"], obj.get("spec") or {}, obj.get("status") or {}
        predictor = spec.get("predictor") or {}
        component = (status.get("components") or {}).get("predictor") or {}
        model_status = status.get("modelStatus") or {}
        return cls(
            name=meta["name"],
            namespace=meta.get("namespace") or "",
            requested_percent=predictor.get("canaryTrafficPercent"),
            model=(predictor.get("model") or {}).get("storageUri") or "",
            tag_routing=(meta.get("annotations") or {}).get(TAG_ROUTING) == "true",
            traffic=tuple(TrafficTarget.of(row) for row in component.get("traffic") or []),
            conditions=conditions_of(obj),
            latest_created=component.get("latestCreatedRevision") or "",
            latest_ready=component.get("latestReadyRevision") or "",
            latest_rolledout=component.get("latestRolledoutRevision") or "",
            previous_rolledout=component.get("previousRolledoutRevision") or "",
            url=status.get("url") or "",
            model_state=model_status.get("transitionStatus") or "",
            failure=(model_status.get("lastFailureInfo") or {}).get("message") or "",
            mode=status.get("deploymentMode") or "",
            resources=(predictor.get("model") or {}).get("resources") or {},
            version=meta.get("resourceVersion") or "",
            uid=meta.get("uid") or "",
            generation=meta.get("generation") or 0,
            changed_by=_changed_by(meta.get("managedFields") or ()),
        )


def _changed_by(managers: Sequence[Document]) -> str:
    """Of the programs that wrote fields of the spec, the last; times are whole seconds, so a percent decides a tie."""
    wrote = [
        (row.get("time") or "", "canaryTrafficPercent" in str(fields), row.get("manager") or "")
        for row in managers
        if (fields := (row.get("fieldsV1") or {}).get("f:spec"))
    ]
    return max(wrote, default=("", False, ""))[2]


@dataclass(frozen=True)
class Split:
    """How a number of requests were answered: what was seen, not what was asked."""

    counts: Mapping[str, int]  # by revision name
    failed: int = 0  # no answer, or not a 200
    unattributed: int = 0  # answered alike by both revisions, or as neither does
    lost: int = 0  # never reached the gateway, as our own port-forward broke off: they say nothing about a revision

    @property
    def sent(self) -> int:
        """All requests that reached the gateway, or should have."""
        return self.attributed + self.failed + self.unattributed

    @property
    def attributed(self) -> int:
        """Requests of which we know who answered."""
        return sum(self.counts.values())

    def __add__(self, other: Split) -> Split:
        names = {**self.counts, **other.counts}
        counts = {name: self.counts.get(name, 0) + other.counts.get(name, 0) for name in names}
        lost = self.lost + other.lost
        return Split(counts, self.failed + other.failed, self.unattributed + other.unattributed, lost)
