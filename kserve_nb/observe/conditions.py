"""The ladder of conditions, from a pod's container up to the InferenceService: each waits for the one below."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from kserve_nb.values.pods import Pod
from kserve_nb.values.rollout_status import FAILED_MODEL_STATES
from kserve_nb.values.text.foreign_text import last_line

Object = Mapping[str, Any]
LadderState = Literal["holds", "waits", "fails"]
_SHOULD_BE_FALSE = {"Stopped"}
_MAY_BE_ANYTHING = {"Active"}  # False while a Revision is scaled to zero, which is not a failure


@dataclass(frozen=True)
class LadderCondition:
    """One condition of one object, and whether it holds back the conditions above it."""

    kind: str
    name: str
    type: str
    status: str  # True, False or Unknown
    reason: str = ""
    message: str = ""
    since: str = ""  # RFC 3339
    state: LadderState = "holds"


def ladder_of(
    isvc: Object, knative: Object | None, route: Object | None, revisions: Sequence[Object], pods: Iterable[Object]
) -> tuple[LadderCondition, ...]:
    """The conditions that decide about the newest revision, the deepest first.

    KServe copies its conditions from the Knative Service, which copies its own from its Configuration and Route. These
    depend on the Revision, and the Revision on its pods (https://knative.dev/docs/serving/ "errors and conditions").
    """
    newest = max((str(obj["metadata"]["name"]) for obj in revisions), default="")
    revision = [obj for obj in revisions if obj["metadata"]["name"] == newest]
    of_pods = [condition for obj in pods for condition in _of_pod(obj, newest)]
    rows = [("Revision", obj) for obj in revision] + [("Route", route), ("Service", knative)]
    above = [condition for kind, obj in rows if obj for condition in _conditions(kind, obj)]
    return (*_model(isvc), *of_pods, *above, *_conditions("InferenceService", isvc))


def _conditions(kind: str, obj: Object) -> list[LadderCondition]:
    rows = (obj.get("status") or {}).get("conditions") or []
    ordered = sorted(rows, key=lambda row: (row["type"] == "Ready", row["type"]))  # Ready combines the others
    return [
        LadderCondition(
            kind, obj["metadata"]["name"], row["type"], row["status"], row.get("reason") or "",
            row.get("message") or "", row.get("lastTransitionTime") or "", _state(row["type"], row["status"]),
        )
        for row in ordered
    ]  # fmt: skip


def _of_pod(obj: Object, newest: str) -> list[LadderCondition]:
    """A pod of the newest revision that is not ready yet."""
    pod = Pod.of(obj)
    if pod.revision != newest or pod.terminating or pod.is_ready:
        return []
    since = next((row.get("lastTransitionTime") or "" for row in (obj.get("status") or {}).get("conditions") or []
                  if row["type"] == "Ready"), "")  # fmt: skip
    state: LadderState = "fails" if pod.failing else "waits"
    message = last_line(pod.message)
    return [LadderCondition("Pod", pod.name, "ContainersReady", "False", pod.status, message, since, state)]


def _model(isvc: Object) -> list[LadderCondition]:
    """KServe's report about a model that cannot be loaded, with the last line of the container's log."""
    status = (isvc.get("status") or {}).get("modelStatus") or {}
    info, state = status.get("lastFailureInfo") or {}, status.get("transitionStatus") or ""
    if state not in FAILED_MODEL_STATES:
        return []
    name, message = isvc["metadata"]["name"], last_line(info.get("message") or "")
    return [LadderCondition("model", name, state, "False", info.get("reason") or "", message, "", "fails")]


def _state(type_: str, status: str) -> LadderState:
    if type_ in _MAY_BE_ANYTHING or status == ("False" if type_ in _SHOULD_BE_FALSE else "True"):
        return "holds"
    return "waits" if status == "Unknown" else "fails"
