"""The beginning and the end of every reconcile function of a Knative object: conditions, status, finalizers.

Source: knative.dev/pkg reconciler/reconcile_common.go (`PreProcessReconcile`, `PostProcessReconcile`) and the generated
`Reconcile` and `updateFinalizersFiltered` of each kind.
"""

from __future__ import annotations

from kserve_nb.clusters.embedded.apimachinery.objects import Kind, Object, copied
from kserve_nb.clusters.embedded.control.framework.condition_set import Conditions
from kserve_nb.clusters.embedded.control.framework.reconciler import Changes, without_version


def begin(obj: Object, dependents: tuple[str, ...], now: float) -> tuple[Object, Conditions]:
    """A copy of the status to work on, and its conditions. Ready becomes Unknown if the generation is new."""
    status = copied(obj.get("status") or {})
    conditions = Conditions(status, dependents, now)
    conditions.initialize()
    if status.get("observedGeneration") != obj["metadata"]["generation"]:
        conditions.mark_unknown("Ready", "NewObservedGenFailure", "unsuccessfully observed a new generation")
    return status, conditions


def finish(kind: Kind, obj: Object, status: Object, changes: Changes) -> None:
    """Write the status, with the object's generation as observed, if it has changed."""
    status["observedGeneration"] = obj["metadata"]["generation"]
    if status != obj.get("status"):
        changes.update_status(kind, {**without_version(obj), "status": status})


def set_finalizer(kind: Kind, obj: Object, finalizer: str, changes: Changes) -> None:
    """Add a finalizer, which delays the object's deletion until `clear_finalizer`."""
    held = obj["metadata"].get("finalizers") or []
    if finalizer not in held:
        _write_finalizers(kind, obj, [*held, finalizer], changes)


def clear_finalizer(kind: Kind, obj: Object, finalizer: str, changes: Changes) -> None:
    """Remove a finalizer, so that the object can be deleted."""
    held = obj["metadata"].get("finalizers") or []
    if finalizer in held:
        _write_finalizers(kind, obj, [name for name in held if name != finalizer], changes)


def _write_finalizers(kind: Kind, obj: Object, finalizers: list[str], changes: Changes) -> None:
    changes.update(kind, {**obj, "metadata": {**obj["metadata"], "finalizers": finalizers}})
    name = obj["metadata"]["name"]
    changes.event(obj, "Normal", "FinalizerUpdate", f'Updated "{name}" finalizers', f"{kind.kind.lower()}-controller")
