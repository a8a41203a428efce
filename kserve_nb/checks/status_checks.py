"""Checks of the rollout's state: the spec, the traffic list in the status, and the pods of each revision."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kserve_nb.access.api_client import INFERENCE_SERVICE
from kserve_nb.checks.check import CheckFailed, Outcome, step
from kserve_nb.rollout import progress
from kserve_nb.rollout.rollout import Rollout
from kserve_nb.values.revisions import short
from kserve_nb.values.rollout_status import RolloutStatus, TrafficTarget
from kserve_nb.values.text.foreign_text import last_line
from kserve_nb.values.text.render import pod_line, status_line

_FIELD = "canaryTrafficPercent"


def first_ready(rollout: Rollout, hint: bool) -> Outcome:
    """Pass when revision 00001 receives all traffic."""
    status = settled(rollout, "00001 is ready and LATEST is 100", "The first revision is not serving yet", hint)
    if _rows(status) != [("00001", 100)]:
        raise CheckFailed(
            "There is more than the first revision",
            "LATEST 100 → 00001",
            traffic_in_words(status),
            step("start again from the first step", 'await lab.ensure("first-model")', hint),
        )
    return "revision 00001 serves 100 % (LATEST=100, PREV empty)", seen(status)


def canary_spec(rollout: Rollout, percent: int, hint: bool) -> Outcome:
    """Pass when `spec.predictor.canaryTrafficPercent` is this number."""
    predictor = _predictor(rollout)
    found = predictor.get(_FIELD)
    if found != percent or isinstance(found, bool):
        saw = "no such field" if found is None else f"{found}"
        if _FIELD in (predictor.get("model") or {}):
            saw = "the field is under model:, KServe reads it under predictor:"
        raise CheckFailed(
            f"The spec does not request {percent} %",
            f"spec.predictor.{_FIELD}: {percent}",
            saw,
            step("write the field beside model:, at the same depth", "kubectl explain isvc.spec.predictor", hint),
        )
    return f"the spec requests {percent} %", {"percent": found}


def split_status(rollout: Rollout, percent: int, hint: bool) -> Outcome:
    """Pass when the traffic list names two different revisions with these percents."""
    status = settled(rollout, f"PREV {100 - percent}, LATEST {percent}", "Traffic is not split yet", hint)
    latest, previous = status.latest, status.previous
    good = latest and previous and latest.revision != previous.revision and latest.percent == percent
    if not good or latest is None or previous is None:
        raise CheckFailed(
            "The traffic list has other percents",
            f"PREV {100 - percent} and LATEST {percent}, of two different revisions",
            traffic_in_words(status),
            step("set the percent, then await rollout.wait()", f"rollout.canary(percent={percent})", hint),
        )
    return f"PREV={previous.percent} ({short(previous.revision)}) {_latest(latest)}", seen(status)


def promoted(rollout: Rollout, hint: bool) -> Outcome:
    """Pass when the percent is absent (or 100) and a later revision than the first receives all traffic."""
    found = _predictor(rollout).get(_FIELD)
    if found not in (None, 100):
        raise CheckFailed(
            "The canary is not promoted",
            f"no {_FIELD} in the object, or 100",
            f"{_FIELD}: {found}",
            step("remove the field; a merge patch does so with null", "rollout.promote()", hint),
        )
    status = settled(rollout, "LATEST 100, PREV empty", "The canary is not promoted yet", hint)
    revision = short(status.latest.revision) if status.latest else ""
    if revision == "00001":
        raise CheckFailed(
            "There was no canary to promote",
            "LATEST 100 → 00002",
            traffic_in_words(status),
            step("start a canary first", 'await lab.ensure("canary-10")', hint),
        )
    return f"{revision} serves 100 % (LATEST=100, PREV empty)", seen(status)


def pinned(rollout: Rollout, hint: bool) -> Outcome:
    """Pass when the previous revision receives all traffic and the latest one none."""
    status = settled(rollout, "PREV 100, LATEST 0", "The previous revision does not serve all users yet", hint)
    latest, previous = status.latest, status.previous
    if not latest or not previous or (previous.percent, latest.percent) != (100, 0):
        raise CheckFailed(
            "The previous revision is not pinned",
            "PREV 100 → 00001, LATEST 0 → 00002",
            traffic_in_words(status),
            step("set canaryTrafficPercent to 0 and await rollout.wait()", "rollout.pin()", hint),
        )
    line = f"users are back on {short(previous.revision)}: PREV=100 ({short(previous.revision)}) {_latest(latest)}"
    return line, seen(status)


def pods(rollout: Rollout, expected: Mapping[str, int] | None, hint: bool) -> Outcome:
    """Pass when each expected revision has that many ready pods and no other revision has one."""
    wanted = expected or {short(target.revision): 1 for target in rollout.status().traffic}
    alive = [pod for pod in rollout.pods() if not pod.terminating]
    ready: dict[str, int] = {}
    for pod in alive:
        ready[short(pod.revision)] = ready.get(short(pod.revision), 0) + pod.is_ready
    if ready != dict(wanted):
        raise CheckFailed(
            "The ready pods differ",
            _pod_counts(wanted),
            ", ".join(map(pod_line, alive)) or "none",
            step("await rollout.wait_pods(), or find out why a pod waits", "%kubectl describe pods", hint),
        )
    return f"ready pods: {_pod_counts(wanted)}", {"pods": ready}


def scaled_down(rollout: Rollout, revision: str, hint: bool) -> Outcome:
    """Pass when every pod of that revision is gone or terminating."""
    named = short(revision) in map(short, rollout.status().percents)
    alive = [p for p in rollout.pods() if short(p.revision) == short(revision) and not p.terminating]
    if alive:
        waits = "it waits for the end of the scale-down period"
        saw = "the route names it, and a revision in the route keeps its pods" if named else waits
        raise CheckFailed(
            f"{short(revision)} still has pods",
            "none: it receives no traffic",
            f"{', '.join(map(pod_line, alive))}; {saw}",
            step("await rollout.wait_pods()", "a pod stops 60 s after its last request, divided by the speed", hint),
        )
    return f"{short(revision)} has no pods", {}


def settled(rollout: Rollout, expected: str, title: str, hint: bool) -> RolloutStatus:
    """The status after everything that the spec requests has been done. Raises CheckFailed before that."""
    status, knative = rollout.status_and_service()
    left = progress.failure(status, knative) or progress.missing(status, knative)
    if left:
        raise CheckFailed(
            title,
            expected,
            last_line(left),  # KServe may pass on a whole log: its last line names the failure
            step("await rollout.wait(): it returns when it is done, or raises the reason", "rollout.pods()", hint),
        )
    return status


def traffic_in_words(status: RolloutStatus) -> str:
    """The traffic list as text, without the name of the InferenceService."""
    return status_line(status).partition(": ")[2]


def seen(status: RolloutStatus) -> dict[str, Any]:
    """The values of the status that a passed check records."""
    return {"traffic": _rows(status), "ready": status.ready.status}


def _predictor(rollout: Rollout) -> dict[str, Any]:
    predictor: dict[str, Any] = rollout.client.get(INFERENCE_SERVICE, rollout.name)["spec"]["predictor"]
    return predictor


def _rows(status: RolloutStatus) -> list[tuple[str, int]]:
    return [(short(target.revision), target.percent) for target in status.traffic]


def _latest(target: TrafficTarget) -> str:
    return f"LATEST={target.percent} ({short(target.revision)})"


def _pod_counts(pods: Mapping[str, int]) -> str:
    return ", ".join(f"{revision}×{count}" for revision, count in sorted(pods.items())) or "none"
