"""CustomResourceDefinitions that users create: their names are accepted, and on deletion their objects are deleted.

Source: k8s.io/apiextensions-apiserver pkg/controller/status/naming_controller.go, establish/establishing_controller.go
and finalizer/crd_finalizer.go.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from kserve_nb.clusters.embedded.apimachinery.kinds import CRD_FINALIZER, CUSTOM_RESOURCE_DEFINITION
from kserve_nb.clusters.embedded.apimachinery.objects import Kind, Object, Objects, condition, is_true, key_of, utc
from kserve_nb.clusters.embedded.control.framework.reconciler import Changes, Key, Moment, Reconciler, without_version

_CONFLICTS = {"plural": "PluralConflict", "singular": "SingularConflict", "shortNames": "ShortNamesConflict",
              "kind": "KindConflict", "listKind": "ListKindConflict"}


def reconcile(definition: Object, objects: Objects, moment: Moment) -> Changes:
    """Accept or refuse the names of a definition; delete its objects if it is being deleted."""
    changes = Changes()
    if "deletionTimestamp" in definition["metadata"]:
        _delete_objects(definition, objects, moment, changes)
    else:
        status = _status(definition, objects, moment)
        if status != definition.get("status"):
            changes.update_status(CUSTOM_RESOURCE_DEFINITION, {**definition, "status": status})
    return changes


def _status(definition: Object, objects: Objects, moment: Moment) -> Object:
    spec, old = definition["spec"], definition.get("status") or {}
    taken = _names_of_others(definition, objects)
    conflicts = [(field, name) for field, name in _names(spec["names"]) if name in taken]
    accepted = {field: value for field, value in spec["names"].items()
                if field not in {field for field, _ in conflicts}}
    if conflicts:
        field, name = conflicts[-1]
        accepted = (old.get("acceptedNames") or {}) | accepted
        names = ("False", _CONFLICTS[field], f'"{name}" is already in use')
        established = ("False", "NotAccepted", "not all names are accepted")
    else:
        names = ("True", "NoConflicts", "no conflicts found")
        established = ("True", "InitialNamesAccepted", "the initial names have been accepted")
    if is_true(definition, "Established"):
        established = ("True", "InitialNamesAccepted", "the initial names have been accepted")
    stored = [version["name"] for version in spec["versions"] if version.get("storage")]
    return {**old, "acceptedNames": accepted,
            "conditions": [_condition(definition, "NamesAccepted", *names, moment),
                           _condition(definition, "Established", *established, moment)],
            "storedVersions": [*dict.fromkeys([*(old.get("storedVersions") or ()), *stored])]}


def _names(names: Object) -> Iterator[tuple[str, str]]:
    """The names that have to be unique in their group, each with its field."""
    yield from ((field, names[field]) for field in ("plural", "singular", "kind", "listKind") if names.get(field))
    yield from (("shortNames", name) for name in names.get("shortNames") or ())


def _names_of_others(definition: Object, objects: Objects) -> set[str]:
    others = (other for other in objects.list(CUSTOM_RESOURCE_DEFINITION)
              if other["spec"]["group"] == definition["spec"]["group"]
              and other["metadata"]["uid"] != definition["metadata"]["uid"])
    return {name for other in others for _, name in _names((other.get("status") or {}).get("acceptedNames") or {})}


def _condition(definition: Object, type_: str, status: str, reason: str, message: str, moment: Moment) -> Object:
    """A condition that keeps its time while its status stays the same."""
    old = condition(definition, type_)
    time = old["lastTransitionTime"] if old.get("status") == status else utc(moment.now)
    return {"lastTransitionTime": time, "message": message, "reason": reason, "status": status, "type": type_}


def _delete_objects(definition: Object, objects: Objects, moment: Moment, changes: Changes) -> None:
    if CRD_FINALIZER not in (definition["metadata"].get("finalizers") or ()):
        return
    kind = _kind_of(definition, objects)
    left = [] if kind is None else objects.list(kind)
    for obj in left:
        if kind is not None and "deletionTimestamp" not in obj["metadata"]:
            changes.delete(kind, obj)
    if not left:
        finalizers = [name for name in definition["metadata"]["finalizers"] if name != CRD_FINALIZER]
        meta = {**definition["metadata"], "finalizers": finalizers}
        changes.update(CUSTOM_RESOURCE_DEFINITION, without_version({**definition, "metadata": meta}))


def _kind_of(definition: Object, objects: Objects) -> Kind | None:
    return next((kind for kind in objects.kinds.served if kind.resource == definition["metadata"]["name"]), None)


def _definition_of(obj: Object, objects: Objects) -> Iterable[Key]:
    """The definition of a deleted object's kind, if the definition is being deleted too."""
    kind = objects.kinds.of_object(obj)
    if kind is not None and kind.is_custom and not kind.internal and objects.find(kind, *key_of(obj)) is None:
        definition = objects.find(CUSTOM_RESOURCE_DEFINITION, None, kind.resource)
        if definition is not None and "deletionTimestamp" in definition["metadata"]:
            yield None, kind.resource


def _others_in_conflict(definition: Object, objects: Objects) -> Iterable[Key]:
    """Definitions whose names may have become free because another definition was deleted."""
    for other in objects.list(CUSTOM_RESOURCE_DEFINITION):
        if not is_true(other, "NamesAccepted"):
            yield None, other["metadata"]["name"]


RECONCILERS: tuple[Reconciler, ...] = (
    Reconciler("custom-resource-definition", CUSTOM_RESOURCE_DEFINITION, reconcile,
               watches={CUSTOM_RESOURCE_DEFINITION: _others_in_conflict}, watches_others=_definition_of),
)
