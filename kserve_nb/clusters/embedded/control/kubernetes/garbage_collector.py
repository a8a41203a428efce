"""Garbage collection: dependents are deleted with their owners, everything in a namespace with the namespace.

Source: kubernetes pkg/controller/garbagecollector (garbagecollector.go `attemptToDeleteItem`),
pkg/controller/namespace/deletion (`Delete`), pkg/controller/serviceaccount,
pkg/controller/certificates/rootcacertpublisher.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from kserve_nb.clusters.embedded.apimachinery.kinds import CONFIG_MAP, KINDS, NAMESPACE, POD, SANDBOX, SERVICE_ACCOUNT
from kserve_nb.clusters.embedded.apimachinery.objects import Kind, Object, Objects, key_of
from kserve_nb.clusters.embedded.control.framework.reconciler import Changes, Key, Moment, Reconciler, without_version

Members = list[tuple[Kind, Object]]

_FOREGROUND, _ORPHAN = "foregroundDeletion", "orphan"
_ROOT_CA = "kube-root-ca.crt"
_ROOT_CA_USE = (
    "Contains a CA bundle that can be used to verify the kube-apiserver when using internal endpoints such as the "
    "internal service IP or kubernetes.default.svc. No other usage is guaranteed across distributions of Kubernetes "
    "clusters.")


def reconcile_namespace(namespace: Object, objects: Objects, _moment: Moment) -> Changes:
    """Create what every namespace contains and collect garbage in it; empty a namespace that is being deleted."""
    changes = Changes()
    if "deletionTimestamp" in namespace["metadata"]:
        _empty(namespace, objects, changes)
    else:
        _create_defaults(namespace, objects, changes)
        _collect(namespace["metadata"]["name"], objects, changes)
    return changes


def reconcile_sandbox(sandbox: Object, objects: Objects, _moment: Moment) -> Changes:
    """Delete a sandbox once the pod of its name has gone."""
    changes = Changes()
    pod = objects.find(POD, *key_of(sandbox))
    if pod is None or pod["metadata"]["uid"] != (sandbox.get("spec") or {}).get("podUID"):
        changes.delete(SANDBOX, sandbox)
    return changes


def _members(name: str, objects: Objects) -> Members:
    """All objects in a namespace that are deleted with it."""
    return [(kind, obj) for kind in objects.kinds if kind.namespaced and kind.deleted_with == "namespace"
            for obj in objects.list(kind, name)]


def _create_defaults(namespace: Object, objects: Objects, changes: Changes) -> None:
    name = namespace["metadata"]["name"]
    if objects.find(SERVICE_ACCOUNT, name, "default") is None:
        changes.create(SERVICE_ACCOUNT, {
            "apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default", "namespace": name}})
    if objects.find(CONFIG_MAP, name, _ROOT_CA) is None:
        published = objects.find(CONFIG_MAP, "kube-system", _ROOT_CA) or {}
        changes.create(CONFIG_MAP, {
            "apiVersion": "v1", "kind": "ConfigMap", "data": published.get("data") or {"ca.crt": ""},
            "metadata": {"annotations": {"kubernetes.io/description": _ROOT_CA_USE}, "name": _ROOT_CA,
                         "namespace": name}})


def _empty(namespace: Object, objects: Objects, changes: Changes) -> None:
    """Delete everything in the namespace; once it is empty, remove its finalizer (`finalizeNamespace`)."""
    left = _members(namespace["metadata"]["name"], objects)
    for kind, obj in left:
        if "deletionTimestamp" not in obj["metadata"]:
            changes.delete(kind, obj)
    if not left:
        spec = {**(namespace.get("spec") or {}), "finalizers": []}
        changes.update(NAMESPACE, {**without_version(namespace), "spec": spec})


def _collect(name: str, objects: Objects, changes: Changes) -> None:
    """Do background, foreground and orphan deletion for all objects of a namespace at once."""
    members = [(kind, obj) for kind, obj in _members(name, objects) if kind.ownership != "none"]
    for kind, obj in members:
        finalizers = obj["metadata"].get("finalizers") or []
        if "deletionTimestamp" in obj["metadata"]:
            for finalizer, step in _STEPS.items():
                if finalizer in finalizers:
                    step(kind, obj, members, changes)
        elif _has_lost_its_owners(obj, objects):
            changes.delete(kind, obj)


def _has_lost_its_owners(obj: Object, objects: Objects) -> bool:
    owners = obj["metadata"].get("ownerReferences") or []
    return bool(owners) and not any(_exists(owner, obj["metadata"]["namespace"], objects) for owner in owners)


def _exists(owner: Object, namespace: str, objects: Objects) -> bool:
    kind = objects.kinds.of_object(owner)
    if kind is None:
        return True  # the owner's kind is unknown: keep the dependent
    found = objects.find(kind, namespace if kind.namespaced else None, owner["name"])
    return found is not None and found["metadata"]["uid"] == owner["uid"]


def _dependents(owner: Object, members: Members) -> Members:
    uid = owner["metadata"]["uid"]
    return [(kind, obj) for kind, obj in members
            if any(o["uid"] == uid for o in obj["metadata"].get("ownerReferences") or [])]


def _foreground(kind: Kind, owner: Object, members: Members, changes: Changes) -> None:
    """Delete the dependents first, in the foreground too; the owner waits for those that block its deletion."""
    dependents = _dependents(owner, members)
    for child_kind, child in dependents:
        if "deletionTimestamp" in child["metadata"]:
            continue
        if any(_dependents(child, members)) and child_kind != POD:
            held = child["metadata"].get("finalizers") or []
            child["metadata"]["finalizers"] = [*held, _FOREGROUND]
            changes.update(child_kind, without_version(child))
        changes.delete(child_kind, child)
    uid = owner["metadata"]["uid"]
    if not any(o["uid"] == uid and o.get("blockOwnerDeletion") for _, child in dependents
               for o in child["metadata"]["ownerReferences"]):
        _remove_finalizer(kind, owner, _FOREGROUND, changes)


def _orphan(kind: Kind, owner: Object, members: Members, changes: Changes) -> None:
    """Remove the owner from its dependents, which stay."""
    uid = owner["metadata"]["uid"]
    for child_kind, child in _dependents(owner, members):
        child["metadata"]["ownerReferences"] = [o for o in child["metadata"]["ownerReferences"] if o["uid"] != uid]
        changes.update(child_kind, without_version(child))
    _remove_finalizer(kind, owner, _ORPHAN, changes)


_STEPS: dict[str, Callable[[Kind, Object, Members, Changes], None]] = {_FOREGROUND: _foreground, _ORPHAN: _orphan}


def _remove_finalizer(kind: Kind, obj: Object, finalizer: str, changes: Changes) -> None:
    obj["metadata"]["finalizers"] = [name for name in obj["metadata"]["finalizers"] if name != finalizer]
    changes.update(kind, without_version(obj))


def _after_deletion(obj: Object, objects: Objects) -> Iterable[Key]:
    """The namespace of an object that has gone or is being deleted: dependents may have to be collected."""
    kind, (namespace, name) = objects.kinds.of_object(obj), key_of(obj)
    if namespace is None:
        return
    found = None if kind is None else objects.find(kind, namespace, name)
    if "deletionTimestamp" in obj["metadata"] or found is None or found["metadata"]["uid"] != obj["metadata"]["uid"]:
        yield None, namespace


def _in_deleted_namespace(obj: Object, objects: Objects) -> Iterable[Key]:
    """The namespace of an object, if it is being deleted and has to be emptied."""
    namespace = obj["metadata"]["namespace"]
    holder = objects.find(NAMESPACE, None, namespace)
    if holder is not None and "deletionTimestamp" in holder["metadata"]:
        yield None, namespace


def _after_default_deleted(obj: Object, objects: Objects) -> Iterable[Key]:
    """The namespace of a deleted object that every namespace contains: it is created again."""
    if obj["metadata"]["name"] in ("default", _ROOT_CA):
        yield from _after_deletion(obj, objects)
    yield from _in_deleted_namespace(obj, objects)


def _same_name(obj: Object, _objects: Objects) -> Iterable[Key]:
    yield key_of(obj)


_WATCHES: dict[Kind, Callable[[Object, Objects], Iterable[Key]]] = {
    **{kind: _in_deleted_namespace for kind in KINDS
       if kind.namespaced and (kind.ownership != "any" or kind.deleted_with != "namespace")},
    CONFIG_MAP: _after_default_deleted, SERVICE_ACCOUNT: _after_default_deleted,
}

RECONCILERS: tuple[Reconciler, ...] = (
    Reconciler("namespace", NAMESPACE, reconcile_namespace, watches=_WATCHES, watches_others=_after_deletion),
    Reconciler("sandbox", SANDBOX, reconcile_sandbox, watches={POD: _same_name}),
)
