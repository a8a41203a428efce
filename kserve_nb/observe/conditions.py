"""The ladder of conditions from a pod's container up to the InferenceService: each rung waits for the one below."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from kserve_nb.values.foreign_text import last_line
from kserve_nb.values.pods import Pod
from kserve_nb.values.rollout_status import FAILED_MODEL_STATES

Object = Mapping[str, Any]
_SHOULD_BE_FALSE = {"Stopped"}
_MAY_BE_ANYTHING = {"Active"}  # of a Revision: False where it is scaled to zero, which is no failure


@dataclass(frozen=True)
class Rung:
    """One condition of one object, and whether it holds what is above it back."""

    kind: str
    name: str
    type: str
    status: str  # True, False or Unknown
    reason: str = ""
    message: str = ""
    since: str = ""  # RFC 3339
    word: Literal["holds", "waits", "fails"] = "holds"


def rungs_of(
    isvc: Object, knative: Object | None, route: Object | None, revisions: Sequence[Object], pods: Iterable[Object]
) -> tuple[Rung, ...]:
    """The conditions that decide over the newest revision, the deepest first.

    KServe copies its conditions from the Knative Service, that from its Configuration and Route, those from the
    Revision, and that from its pods (https://knative.dev/docs/serving/ "errors and conditions").
    """
    newest = max((str(obj["metadata"]["name"]) for obj in revisions), default="")
    revision = [obj for obj in revisions if obj["metadata"]["name"] == newest]
    held = [rung for obj in pods for rung in _of_pod(obj, newest)]
    rows = [("Revision", obj) for obj in revision] + [("Route", route), ("Service", knative)]
    above = [rung for kind, obj in rows if obj for rung in _conditions(kind, obj)]
    return (*_model(isvc), *held, *above, *_conditions("InferenceService", isvc))


def _conditions(kind: str, obj: Object) -> list[Rung]:
    rows = (obj.get("status") or {}).get("conditions") or []
    ordered = sorted(rows, key=lambda row: (row["type"] == "Ready", row["type"]))  # Ready sums the others up
    return [
        Rung(
            kind, obj["metadata"]["name"], row["type"], row["status"], row.get("reason") or "",
            row.get("message") or "", row.get("lastTransitionTime") or "", _word(row["type"], row["status"]),
        )
        for row in ordered
    ]  # fmt: skip


def _of_pod(obj: Object, newest: str) -> list[Rung]:
    pod = Pod.of(obj)
    if pod.revision != newest or pod.terminating or pod.is_ready:
        return []
    since = next((row.get("lastTransitionTime") or "" for row in (obj.get("status") or {}).get("conditions") or []
                  if row["type"] == "Ready"), "")  # fmt: skip
    failing = "BackOff" in pod.status or "Err" in pod.status or pod.status in ("Failed", "OOMKilled")
    word: Literal["waits", "fails"] = "fails" if failing else "waits"
    message = last_line(pod.message)  # it may be a log
    return [Rung("Pod", pod.name, "ContainersReady", "False", pod.status, message, since, word)]


def _model(isvc: Object) -> list[Rung]:
    """What KServe says of the model itself, with the end of the container's log: there is nothing deeper."""
    status = (isvc.get("status") or {}).get("modelStatus") or {}
    info, word = status.get("lastFailureInfo") or {}, status.get("transitionStatus") or ""
    if word not in FAILED_MODEL_STATES:
        return []
    message = last_line(info.get("message") or "")
    return [Rung("model", isvc["metadata"]["name"], word, "False", info.get("reason") or "", message, "", "fails")]


def _word(type_: str, status: str) -> Literal["holds", "waits", "fails"]:
    if type_ in _MAY_BE_ANYTHING or status == ("False" if type_ in _SHOULD_BE_FALSE else "True"):
        return "holds"
    return "waits" if status == "Unknown" else "fails"
