"""Rules about rollouts: what is wrong, and what is right and surprises (C…)."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from kserve_nb.doctor.facts import Facts, Service
from kserve_nb.doctor.finding import Finding
from kserve_nb.rollout import progress
from kserve_nb.values.labels import SOURCE_URI
from kserve_nb.values.pods import Pod
from kserve_nb.values.revisions import short

_FIELD = "canaryTrafficPercent"
_MEANT = re.compile(r"canary_?(traffic)?_?(percent(age)?|weight)?$", re.IGNORECASE)
_OWN = ("serving.knative.dev/", "internal.serving.kserve.io/")


def first_percent(service: Service) -> Iterator[Finding]:
    """C01: a percent, and one revision alone."""
    status = service.status
    taken = service.knative is None or progress.follows(status, service.knative)  # else the second one is on its way
    alone = len(service.revisions) == 1 and status.latest_ready == status.latest_created
    if alone and taken and status.requested_percent not in (None, 100) and status.traffic:
        yield Finding(
            "C01", "warning", "rollout", f"InferenceService {service.name}", _rows(service),
            "There is nobody to share traffic with: the first revision gets all of it, whatever the percent.",
            f"kubectl patch isvc {service.name} --type merge -p "
            f"'{{\"spec\":{{\"predictor\":{{\"{_FIELD}\":null}}}}}}', then bring the second model with a percent",
        )  # fmt: skip


def ready_means(service: Service) -> Iterator[Finding]:
    """C04: READY speaks of the newest revision, and is stale right after a write."""
    status = service.status
    left = progress.missing(status, service.knative)
    if status.ready.status != "True" and service.answered == 200:
        saw = f"{' '.join(filter(None, ('READY', status.ready.status, status.ready.reason)))}, the model answers 200"
        why = f"READY speaks of {short(status.latest_created)}, the newest revision; users get {_rows(service)}."
    elif status.ready.status == "True" and left and service.knative is not None and not _alone(service):
        saw, why = f"READY True, and {left}", "READY is that from before the last write: wait for traffic to move."
    else:
        return
    yield Finding(
        "C04", "note", "rollout", f"InferenceService {service.name}", saw, why, "await rollout.wait()",
    )  # fmt: skip


def preparing(service: Service) -> Iterator[Finding]:
    """C05: both targets name the old revision while the new one starts."""
    status = service.status
    latest, previous = status.latest, status.previous
    if latest and previous and latest.revision == previous.revision and status.latest_created != status.latest_ready:
        yield Finding(
            "C05", "note", "rollout", f"InferenceService {service.name}", _rows(service),
            f"Both names are {short(latest.revision)}: it has all users until {short(status.latest_created)} is ready.",
            "await rollout.wait()",
        )  # fmt: skip


def annotation_revision(service: Service) -> Iterator[Finding]:
    """C06: two revisions with the same model, unlike in annotations or labels alone."""
    if len(service.revisions) < 2:
        return
    before, newest = service.revisions[-2:]
    changed = _changed(before, newest)
    if _model(before) == _model(newest) and changed:
        number = short(newest["metadata"]["name"])
        yield Finding(
            "C06", "note", "revision", f"revision {newest['metadata']['name']}", f"new: {', '.join(changed)}",
            f"Annotations and labels land in the pods' template, so {number} has the model of the one before; "
            "a percent lands in the route alone.", "rollout.plan(document) says beforehand what a change will cause",
        )  # fmt: skip


def other_pods(service: Service) -> Iterator[Finding]:
    """C07: pods of revisions that get no traffic."""
    percents = service.status.percents
    rest = [pod for pod in map(Pod.of, service.pods) if not percents.get(pod.revision) and percents]
    ending = [pod for pod in rest if pod.terminating]
    wanted = {pod["metadata"]["name"] for pod in service.wanted_pods}
    kept = [pod for pod in rest if pod.name in wanted and pod.revision in percents]
    left = [pod for pod in rest if pod.name not in wanted and not pod.terminating]
    for pods, why in (
        (ending, "It gets no new requests and drains for about 30 s; 60 s without traffic passed before."),
        (kept, "The route names its revision, at 0 %: that is enough to keep its pods."),
        (left, "A revision before the newest one has left it behind, and nobody needs it. Knative takes it away; a "
               "failing one when its 10 minutes to get ready are over."),
    ):
        for pod in pods:
            saw = f"{pod.ready}/{pod.containers} {pod.status}"
            yield Finding("C07", "note", "pod", pod.name, saw, why, "nothing: it is as it should be")


def two_steps(service: Service) -> Iterator[Finding]:
    """C08: the first of the two steps of a pin after a promote."""
    status = service.status
    latest, previous = status.latest, status.previous
    twice = latest and previous and latest.revision == previous.revision and status.requested_percent == 0
    if twice and latest and status.latest_created == status.latest_ready and not _alone(service):
        yield Finding(
            "C08", "note", "rollout", f"InferenceService {service.name}", _rows(service),
            f"KServe first writes 0 and 100 for {short(latest.revision)} itself, then finds the revision before it: "
            "a second later PREV is that one.", "await rollout.wait()",
        )  # fmt: skip


def pinned(service: Service) -> Iterator[Finding]:
    """C09: what a new model would do to a pin."""
    status = service.status
    latest, previous = status.latest, status.previous
    if status.requested_percent == 0 and latest and previous and latest.revision != previous.revision:
        bad = short(latest.revision)
        yield Finding(
            "C09", "note", "rollout", f"InferenceService {service.name}", _rows(service),
            f"Take the pin away together with a new model and all users are on {bad} until the new one is ready.",
            "rollout.canary(model, percent=0), await rollout.wait(), then rollout.canary(percent=10)",
        )  # fmt: skip


def left_out(service: Service) -> Iterator[Finding]:
    """C10: the page prints an empty text where the object has no field."""
    status = service.status
    if status.previous and not status.previous_rolledout and not _alone(service):
        yield Finding(
            "C10", "note", "rollout", f"InferenceService {service.name}", "no previousRolledoutRevision in status",
            'The page shows `"previousRolledoutRevision": ""`; the API leaves empty texts out, a promote fills it. The '
            " column PREV is read from traffic.", f"kubectl get isvc {service.name} -o json | jq .status.components",
        )  # fmt: skip


def left_behind(service: Service) -> Iterator[Finding]:
    """C11: a percent that no apply has written, no apply will remove."""
    asked = service.status.requested_percent
    applied = ((service.last_applied.get("spec") or {}).get("predictor") or {}) if service.last_applied else None
    if asked is not None and applied is not None and _FIELD not in applied:
        yield Finding(
            "C11", "note", "rollout", f"InferenceService {service.name}", f"{_FIELD}: {asked}, not in last-applied",
            "A patch or the SDK wrote it. Applying a manifest without it, or patching with a None that the SDK drops, "
            "leaves it there.", "rollout.promote(), or kubectl patch isvc "
            f"{service.name} --type merge -p '{{\"spec\":{{\"predictor\":{{\"{_FIELD}\":null}}}}}}'",
        )  # fmt: skip


def bad_percent(service: Service) -> Iterator[Finding]:
    """C12: a number that Knative refuses, or the field at the wrong depth."""
    asked = service.status.requested_percent
    condition = service.status.conditions.get("PredictorReady")
    if asked is not None and not 0 <= asked <= 100:
        yield Finding(
            "C12", "blocker", "service", f"InferenceService {service.name}",
            condition.message if condition and condition.message else f"{_FIELD}: {asked}",
            f"{_FIELD} is {asked}: apply accepts it, Knative refuses it, and traffic stays as it was.",
            "rollout.canary(percent=10), or another whole number from 0 to 100",
        )  # fmt: skip
    for path, value in _strays(service.last_applied.get("spec") or {}, "spec"):
        patch = {"spec": {"predictor": {_FIELD: value}}}
        yield Finding(
            "C12", "warning", "service", f"InferenceService {service.name}", f"{path}: {value}",
            f"KServe reads spec.predictor.{_FIELD} alone, beside model: and not in it; elsewhere it is dropped.",
            f"kubectl patch isvc {service.name} --type merge -p '{json.dumps(patch)}'",
        )  # fmt: skip


def _strays(part: Any, path: str) -> Iterator[tuple[str, Any]]:
    """Where in an applied manifest a field that means the percent stands, and KServe does not look for it."""
    for key, value in part.items() if isinstance(part, dict) else ():
        at = f"{path}.{key}"
        if _MEANT.match(key) and not isinstance(value, dict) and at != f"spec.predictor.{_FIELD}":
            yield at, value
        yield from _strays(value, at)


def doors(service: Service) -> Iterator[Finding]:
    """C13: the door to PREV is there without being asked for."""
    status = service.status
    tags = {target.tag for target in status.traffic}
    if "prev" in tags and "latest" not in tags and not status.tag_routing:
        yield Finding(
            "C13", "note", "rollout", f"InferenceService {service.name}", "traffic has the tag prev alone",
            "KServe always tags the previous revision; the host latest-… answers 404 until the annotation "
            'serving.kserve.io/enable-tag-routing: "true" is there.', "rollout.tag(), which makes a new revision",
        )  # fmt: skip


def small_sample(facts: Facts) -> Iterator[Finding]:
    """C02 and C03: what a sample of requests can tell."""
    tally = facts.tally
    if tally is None:
        return
    verdict = tally.verdict()
    counts = {name: count for name, count in tally.split.counts.items() if count}
    if verdict.word == "too few":
        yield Finding(
            "C02", "note", "rollout", f"{verdict.sent} requests", repr(verdict),
            f"Each request is drawn by itself: none of {verdict.sent} reaches {verdict.percent} % "
            f"in {100 * verdict.none_chance:.0f} % of all cases.", f"send(rollout, {verdict.sent + verdict.more})",
        )  # fmt: skip
    if len(counts) == 1 and 0 < tally.percent < 100:
        yield Finding(
            "C03", "note", "rollout", f"{verdict.sent} requests", f"all answered by {short(next(iter(counts)))}",
            "Not because a connection stays with a revision: the gateway draws for each request anew, "
            "also on one connection.", "send(rollout, 300) keeps its connections open, and meets both",
        )  # fmt: skip


_EACH = (
    first_percent, ready_means, preparing, annotation_revision, other_pods, two_steps, pinned, left_out, left_behind,
    bad_percent, doors,
)  # fmt: skip


def rollouts(facts: Facts) -> Iterator[Finding]:
    """Every rule about one InferenceService, on each."""
    for service in facts.services:
        for rule in _EACH:
            yield from rule(service)


RULES = (rollouts, small_sample)


def _alone(service: Service) -> bool:
    return len(service.revisions) == 1


def _rows(service: Service) -> str:
    rows = service.status.traffic
    return " / ".join(f"{row.percent} % {short(row.revision)}" for row in rows) or "no traffic"


def _model(revision: Any) -> tuple[Any, Any]:
    """What a revision serves: its containers, and the model that KServe fetches for them."""
    return revision["spec"].get("containers"), (revision["metadata"].get("annotations") or {}).get(SOURCE_URI)


def _changed(before: Any, after: Any) -> list[str]:
    """Annotations and labels of the template that differ, without what Knative and KServe keep there themselves."""
    found: list[str] = []
    for part in ("annotations", "labels"):
        old, new = (obj["metadata"].get(part) or {} for obj in (before, after))
        keys = [key for key in {**old, **new} if not key.startswith(_OWN)]
        found += [f"{key}: {new.get(key)}" for key in keys if old.get(key) != new.get(key)]
    return found
