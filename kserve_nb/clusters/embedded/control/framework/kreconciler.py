"""What every pass over a Knative object begins and ends with.

Source: knative.dev/pkg reconciler/reconcile_common.go (`PreProcessReconcile`, `PostProcessReconcile`) and the generated
`Reconcile` and `updateFinalizersFiltered` of each kind.
"""

from __future__ import annotations

import copy

from kserve_nb.clusters.embedded.control.framework.condition_set import Conditions
from kserve_nb.clusters.embedded.control.framework.loop import Changes
from kserve_nb.clusters.embedded.objects import Kind, Object


def begin(obj: Object, dependents: tuple[str, ...], now: float) -> tuple[Object, Conditions]:
    """A copy of the status to work on, with all its conditions; Ready is open again when the generation is new."""
    status = copy.deepcopy(obj.get("status") or {})
    conditions = Conditions(status, dependents, now)
    conditions.initialize()
    if status.get("observedGeneration") != obj["metadata"]["generation"]:
        conditions.mark_unknown("Ready", "NewObservedGenFailure", "unsuccessfully observed a new generation")
    return status, conditions


def finish(kind: Kind, obj: Object, status: Object, changes: Changes) -> None:
    """Write the status, where it differs, as seen at the object's generation."""
    status["observedGeneration"] = obj["metadata"]["generation"]
    if status != obj.get("status"):
        changes.update_status(kind, {**without_version(obj), "status": status})


def without_version(obj: Object) -> Object:
    """The object without its resourceVersion: for a write after another write to the same object in one pass."""
    return {**obj, "metadata": {key: value for key, value in obj["metadata"].items() if key != "resourceVersion"}}


def set_finalizer(kind: Kind, obj: Object, finalizer: str, changes: Changes) -> None:
    """Hold the object's deletion until `clear_finalizer`."""
    held = obj["metadata"].get("finalizers") or []
    if finalizer not in held:
        _write_finalizers(kind, obj, [*held, finalizer], changes)


def clear_finalizer(kind: Kind, obj: Object, finalizer: str, changes: Changes) -> None:
    """Let a deleted object go."""
    held = obj["metadata"].get("finalizers") or []
    if finalizer in held:
        _write_finalizers(kind, obj, [name for name in held if name != finalizer], changes)


def _write_finalizers(kind: Kind, obj: Object, finalizers: list[str], changes: Changes) -> None:
    changes.update(kind, {**obj, "metadata": {**obj["metadata"], "finalizers": finalizers}})
    name = obj["metadata"]["name"]
    changes.event(obj, "Normal", "FinalizerUpdate", f'Updated "{name}" finalizers', f"{kind.kind.lower()}-controller")
