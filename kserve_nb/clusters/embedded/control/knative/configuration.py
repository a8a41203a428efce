"""Configurations: one Revision per generation of the template, and the latest created and latest ready Revision.

Source: knative.dev/serving pkg/reconciler/configuration/configuration.go, resources/revision.go, and
pkg/apis/serving/v1/configuration_lifecycle.go.
"""

from __future__ import annotations

from kserve_nb.clusters.embedded.apimachinery.kinds import CONFIGURATION, REVISION
from kserve_nb.clusters.embedded.apimachinery.objects import (
    Object,
    Objects,
    condition,
    copied,
    is_true,
    owner_reference,
    utc,
)
from kserve_nb.clusters.embedded.control.framework.child_names import child_name
from kserve_nb.clusters.embedded.control.framework.condition_set import Conditions
from kserve_nb.clusters.embedded.control.framework.reconciler import Changes, Moment, Reconciler
from kserve_nb.clusters.embedded.control.knative.knative_reconciler import begin, finish
from kserve_nb.values.labels import (
    CONFIGURATION_GENERATION_LABEL,
    CONFIGURATION_LABEL,
    CONFIGURATION_UID_LABEL,
    CREATOR,
    LAST_MODIFIER,
    ROUTES,
    ROUTING_STATE_LABEL,
    ROUTING_STATE_MODIFIED,
    SERVICE_LABEL,
    SERVICE_UID_LABEL,
)

COMPONENT = "configuration-controller"


def reconcile(configuration: Object, view: Objects, moment: Moment) -> Changes:
    """Create the Revision of this generation, then find the latest ready one (`ReconcileKind`)."""
    changes = Changes()
    meta = configuration["metadata"]
    if "deletionTimestamp" in meta:
        return changes
    status, conditions = begin(configuration, (), moment.now)
    revisions = view.list(REVISION, meta["namespace"], {CONFIGURATION_LABEL: meta["name"]})
    latest = next((r for r in revisions if generation_of(r) == meta["generation"]), None)
    if latest is None:
        latest = _named(configuration, view)
        if latest is not None and not _is_for(configuration, latest):
            message = f'revisions.serving.knative.dev "{latest["metadata"]["name"]}" already exists'
            conditions.mark_false("Ready", "RevisionFailed", f"Revision creation failed with message: {message}.")
            finish(CONFIGURATION, configuration, status, changes)
            return changes
    if latest is None:
        latest = make_revision(configuration, moment.now)
        changes.create(REVISION, latest)
        changes.event(configuration, "Normal", "Created", f'Created Revision "{latest["metadata"]["name"]}"', COMPONENT)
    _set_latest_created(status, conditions, latest["metadata"]["name"])
    _propagate_latest_created(configuration, latest, status, conditions, changes)
    _set_latest_ready(configuration, revisions, status, conditions, changes)
    finish(CONFIGURATION, configuration, status, changes)
    return changes


def _named(configuration: Object, view: Objects) -> Object | None:
    """The existing Revision with the name that the template gives."""
    name = (configuration["spec"]["template"].get("metadata") or {}).get("name")
    return view.find(REVISION, configuration["metadata"]["namespace"], name) if name else None


def _is_for(configuration: Object, revision: Object) -> bool:
    """Whether a Revision with the template's name can be used for it (`CheckNameAvailability`)."""
    owners = revision["metadata"].get("ownerReferences") or []
    owned = any(o.get("controller") and o["uid"] == configuration["metadata"]["uid"] for o in owners)
    return owned and bool(revision["spec"] == configuration["spec"]["template"]["spec"])


def generation_of(revision: Object) -> int:
    """The generation of the Configuration that a Revision was created for (`configGeneration`)."""
    return int((revision["metadata"].get("labels") or {}).get(CONFIGURATION_GENERATION_LABEL, 0))


