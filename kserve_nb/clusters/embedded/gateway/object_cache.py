"""A cache of the objects that routing depends on, kept current by a watch."""

from __future__ import annotations

from collections.abc import Iterable

from kserve_nb.clusters.embedded.apimachinery.kinds import INGRESS, POD, REVISION, SANDBOX, VIRTUAL_SERVICE
from kserve_nb.clusters.embedded.apimachinery.objects import Kind, Object, Objects, WatchEvent, is_true
from kserve_nb.clusters.embedded.gateway.envoy_routes import Key, RevisionBackend
from kserve_nb.values.labels import REVISION_LABEL

KINDS = (INGRESS, VIRTUAL_SERVICE, POD, SANDBOX, REVISION)


class ObjectCache:
    """The objects that routing depends on. Listing all of them again for each change would be too slow."""

    def __init__(self, objects: Objects):
        self._objects: dict[str, dict[Key, Object]] = {
            kind.kind: {_key(o): o for o in objects.list(kind)} for kind in KINDS}

    def apply(self, event: WatchEvent) -> bool:
        """Update the cache from a watch event. True if the change may affect routing."""
        if event.type == "BOOKMARK":
            return False
        of_kind, key = self._objects[event.object["kind"]], _key(event.object)
        before = of_kind.pop(key, None)
        if event.type == "DELETED":
            return before is not None
        of_kind[key] = event.object
        return before is None or _routing_fields(before) != _routing_fields(event.object)

    def all(self, kind: Kind) -> Iterable[Object]:
        """The objects of one of `KINDS`."""
        return self._objects[kind.kind].values()

    def backends(self) -> dict[Key, RevisionBackend]:
        """Each revision with the addresses of its ready pods, without pods that are being deleted."""
        ready: dict[Key, list[str]] = {}
        for pod in self.all(POD):
            revision = (pod["metadata"].get("labels") or {}).get(REVISION_LABEL)
            address = self._address(pod)
            if revision and address:
                ready.setdefault((pod["metadata"]["namespace"], revision), []).append(address)
        return {_key(r): _backend(r, sorted(ready.get(_key(r), []))) for r in self.all(REVISION)}

    def _address(self, pod: Object) -> str | None:
        sandbox = self._objects[SANDBOX.kind].get(_key(pod))
        if not sandbox or not is_true(pod, "Ready") or "deletionTimestamp" in pod["metadata"]:
            return None
        if sandbox.get("spec", {}).get("podUID") != pod["metadata"]["uid"]:  # belongs to an earlier pod
            return None
        address: str | None = (sandbox.get("status") or {}).get("address")
        return address


def _routing_fields(obj: Object) -> object:
    """The fields of an object that routing depends on. The generation represents the spec."""
    meta, status = obj["metadata"], obj.get("status") or {}
    return (meta["uid"], meta.get("generation"), "deletionTimestamp" in meta, meta.get("labels"),
            status.get("address"), obj["kind"] == POD.kind and is_true(obj, "Ready"))


def _key(obj: Object) -> Key:
    return obj["metadata"]["namespace"], obj["metadata"]["name"]


def _backend(revision: Object, addresses: list[str]) -> RevisionBackend:
    spec = revision.get("spec") or {}
    return RevisionBackend(tuple(addresses), spec.get("containerConcurrency") or 0, spec.get("timeoutSeconds") or 300)
