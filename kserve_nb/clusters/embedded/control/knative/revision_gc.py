"""Garbage collection of revisions: deletes old ones that no Route refers to.

Source: knative.dev/serving pkg/reconciler/gc/gc.go (`collect`) and the defaults of pkg/gc/config.go.
"""

from __future__ import annotations

from datetime import datetime

from kserve_nb.clusters.embedded.apimachinery.kinds import CONFIGURATION, REVISION
from kserve_nb.clusters.embedded.apimachinery.objects import Object, Objects
from kserve_nb.clusters.embedded.control.framework.reconciler import Changes, Moment, Reconciler
from kserve_nb.values.labels import (
    CONFIGURATION_LABEL,
    REVISION_PRESERVED,
    ROUTING_STATE_LABEL,
    ROUTING_STATE_MODIFIED,
)

HOUR_S = 3600
RETAIN_SINCE_CREATE_S = 48 * HOUR_S
RETAIN_SINCE_LAST_ACTIVE_S = 15 * HOUR_S
MIN_NON_ACTIVE, MAX_NON_ACTIVE = 20, 1000
RESYNC_S = 10 * HOUR_S  # the resync period of Knative's informers


def reconcile(configuration: Object, view: Objects, moment: Moment) -> Changes:
    """Delete stale revisions, then the oldest ones beyond the maximum number."""
    changes = Changes()
    meta = configuration["metadata"]
    revisions = view.list(REVISION, meta["namespace"], {CONFIGURATION_LABEL: meta["name"]})
    idle = sorted((r for r in revisions if not _is_active(r, configuration)), key=last_active)
    if len(idle) <= MIN_NON_ACTIVE:
        return changes
    stale = [r for r in idle if _is_stale(r, moment.now)][:len(idle) - MIN_NON_ACTIVE]
    rest = [r for r in idle if r not in stale]
    for revision in stale + rest[:max(0, len(rest) - MAX_NON_ACTIVE)]:
        changes.delete(REVISION, revision)
    changes.requeue_after(RESYNC_S)
    return changes


def _is_active(revision: Object, configuration: Object) -> bool:
    """Whether a revision is the latest ready one, marked as preserved, or not in the routing state reserve."""
    meta = revision["metadata"]
    return (meta["name"] == (configuration.get("status") or {}).get("latestReadyRevisionName")
            or (meta.get("annotations") or {}).get(REVISION_PRESERVED, "").lower() == "true"
            or (meta.get("labels") or {}).get(ROUTING_STATE_LABEL) != "reserve")


def _is_stale(revision: Object, now: float) -> bool:
    created = _posix(revision["metadata"]["creationTimestamp"])
    return now - created >= RETAIN_SINCE_CREATE_S and now - last_active(revision) >= RETAIN_SINCE_LAST_ACTIVE_S


def last_active(revision: Object) -> float:
    """When a revision's routing state last changed, or when it was created, as a POSIX time."""
    meta = revision["metadata"]
    return _posix((meta.get("annotations") or {}).get(ROUTING_STATE_MODIFIED) or meta["creationTimestamp"])


def _posix(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


RECONCILERS = (Reconciler("revision gc", CONFIGURATION, reconcile, owns=(REVISION,)),)
