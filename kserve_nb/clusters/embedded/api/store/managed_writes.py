"""Writes of the embedded cluster's own components, recorded in metadata.managedFields as those of a real one are."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import TYPE_CHECKING

from kserve_nb.clusters.embedded.api.ownership import managed_fields
from kserve_nb.clusters.embedded.apimachinery.kinds import POD
from kserve_nb.clusters.embedded.apimachinery.objects import Kind, Object, Objects, WatchEvent

if TYPE_CHECKING:
    from kserve_nb.clusters.embedded.api.store.store import Store


class ManagedObjects(Objects):
    """The objects of a store, for one component: each field that it writes is recorded as its own."""

    def __init__(self, store: Store, manager: str):
        self._store, self._manager, self.kinds = store, manager, store.kinds

    def as_manager(self, manager: str) -> Objects:
        return self._store.as_manager(manager)

    def get(self, kind: Kind, namespace: str | None, name: str) -> Object:
        return self._store.get(kind, namespace, name)

    def find(self, kind: Kind, namespace: str | None, name: str) -> Object | None:
        return self._store.find(kind, namespace, name)

    def list(self, kind: Kind, namespace: str | None = None, labels: Mapping[str, str] | None = None) -> list[Object]:
        return self._store.list(kind, namespace, labels)

    def watch(self, *kinds: Kind) -> AsyncIterator[WatchEvent]:
        return self._store.watch(*kinds)

    def create(self, kind: Kind, body: Object, *, dry_run: bool = False) -> Object:
        return self._store.create(kind, self._recorded(kind, None, body), dry_run=dry_run)

    def update(self, kind: Kind, body: Object, *, dry_run: bool = False) -> Object:
        return self._store.update(kind, self._recorded(kind, self._stored(kind, body), body), dry_run=dry_run)

    def update_status(self, kind: Kind, body: Object) -> Object:
        return self._store.update_status(kind, self._recorded(kind, self._stored(kind, body), body, "status"))

    def delete(self, kind: Kind, namespace: str | None, name: str, *, uid: str | None = None,
               grace_period_s: float | None = None) -> Object | None:
        return self._store.delete(kind, namespace, name, uid=uid, grace_period_s=grace_period_s)

    def _stored(self, kind: Kind, body: Object) -> Object | None:
        return self._store.find(kind, body["metadata"].get("namespace"), body["metadata"]["name"])

    def _recorded(self, kind: Kind, old: Object | None, body: Object, subresource: str = "") -> Object:
        """The body with the managedFields that follow from the stored object and the fields that the body changes."""
        meta = {key: value for key, value in body["metadata"].items() if key != "managedFields"}
        new = {**body, "metadata": meta}
        if kind.internal or (self._manager == "kube-scheduler" and _is_binding(kind, old, body)):
            return new
        changed = managed_fields.after_update(kind, old, new, self._manager, subresource)
        return {**body, "metadata": {**meta, "managedFields": changed}}


def _is_binding(kind: Kind, old: Object | None, body: Object) -> bool:
    """Whether the scheduler assigns a pod to a node: a real one posts a Binding, which is not recorded."""
    if kind != POD or old is None:
        return False
    return any("nodeName" in (obj.get("spec") or {}) for obj in (old, body))
