"""An InferenceService as one value: what its spec requests, and how its traffic is split now."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from kserve_nb.values.condition import Condition, conditions_of
from kserve_nb.values.labels import TAG_ROUTING

FAILED_MODEL_STATES = ("BlockedByFailedLoad", "InvalidSpec")  # values of status.modelStatus.transitionStatus


@dataclass(frozen=True)
class TrafficTarget:
    """One row of `status.components.predictor.traffic`: a revision and the percent of traffic it receives.

    >>> TrafficTarget("sklearn-iris-predictor-00002", percent=10, latest=True)
    TrafficTarget(revision='sklearn-iris-predictor-00002', percent=10, latest=True, tag='', url='')
    """

    revision: str
    percent: int
    latest: bool = False
    tag: str = ""
    url: str = ""

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> TrafficTarget:
        """Read one of Knative's traffic targets."""
        return cls(
            row.get("revisionName") or "",
            row.get("percent") or 0,
            bool(row.get("latestRevision")),
            row.get("tag") or "",
            row.get("url") or "",
        )


@dataclass(frozen=True)
class RolloutStatus:
    """An InferenceService: what its spec requests, and how its traffic is split now.

    >>> status = rollout.status()
    >>> status.requested_percent, status.latest.revision, status.latest.percent
    (10, 'sklearn-iris-predictor-00002', 10)
    """

    name: str
    namespace: str
    requested_percent: int | None  # spec.predictor.canaryTrafficPercent
    model: str  # spec: the storageUri
    tag_routing: bool  # the annotation that adds the latest- host
    traffic: tuple[TrafficTarget, ...] = ()
    conditions: Mapping[str, Condition] = field(default_factory=dict)
    latest_created: str = ""
    latest_ready: str = ""
    latest_rolledout: str = ""
    previous_rolledout: str = ""
    url: str = ""
    model_state: str = ""  # status.modelStatus.transitionStatus
    failure: str = ""  # status.modelStatus.lastFailureInfo.message
    mode: str = ""  # status.deploymentMode: Knative, or Standard, where canaryTrafficPercent has no effect
    resources: Mapping[str, Any] = field(default_factory=dict)  # spec: the model's requests and limits
    version: str = ""  # metadata.resourceVersion: changes with every write, including the controllers'
    uid: str = ""
    generation: int = 0  # metadata.generation: changes with the spec only
    changed_by: str = ""  # the field manager of the last write to the spec: kubectl-patch, kserve-nb …

    @property
    def edition(self) -> tuple[str, int]:
        """Differs between two readings if the spec was changed or the object was created again between them."""
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
        """The percent of LATEST beside a previous revision; None without a canary or a pin."""
        latest, previous = self.latest, self.previous
        return latest.percent if latest and previous else None

    @property
    def percents(self) -> dict[str, int]:
        """Percent of the traffic by revision name. Two rows of one revision are added up."""
        sums: dict[str, int] = {}
        for target in self.traffic:
            sums[target.revision] = sums.get(target.revision, 0) + target.percent
        return sums

    @property
    def ready(self) -> Condition:
        """The Ready condition. It describes the newest revision, and can be stale right after a write."""
        return self.conditions.get("Ready", Condition("Ready", "Unknown"))

    @property
    def model_failed(self) -> bool:
        """Whether KServe reports that the newest model cannot be loaded."""
        return self.model_state in FAILED_MODEL_STATES

    @classmethod
    def of(cls, obj: Mapping[str, Any]) -> RolloutStatus:
        """Read an `inferenceservices.serving.kserve.io` object."""
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


def _changed_by(managers: Sequence[Mapping[str, Any]]) -> str:
    """The last field manager that wrote the spec. Times are whole seconds: writing the percent breaks a tie."""
    wrote = [
        (row.get("time") or "", "canaryTrafficPercent" in str(fields), row.get("manager") or "")
        for row in managers
        if (fields := (row.get("fieldsV1") or {}).get("f:spec"))
    ]
    return max(wrote, default=("", False, ""))[2]
