"""How far a rollout has come: what is missing until its traffic has moved, and whether it has failed. Pure.

The Ready condition of an InferenceService is stale for up to seconds after a write, and its observedGeneration counts
the generations of another object. Knative's generations are reliable, so the Knative Service is compared too.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kserve_nb.values import kserve_versions
from kserve_nb.values.condition import Condition, conditions_of
from kserve_nb.values.labels import SOURCE_URI, TAG_ROUTING
from kserve_nb.values.revisions import short
from kserve_nb.values.rollout_status import RolloutStatus, TrafficTarget

_UNKNOWN = Condition("", "Unknown")


def expected_traffic(status: RolloutStatus) -> tuple[tuple[str, int], ...]:
    """The expected traffic: revision and percent of each target, after the controllers have acted on the spec.

    kserve pkg/controller/v1beta1/inferenceservice/reconcilers/knative/ksvc_reconciler.go createKnativeService.
    """
    percent, stable = status.requested_percent, status.latest_rolledout
    if percent is None or percent == 100 or not stable:
        return ((status.latest_created, 100),)
    return ((status.latest_created, percent), (stable, 100 - percent))


def detour(status: RolloutStatus, percent: int, model: str | None, models: Mapping[str, str]) -> str:
    """Why a higher percent would send users to the revision that they were rolled back from; empty if it would not.

    LATEST is the latest *ready* revision: until a new revision is ready, it is the one that users were taken from.

    Args:
        model: the storageUri of a new revision; None if only the percent changes.
        models: the storageUri of each revision, as far as known.
    """
    latest = status.latest
    if status.requested_percent != 0 or percent == 0 or latest is None:
        return ""
    away = f"{short(latest.revision)}, which is pinned away,"
    harm = f"{status.name}: {percent} % would go to {away} until the new revision is ready. First "
    if model and model != status.model:
        return harm + "rollout.canary(model, percent=0), await rollout.wait(), then the percent."
    coming = status.latest_created != latest.revision or models.get(latest.revision, status.model) != status.model
    return harm + "await rollout.wait(), then the percent." if coming else ""


def rewritten(seen: RolloutStatus, now: RolloutStatus) -> str:
    """Who changed the spec between two readings, and what they changed."""
    was, now_is = ("no percent" if p is None else f"{p} %" for p in (seen.requested_percent, now.requested_percent))
    what = f"the requested percent is {now_is}, it was {was}" if was != now_is else "its model or settings have changed"
    who = f" ({now.changed_by})" if now.changed_by else ""
    return f"{now.name}: somebody else{who} changed it meanwhile: {what}. Nothing was written."


def missing(status: RolloutStatus, knative: Mapping[str, Any] | None) -> str:
    """What is missing until traffic has moved; empty once it has.

    Args:
        knative: the Knative Service of the InferenceService; None if it does not exist yet.
    """
    if knative is None:
        return "KServe has not created its Knative Service yet"
    if not follows(status, knative):
        return "KServe has not passed the change on to Knative yet"
    if not _observed(knative):
        return "Knative has not seen the change yet"
    return _missing_revision(status) or _missing_traffic(status, knative) or _not_ready(status, knative)


def failure(status: RolloutStatus, knative: Mapping[str, Any] | None) -> str:
    """The controller's message about a change that cannot succeed without help; empty if it still can.

    A conflict between two controllers can look like this for a second: read again before you rely on it.
    """
    predictor = status.conditions.get("PredictorReady", _UNKNOWN)
    if kserve_versions.ignores_canary(status.mode):
        return f"it runs in {status.mode} mode, where canaryTrafficPercent has no effect"
    if predictor.status == "False" and predictor.reason == "ReconcileFailed":
        return predictor.message
    if status.model_state == "InvalidSpec":
        return status.failure or predictor.message or status.model_state
    if knative is None or not follows(status, knative) or not _observed(knative) or not _same_created(status, knative):
        return ""  # the status can still describe an earlier change
    if status.model_failed:
        return status.failure or predictor.message or status.model_state
    # KServe never clears lastFailureInfo: here it can describe an earlier revision.
    return predictor.message or predictor.reason if predictor.status == "False" else ""


def follows(status: RolloutStatus, knative: Mapping[str, Any]) -> bool:
    """Whether the Knative Service's template has the present spec's model, tag routing and resources."""
    template = knative["spec"]["template"]
    annotations = (template.get("metadata") or {}).get("annotations") or {}
    same_model = annotations.get(SOURCE_URI, "") == status.model
    same_tag = (annotations.get(TAG_ROUTING) == "true") == status.tag_routing
    return same_model and same_tag and _same_resources(status, template)


def _missing_revision(status: RolloutStatus) -> str:
    if not status.latest_created:
        return "no revision has been created yet"
    if status.latest_created == status.latest_ready:
        return ""
    why = _reason(status.conditions, "PredictorReady")
    return f"revision {short(status.latest_created)} is not ready yet{why}"


def _missing_traffic(status: RolloutStatus, knative: Mapping[str, Any]) -> str:
    wanted = expected_traffic(status)
    requested = [TrafficTarget.of(row) for row in (knative.get("spec") or {}).get("traffic") or []]
    # A Knative Service's spec does not name the latest revision.
    if [(t.revision or status.latest_created, t.percent) for t in requested] != list(wanted):
        return "KServe has not requested this traffic from Knative yet"
    seen = [(t.revision, t.percent) for t in status.traffic]
    return "" if seen == list(wanted) else f"traffic is {_in_words(seen)}, expected {_in_words(wanted)}"


def _not_ready(status: RolloutStatus, knative: Mapping[str, Any]) -> str:
    conditions = conditions_of(knative)
    if conditions.get("Ready", _UNKNOWN).status != "True":
        return f"Knative has not finished{_reason(conditions, 'Ready')}"
    if status.ready.status != "True":
        return f"KServe has not finished{_reason(status.conditions, 'Ready')}"
    return ""


def _same_resources(status: RolloutStatus, template: Mapping[str, Any]) -> bool:
    """Whether the template has the requests and limits of the spec; those it leaves out come from the runtime."""
    from kubernetes.utils.quantity import parse_quantity  # loads the whole client

    container = (template.get("spec") or {}).get("containers", [{}])[0].get("resources") or {}
    return all(
        parse_quantity((container.get(kind) or {}).get(resource, 0)) == parse_quantity(amount)
        for kind, amounts in status.resources.items()
        for resource, amount in (amounts or {}).items()
    )


def _observed(knative: Mapping[str, Any]) -> bool:
    observed = (knative.get("status") or {}).get("observedGeneration")
    return bool(observed == knative["metadata"].get("generation"))


def _same_created(status: RolloutStatus, knative: Mapping[str, Any]) -> bool:
    created = (knative.get("status") or {}).get("latestCreatedRevisionName")
    return bool(status.latest_created) and created == status.latest_created


def _reason(conditions: Mapping[str, Condition], type_: str) -> str:
    found = conditions.get(type_, _UNKNOWN)
    words = ": ".join(filter(None, (found.reason, found.message)))
    return f" ({words})" if words else ""


def _in_words(rows: Any) -> str:
    return " / ".join(f"{percent} % {short(revision)}" for revision, percent in rows) or "none"
