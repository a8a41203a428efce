"""Facts for the doctor, made from objects that were recorded on a real cluster."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

from kserve_nb.access.ingress import Response
from kserve_nb.doctor import Facts, Report, diagnose
from kserve_nb.doctor.facts import ServiceFacts, services_of

DATA = Path(__file__).parents[1] / "data" / "doctor"
ROLLOUT = DATA.parent / "rollout"
NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
Object = dict[str, Any]
# Messages as programs print them, with the rule of each and the program.
TEXTS: list[dict[str, str]] = yaml.safe_load((DATA / "texts.yaml").read_text(encoding="utf-8"))
TEXTS += [dict(zip(("rule", "said_by", "text"), row, strict=True))
          for row in yaml.safe_load((DATA / "messages.yaml").read_text(encoding="utf-8"))]  # fmt: skip


def items(folder: Path, name: str) -> list[dict[str, Any]]:
    """The objects of a recorded file; empty if there is no such file."""
    file = folder / f"{name}.json"
    if not file.exists():
        return []
    loaded = json.loads(file.read_text(encoding="utf-8"))
    found: list[dict[str, Any]] = loaded.get("items", [loaded])
    return found


def recorded(folder: Path, only: str = "") -> Facts:
    """A namespace as it was recorded, with all of its InferenceServices or only one."""
    isvcs = [isvc for isvc in items(folder, "isvc") if only in ("", isvc["metadata"]["name"])]
    rest = (items(folder, name) for name in ("ksvc", "revision", "pods", "events"))
    return Facts("kserve-test", namespace_labels={}, services=services_of(isvcs, *rest))


def report(facts: Facts) -> Report:
    """The report about these facts."""
    return Report(diagnose(facts), facts.examined)


def ids(report: Report) -> list[str]:
    """The ids of the rules that have findings, in order."""
    return [finding.id for finding in report.findings]


def changed(step: str, change: Callable[[Object], Any], **known: Any) -> Facts:
    """A recorded step whose InferenceService was changed."""
    facts = recorded(ROLLOUT / step)
    isvc = copy.deepcopy(facts.services[0].isvc)
    change(isvc)
    return replace(facts, services=(replace(facts.services[0], isvc=isvc),), now=NOW.timestamp(), **known)


def predictor(**values: Any) -> Callable[[Object], Any]:
    """A change of `spec.predictor`."""
    return lambda isvc: isvc["spec"]["predictor"].update(values)


def annotated(**values: str) -> Callable[[Object], Any]:
    """A change of the annotations."""
    return lambda isvc: isvc["metadata"].setdefault("annotations", {}).update(values)


def node(**conditions: str) -> Object:
    """A node with these conditions."""
    rows = [{"type": kind, "status": status, "reason": "R", "message": f"{kind} is {status}"}
            for kind, status in conditions.items()]  # fmt: skip
    return {"metadata": {"name": "node-1"}, "status": {"conditions": rows}}


def with_pod(step: str, change: Callable[[Object], Any], **known: Any) -> Facts:
    """A recorded step whose canary is not ready, with a newest pod that was changed."""
    facts = recorded(ROLLOUT / step)
    service = facts.services[0]
    pods = [copy.deepcopy(pod) for pod in service.pods]
    newest = max(pods, key=lambda pod: str(pod["metadata"]["labels"]["serving.knative.dev/revision"]))
    change(newest)
    return replace(facts, services=(_unready(service, pods, newest, **known),), now=NOW.timestamp())


def _unready(service: ServiceFacts, pods: list[Object], newest: Object, **known: Any) -> ServiceFacts:
    """The service in its state while the newest revision is not ready."""
    isvc = copy.deepcopy(service.isvc)
    component = isvc["status"]["components"]["predictor"]
    old = component["latestReadyRevision"] = component["latestRolledoutRevision"]
    for target in component["traffic"]:
        target["revisionName"] = old
    logs = {newest["metadata"]["name"]: known.pop("log")} if "log" in known else {}
    return replace(service, isvc=isvc, pods=tuple(pods), logs=logs)


def waiting(container: str, why: str, text: str = "", **last: Any) -> Callable[[Object], None]:
    """The status of a container that waits, with the end of its last run."""

    def change(pod: Object) -> None:
        state = {"waiting": {"reason": why, "message": text}}
        pod["status"]["conditions"] = [{"type": "Ready", "status": "False"}]
        for row in (*pod["status"]["initContainerStatuses"], *pod["status"]["containerStatuses"]):
            if row["name"] == container:
                row |= {"ready": False, "state": state, "lastState": {"terminated": last} if last else {}}

    return change


def unscheduled(message: str) -> Callable[[Object], None]:
    """A pod without a node, with the scheduler's message."""

    def change(pod: Object) -> None:
        pod["status"] = {"phase": "Pending", "conditions": [
            {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message}]}  # fmt: skip

    return change


def answer(status: int, text: str) -> Response:
    """An answer that came through Istio's gateway."""
    return Response(status, {"server": "istio-envoy"}, text)