def make_revision(configuration: Object, now: float) -> Object:
    """The Revision of the current generation (`MakeRevision`)."""
    meta, template = configuration["metadata"], copied(configuration["spec"]["template"])
    labels, annotations = (dict((template.get("metadata") or {}).get(key) or {}) for key in ("labels", "annotations"))
    labels |= _labels(meta)
    held = meta.get("annotations") or {}
    if LAST_MODIFIER in held:
        annotations[CREATOR] = held[LAST_MODIFIER]
    if ROUTES in held:
        annotations[ROUTES] = held[ROUTES]
    labels[ROUTING_STATE_LABEL] = "active" if ROUTES in held else "pending"
    annotations[ROUTING_STATE_MODIFIED] = utc(now)
    return {
        "apiVersion": REVISION.api_version, "kind": REVISION.kind, "spec": template["spec"],
        "metadata": {"name": (template.get("metadata") or {}).get("name")
                     or child_name(meta["name"], f"-{meta['generation']:05d}"), "namespace": meta["namespace"],
                     "labels": labels, "annotations": annotations,
                     "ownerReferences": [owner_reference(configuration)]},
    }


def _labels(meta: Object) -> dict[str, str]:
    """The labels of a new Revision (`updateRevisionLabels`)."""
    held = meta.get("labels") or {}
    labels = {CONFIGURATION_LABEL: meta["name"], CONFIGURATION_GENERATION_LABEL: str(meta["generation"]),
              CONFIGURATION_UID_LABEL: meta["uid"]}
    return labels | {key: held[key] for key in (SERVICE_LABEL, SERVICE_UID_LABEL) if key in held}


def _set_latest_created(status: Object, conditions: Conditions, name: str) -> None:
    """Set the latest created Revision in the status (`SetLatestCreatedRevisionName`)."""
    status["latestCreatedRevisionName"] = name
    if status.get("latestReadyRevisionName") != name:
        conditions.mark_unknown("Ready")


def _propagate_latest_created(configuration: Object, latest: Object, status: Object, conditions: Conditions,
                              changes: Changes) -> None:
    """Report that the latest created Revision has failed, or is the first one to become ready."""
    ready, name = condition(latest, "Ready"), latest["metadata"]["name"]
    if ready.get("status") == "True" and not status.get("latestReadyRevisionName"):
        changes.event(configuration, "Normal", "ConfigurationReady", "Configuration becomes ready", COMPONENT)
    if ready.get("status") == "False":
        message = f'Revision "{name}" failed with message: {ready.get("message", "")}.'
        before = conditions.get("Ready")
        conditions.mark_false("Ready", "RevisionFailed", message)
        if before != conditions.get("Ready"):
            known = "ready" if name == status.get("latestReadyRevisionName") else "created"
            changes.event(configuration, "Warning", f"Latest{known.title()}Failed",
                          f'Latest {known} revision "{name}" has failed', COMPONENT)


def _set_latest_ready(configuration: Object, revisions: list[Object], status: Object, conditions: Conditions,
                      changes: Changes) -> None:
    """Set the newest ready Revision that is not older than the previous one (`findAndSetLatestReadyRevision`)."""
    before = status.get("latestReadyRevisionName")
    floor = next((generation_of(r) for r in revisions if r["metadata"]["name"] == before), 0)
    ready = [r for r in revisions if generation_of(r) >= floor and is_ready(r)]
    if not ready:
        return
    name = max(ready, key=generation_of)["metadata"]["name"]
    status["latestReadyRevisionName"] = name
    if name == status["latestCreatedRevisionName"]:
        conditions.mark_true("Ready")
    if name != before:
        changes.event(configuration, "Normal", "LatestReadyUpdate",
                      f'LatestReadyRevisionName updated to "{name}"', COMPONENT)


def is_ready(revision: Object) -> bool:
    """Whether a Revision is Ready at its current generation (revision_lifecycle.go `IsReady`)."""
    observed = (revision.get("status") or {}).get("observedGeneration")
    return bool(observed == revision["metadata"]["generation"]) and is_true(revision, "Ready")


RECONCILERS = (Reconciler("configuration", CONFIGURATION, reconcile, owns=(REVISION,)),)
