"""What goes away with what: children with their owners, everything with its namespace.

Source: kubernetes pkg/controller/garbagecollector (garbagecollector.go `attemptToDeleteItem`),
pkg/controller/namespace/deletion (`Delete`), pkg/controller/serviceaccount,
pkg/controller/certificates/rootcacertpublisher.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from kserve_nb.clusters.embedded.control.framework.reconciler import Changes, Key, Moment, Reconciler, without_version
from kserve_nb.clusters.embedded.kinds import (
    CONFIG_MAP,
    ENDPOINT_SLICE,
    ENDPOINTS,
    EVENT,
    KINDS,
    NAMESPACE,
    POD,
    RESERVATION,
    SANDBOX,
    SERVICE,
    SERVICE_ACCOUNT,
)
from kserve_nb.clusters.embedded.objects import Kind, Object, Objects, key_of

_KINDS = {(kind.api_version, kind.kind): kind for kind in KINDS}
_OF_PODS = (SANDBOX, RESERVATION)  # named like their pods, and needed until those have gone
_IN_NAMESPACES = tuple(kind for kind in KINDS if kind.namespaced and kind not in _OF_PODS)
_OWN_NOTHING = (EVENT, ENDPOINTS, ENDPOINT_SLICE, CONFIG_MAP, SERVICE, SERVICE_ACCOUNT)  # or what goes by name
_FOREGROUND, _ORPHAN = "foregroundDeletion", "orphan"
_ROOT_CA = "kube-root-ca.crt"
_ROOT_CA_USE = (
    "Contains a CA bundle that can be used to verify the kube-apiserver when using internal endpoints such as the "
    "internal service IP or kubernetes.default.svc. No other usage is guaranteed across distributions of Kubernetes "
    "clusters.")


def reconcile_namespace(namespace: Object, objects: Objects, _moment: Moment) -> Changes:
    """Give a new namespace what every namespace has; empty one that is to go; collect what has lost its owner."""
    changes = Changes()
    if "deletionTimestamp" in namespace["metadata"]:
        _empty(namespace, objects, changes)
    else:
        _furnish(namespace, objects, changes)
        _collect(namespace["metadata"]["name"], objects, changes)
    return changes


def reconcile_sandbox(sandbox: Object, objects: Objects, _moment: Moment) -> Changes:
    """A sandbox goes with its pod, whose name it has."""
    changes = Changes()
    pod = objects.find(POD, *key_of(sandbox))
    if pod is None or pod["metadata"]["uid"] != (sandbox.get("spec") or {}).get("podUID"):
        changes.delete(SANDBOX, sandbox)
    return changes


def _furnish(namespace: Object, objects: Objects, changes: Changes) -> None:
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
    """Delete all that is in the namespace; once nothing is left, let it go (`finalizeNamespace`)."""
    name, left = namespace["metadata"]["name"], False
    for kind in _IN_NAMESPACES:
        for obj in objects.list(kind, name):
            left = True
            if "deletionTimestamp" not in obj["metadata"]:
                changes.delete(kind, obj)
    if not left:
        spec = {**(namespace.get("spec") or {}), "finalizers": []}
        changes.update(NAMESPACE, {**without_version(namespace), "spec": spec})


def _collect(name: str, objects: Objects, changes: Changes) -> None:
    """Background, foreground and orphan deletion, for all objects of a namespace at once."""
    living = [(kind, obj) for kind in _IN_NAMESPACES if kind != EVENT for obj in objects.list(kind, name)]
    for kind, obj in living:
        finalizers = obj["metadata"].get("finalizers") or []
        if "deletionTimestamp" in obj["metadata"]:
            for finalizer, step in _STEPS.items():
                if finalizer in finalizers:
                    step(kind, obj, living, changes)
        elif _has_lost_its_owners(obj, objects):
            changes.delete(kind, obj)


def _has_lost_its_owners(obj: Object, objects: Objects) -> bool:
    owners = obj["metadata"].get("ownerReferences") or []
    return bool(owners) and not any(_exists(owner, obj["metadata"]["namespace"], objects) for owner in owners)


def _exists(owner: Object, namespace: str, objects: Objects) -> bool:
    kind = _KINDS.get((owner["apiVersion"], owner["kind"]))
    if kind is None:
        return True  # nobody here can tell
    found = objects.find(kind, namespace if kind.namespaced else None, owner["name"])
    return found is not None and found["metadata"]["uid"] == owner["uid"]


def _dependents(owner: Object, living: list[tuple[Kind, Object]]) -> list[tuple[Kind, Object]]:
    uid = owner["metadata"]["uid"]
    return [(kind, obj) for kind, obj in living
            if any(o["uid"] == uid for o in obj["metadata"].get("ownerReferences") or [])]


def _foreground(kind: Kind, owner: Object, living: list[tuple[Kind, Object]], changes: Changes) -> None:
    """Dependents first, themselves in the foreground; the owner waits for those that block it."""
    dependents = _dependents(owner, living)
    for child_kind, child in dependents:
        if "deletionTimestamp" in child["metadata"]:
            continue
        if any(_dependents(child, living)) and child_kind != POD:
            held = child["metadata"].get("finalizers") or []
            child["metadata"]["finalizers"] = [*held, _FOREGROUND]
            changes.update(child_kind, without_version(child))
        changes.delete(child_kind, child)
    uid = owner["metadata"]["uid"]
    if not any(o["uid"] == uid and o.get("blockOwnerDeletion") for _, child in dependents
               for o in child["metadata"]["ownerReferences"]):
        _release(kind, owner, _FOREGROUND, changes)


def _orphan(kind: Kind, owner: Object, living: list[tuple[Kind, Object]], changes: Changes) -> None:
    uid = owner["metadata"]["uid"]
    for child_kind, child in _dependents(owner, living):
        child["metadata"]["ownerReferences"] = [o for o in child["metadata"]["ownerReferences"] if o["uid"] != uid]
        changes.update(child_kind, without_version(child))
    _release(kind, owner, _ORPHAN, changes)


_STEPS: dict[str, Callable[[Kind, Object, list[tuple[Kind, Object]], Changes], None]] = {
    _FOREGROUND: _foreground, _ORPHAN: _orphan}


def _release(kind: Kind, obj: Object, finalizer: str, changes: Changes) -> None:
    obj["metadata"]["finalizers"] = [name for name in obj["metadata"]["finalizers"] if name != finalizer]
    changes.update(kind, without_version(obj))


def _namespace_of_gone(obj: Object, objects: Objects) -> Iterable[Key]:
    """The namespace of an object that has gone or is going: there may be something to collect."""
    kind, (namespace, name) = _KINDS[obj["apiVersion"], obj["kind"]], key_of(obj)
    found = objects.find(kind, namespace, name)
    if "deletionTimestamp" in obj["metadata"] or found is None or found["metadata"]["uid"] != obj["metadata"]["uid"]:
        yield None, str(namespace)


def _namespace_going(obj: Object, objects: Objects) -> Iterable[Key]:
    """The namespace of an object that owns nothing, where it is to be emptied."""
    namespace = obj["metadata"]["namespace"]
    holder = objects.find(NAMESPACE, None, namespace)
    if holder is not None and "deletionTimestamp" in holder["metadata"]:
        yield None, namespace


def _furniture(obj: Object, objects: Objects) -> Iterable[Key]:
    """The namespace of what every namespace has, so that it is given back when it was deleted."""
    if obj["metadata"]["name"] in ("default", _ROOT_CA):
        yield from _namespace_of_gone(obj, objects)
    yield from _namespace_going(obj, objects)


def _same_name(obj: Object, _objects: Objects) -> Iterable[Key]:
    yield key_of(obj)


_WATCHES: dict[Kind, Callable[[Object, Objects], Iterable[Key]]] = {
    **dict.fromkeys(_IN_NAMESPACES, _namespace_of_gone),
    **dict.fromkeys((*_OWN_NOTHING, POD), _namespace_going),
    CONFIG_MAP: _furniture, SERVICE_ACCOUNT: _furniture,
}

RECONCILERS: tuple[Reconciler, ...] = (
    Reconciler("namespace", NAMESPACE, reconcile_namespace, watches=_WATCHES),
    Reconciler("sandbox", SANDBOX, reconcile_sandbox, watches={POD: _same_name}),
)
