"""Rules about changes that do not do what people expect, and may cost traffic (C06, C11, C12, C18 to C21)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from kserve_nb.doctor.fact_check import service_check
from kserve_nb.doctor.facts import Facts, ServiceFacts
from kserve_nb.doctor.finding import Finding
from kserve_nb.doctor.remedy import Remedy, kubectl, percent_patch
from kserve_nb.doctor.rule import declare
from kserve_nb.doctor.rules.rollout_rules import traffic_line
from kserve_nb.values.labels import SOURCE_URI, TAG_ROUTING
from kserve_nb.values.pods import Pod
from kserve_nb.values.revisions import short

ANNOTATION_REVISION = declare("C06", "a label or annotation makes a new revision, a percent does not")
LEFT_BEHIND = declare("C11", "apply will not remove the percent")
BAD_PERCENT = declare("C12", "canaryTrafficPercent has a wrong place or value")
SPEC_CANARY = declare("C18", "spec.canary of KServe 0.20 routes no traffic")
PROMOTED_BY_REMOVAL = declare("C19", "removing the percent promotes, it does not roll back")
HELM_ZERO = declare("C20", "a Helm template drops a percent of 0")
ANNOTATED_PERCENT = declare("C21", "the annotation canaryTrafficPercent has no effect")

_FIELD = "canaryTrafficPercent"
_SIMILAR = re.compile(r"canary_?(traffic)?_?(percent(age)?|weight)?$", re.IGNORECASE)
_ANNOTATION = re.compile(r"^[\w.-]*kserve\.io/canary", re.IGNORECASE)
_CONTROLLER_KEYS = ("serving.knative.dev/", "internal.serving.kserve.io/")
_MANAGED_BY = "app.kubernetes.io/managed-by"
_HELM_RELEASE = "meta.helm.sh/release-name"


@service_check
def annotation_revision(facts: Facts, service: ServiceFacts) -> Iterator[Finding]:
    """C06: two revisions with the same model, which differ in annotations or labels alone."""
    if len(service.revisions) < 2:
        return
    before, newest = service.revisions[-2:]
    changed = _changed(before, newest)
    if _model(before) != _model(newest) or not changed:
        return
    old, new = (short(revision["metadata"]["name"]) for revision in (before, newest))
    percent = service.status.requested_percent or 0
    why = (f"Annotations and labels are part of the pods' template, so {new} has the model of {old}; a percent changes "
           "the route alone.")  # fmt: skip
    restarted = 0 < percent < 100 and any(not key.startswith(TAG_ROUTING) for key in changed)
    if restarted:
        why += f" During the canary {new} has replaced {old}, and takes its {percent} %."
    yield Finding(
        ANNOTATION_REVISION, "warning" if restarted else "note", "revision", f"revision {newest['metadata']['name']}",
        f"new: {', '.join(changed)}", why,
        Remedy("change labels and annotations before or after a canary; this lists the revisions",
               kubectl("get", "revisions", namespace=facts.namespace)),
    )  # fmt: skip


@service_check
def left_behind(facts: Facts, service: ServiceFacts) -> Iterator[Finding]:
    """C11: a percent that no apply has written, so that no apply removes it."""
    percent = service.status.requested_percent
    applied = _predictor(service.last_applied) if service.last_applied else None
    if percent is not None and applied is not None and _FIELD not in applied:
        yield Finding(
            LEFT_BEHIND, "note", "rollout", service.title, f"{_FIELD}: {percent}, not in last-applied",
            "A patch or the SDK wrote it. It stays when you apply a manifest without it, or patch with a None, which "
            "the SDK drops.",
            Remedy("to promote, remove it with a patch", percent_patch(service.name, facts.namespace, None)),
        )  # fmt: skip


@service_check
def bad_percent(facts: Facts, service: ServiceFacts) -> Iterator[Finding]:
    """C12: a number that Knative refuses, or the field at a wrong place."""
    percent = service.status.requested_percent
    condition = service.status.conditions.get("PredictorReady")
    if percent is not None and not 0 <= percent <= 100:
        yield Finding(
            BAD_PERCENT, "blocker", "service", service.title,
            condition.message if condition and condition.message else f"{_FIELD}: {percent}",
            f"{_FIELD} is {percent}. The API accepts it, Knative refuses it, and traffic stays as it was.",
            Remedy("set a whole number from 0 to 100; this sets 10", percent_patch(service.name, facts.namespace, 10)),
        )  # fmt: skip
    for path, value in _strays(service.last_applied.get("spec") or {}, "spec"):
        number = value if isinstance(value, int) and 0 <= value <= 100 else 10
        yield Finding(
            BAD_PERCENT, "warning", "service", service.title, f"{path}: {value}",
            f"KServe only reads spec.predictor.{_FIELD}, beside model, not inside it. Elsewhere it is dropped.",
            Remedy("", percent_patch(service.name, facts.namespace, number)),
        )  # fmt: skip


@service_check
def spec_canary(facts: Facts, service: ServiceFacts) -> Iterator[Finding]:
    """C18: the canary of Standard mode."""
    rows = (service.isvc.get("spec") or {}).get("canary") or []
    if rows:
        names = ", ".join(f"{(row.get('predictor') or {}).get('name', '?')} {row.get('trafficPercent', 0)} %"
                          for row in rows if isinstance(row, dict))  # fmt: skip
        yield Finding(
            SPEC_CANARY, "blocker", "service", service.title, f"spec.canary: {names}",
            "KServe 0.20 creates the pods of spec.canary and copies the percent into the status, but neither its "
            "Ingress nor its HTTPRoute sends requests there: all users stay on the stable predictor. READY stays True.",
            Remedy(f"use {_FIELD} in Knative mode, which splits traffic; this shows the canary's status",
                   kubectl("get", "isvc", service.name, "-o", "jsonpath={.status.canaryStatuses}",
                           namespace=facts.namespace)),
        )  # fmt: skip


@service_check
def promoted_by_removal(facts: Facts, service: ServiceFacts) -> Iterator[Finding]:
    """C19: no percent, and pods of the revision that served before: removing the percent was a promotion."""
    status = service.status
    previous = status.previous_rolledout
    pods = any(Pod.of(pod).revision == previous for pod in service.pods)
    if status.requested_percent is None and previous and previous != status.latest_created and pods:
        yield Finding(
            PROMOTED_BY_REMOVAL, "note", "rollout", service.title, f"no {_FIELD}; {traffic_line(service)}",
            f"Without {_FIELD} the newest revision gets 100 % of the traffic. If you meant to go back to "
            f"{short(previous)}, set the percent to 0.",
            Remedy("to roll back", percent_patch(service.name, facts.namespace, 0)),
        )  # fmt: skip


@service_check
def helm_zero(facts: Facts, service: ServiceFacts) -> Iterator[Finding]:
    """C20: managed by Helm, with a previous revision and without a percent."""
    helm = service.labels.get(_MANAGED_BY) == "Helm" or _HELM_RELEASE in service.annotations
    if helm and service.status.requested_percent is None and len(service.revisions) > 1:
        yield Finding(
            HELM_ZERO, "note", "rollout", service.title, f"managed by Helm, no {_FIELD}",
            "In a Helm template `with` and `if` treat 0 as false: a percent of 0, which should roll back, is left out "
            "of the manifest, and without it the newest revision gets 100 %.",
            Remedy('in the template, test for the value\'s presence: {{- if not (kindIs "invalid" .Values.percent) }}; '
                   "to roll back now", percent_patch(service.name, facts.namespace, 0)),
        )  # fmt: skip


@service_check
def annotated_percent(facts: Facts, service: ServiceFacts) -> Iterator[Finding]:
    """C21: an annotation that looks like the field."""
    for key, value in service.annotations.items():
        if not _ANNOTATION.match(key):
            continue
        number = int(value) if value.isdecimal() and int(value) <= 100 else 10
        yield Finding(
            ANNOTATED_PERCENT, "warning", "rollout", service.title, f"annotation {key}: {value}",
            f"KServe reads no annotation of that name and splits no traffic. The percent is spec.predictor.{_FIELD}.",
            Remedy("set the field, and remove the annotation", percent_patch(service.name, facts.namespace, number)),
        )  # fmt: skip


def _predictor(document: Mapping[str, Any]) -> Mapping[str, Any]:
    found: Mapping[str, Any] = (document.get("spec") or {}).get("predictor") or {}
    return found


def _strays(part: Any, path: str) -> Iterator[tuple[str, Any]]:
    """Fields of an applied manifest that mean the percent and are where KServe does not read them."""
    for key, value in part.items() if isinstance(part, dict) else ():
        at = f"{path}.{key}"
        if _SIMILAR.match(key) and not isinstance(value, dict | list) and at != f"spec.predictor.{_FIELD}":
            yield at, value
        yield from _strays(value, at)


def _model(revision: Any) -> tuple[Any, Any]:
    """The model of a revision: its containers, and the model that KServe downloads for them."""
    return revision["spec"].get("containers"), (revision["metadata"].get("annotations") or {}).get(SOURCE_URI)


def _changed(before: Any, after: Any) -> list[str]:
    """Annotations and labels of the template that differ, without those that Knative and KServe maintain."""
    found: list[str] = []
    for part in ("annotations", "labels"):
        old, new = (obj["metadata"].get(part) or {} for obj in (before, after))
        keys = [key for key in {**old, **new} if not key.startswith(_CONTROLLER_KEYS)]
        found += [f"{key}: {new.get(key)}" for key in keys if old.get(key) != new.get(key)]
    return found
