"""The store of all objects: JSON in memory, SQLite on disk, with versions, finalizers and watches.

Objects are stored as JSON bytes. Each read parses them, so callers get copies and cannot change stored objects by
accident. Lists over HTTP join the bytes without parsing them.
"""

from __future__ import annotations

import logging
import time
import uuid
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path
from typing import Literal, Protocol

import orjson

from kserve_nb.clusters.embedded.api import object_metadata
from kserve_nb.clusters.embedded.api.entry import Entry, encode
from kserve_nb.clusters.embedded.api.schema import user_kinds
from kserve_nb.clusters.embedded.api.store.database import Database, Row
from kserve_nb.clusters.embedded.api.store.managed_writes import ManagedObjects
from kserve_nb.clusters.embedded.api.store.watch_history import Change, History
from kserve_nb.clusters.embedded.apimachinery.kinds import CUSTOM_RESOURCE_DEFINITION, EVENT, KINDS, NAMESPACE, POD
from kserve_nb.clusters.embedded.apimachinery.objects import (
    AlreadyExistsError,
    ConflictError,
    Kind,
    Kinds,
    NotFoundError,
    Object,
    Objects,
    StatusError,
    WatchEvent,
    utc,
)

log = logging.getLogger(__name__)

Operation = Literal["CREATE", "UPDATE", "DELETE"]
Warnings = list[str] | None
Key = tuple[str | None, str]

FIRST_VERSION = 1000  # the first resourceVersion of a new cluster: a watch from 1 is too old, as on a real cluster
_PROPAGATION = {"Foreground": "foregroundDeletion", "Orphan": "orphan"}  # finalizers for the garbage collector
SIZE_LIMIT = 1536 * 1024  # bytes of an object: etcd's default limit (--max-request-bytes)
EVENT_LIFE_S = 3600.0  # a kube-apiserver deletes Events after an hour (--event-ttl)
_SERVER_FIELDS = ("uid", "creationTimestamp", "generation", "deletionTimestamp", "deletionGracePeriodSeconds")
_PERMANENT_NAMESPACES = {"default", "kube-system", "kube-public"}


class Admit(Protocol):
    """An admission function: returns the object to store and appends to `warnings`. Raises StatusError."""

    def __call__(self, operation: Operation, kind: Kind, new: Object, old: Object | None, objects: Objects, *,
                 dry_run: bool = False, warnings: list[str] | None = None) -> Object: ...


class Store(Objects):
    """The cluster's objects, for use in one thread. Without a path they are stored only in memory."""

    def __init__(self, path: Path | None, *, admission: Admit | None = None):
        self._admission = admission
        self.kinds = Kinds(KINDS)
        self._database = Database(path)
        version = self._database.version()
        if version is None:
            version = FIRST_VERSION
            self._database.start(version)
        self.version = version
        self.history = History(version)
        self._entries: dict[Kind, dict[Key, Entry]] = defaultdict(dict)
        self.unreadable: list[str] = []  # a message for each stored object that cannot be read
        self._load()

    def _load(self) -> None:
        rows = []
        for row in self._database.rows():
            try:
                rows.append((row.resource, Entry.of(orjson.loads(row.data), row.data)))
            except (ValueError, TypeError, KeyError, AttributeError) as error:  # the others are served
                self.unreadable.append(_unreadable(row, error))
                log.error(self.unreadable[-1])
        for resource, entry in rows:  # first: they define the kinds of other rows
            if resource == CUSTOM_RESOURCE_DEFINITION.resource:
                user_kinds.update(self.kinds, entry.copy())
        by_resource = {kind.resource: kind for kind in self.kinds}
        for resource, entry in rows:
            if resource in by_resource:
                self._remember(by_resource[resource], entry)

    def close(self) -> None:
        """End all watches and close the file."""
        self.history.close()
        self._database.close()

    def as_manager(self, manager: str) -> Objects:
        return ManagedObjects(self, manager)

    # Reading

    def entry(self, kind: Kind, namespace: str | None, name: str) -> Entry:
        """The stored form of an object. Raises NotFoundError."""
        entry = self._entries[kind].get((namespace if kind.namespaced else None, name))
        if entry is None:
            raise NotFoundError(kind, name)
        return entry.in_version_of(kind)

    def entries(self, kind: Kind, namespace: str | None = None,
                labels: Mapping[str, str] | None = None) -> list[Entry]:
        """The stored form of all objects of a kind, in one namespace or in all, sorted by namespace and name."""
        wanted = (labels or {}).items()
        found = [e for e in self._entries[kind].values()
                 if (namespace is None or e.namespace == namespace) and wanted <= e.labels.items()]
        return sorted((e.in_version_of(kind) for e in found), key=lambda e: (e.namespace or "", e.name))

    def get(self, kind: Kind, namespace: str | None, name: str) -> Object:
        return self.entry(kind, namespace, name).copy()

    def find(self, kind: Kind, namespace: str | None, name: str) -> Object | None:
        entry = self._entries[kind].get((namespace if kind.namespaced else None, name))
        return None if entry is None else entry.in_version_of(kind).copy()

    def list(self, kind: Kind, namespace: str | None = None, labels: Mapping[str, str] | None = None) -> list[Object]:
        return [entry.copy() for entry in self.entries(kind, namespace, labels)]

    async def watch(self, *kinds: Kind) -> AsyncIterator[WatchEvent]:
        subscription = self.history.subscribe(kinds)
        try:
            for entry in [entry for kind in kinds or tuple(self.kinds) for entry in self.entries(kind)]:
                yield WatchEvent("ADDED", entry.copy())
            while changes := await subscription.batch():
                for change in changes:
                    yield WatchEvent(change.type, change.entry.copy())
        finally:
            self.history.unsubscribe(subscription)

    # Writing

    def create(self, kind: Kind, body: Object, *, dry_run: bool = False, warnings: Warnings = None) -> Object:
        new: Object = orjson.loads(encode(body))
        meta = self._name_new(kind, new)
        object_metadata.check(kind, meta)
        self._check_namespace(kind, meta)
        meta |= {"uid": str(uuid.uuid4()), "creationTimestamp": utc(time.time())}
        if kind.has_generation:
            meta["generation"] = 1
        new = self._admit("CREATE", kind, new, None, dry_run, warnings)
        if (new["metadata"].get("namespace"), new["metadata"]["name"]) in self._entries[kind]:
            raise AlreadyExistsError(kind, new["metadata"]["name"])
        return self._commit(kind, "ADDED", new, None, dry_run)

    def update(self, kind: Kind, body: Object, *, dry_run: bool = False, warnings: Warnings = None) -> Object:
        old = self._current(kind, body)
        new: Object = orjson.loads(encode(body)) | {"apiVersion": kind.api_version, "kind": kind.kind}
        if kind.has_status:
            new.pop("status", None)
            if "status" in old:
                new["status"] = old["status"]
        new["metadata"] = self._system_fields(kind, new["metadata"], old["metadata"])
        object_metadata.check(kind, new["metadata"])
        new = self._admit("UPDATE", kind, new, old, dry_run, warnings)
        if "generation" in old["metadata"] and _intent(kind, new) != _intent(kind, old):
            new["metadata"]["generation"] = old["metadata"]["generation"] + 1
        return self._replace(kind, new, old, dry_run)

    def update_status(self, kind: Kind, body: Object, *, dry_run: bool = False) -> Object:
        old = self._current(kind, body)
        new = dict(old)
        new.pop("status", None)
        if "status" in body:
            new["status"] = orjson.loads(encode(body["status"]))
        if "managedFields" in body["metadata"]:
            new["metadata"] = old["metadata"] | {"managedFields": body["metadata"]["managedFields"]}
        return self._replace(kind, new, old, dry_run)

    def delete(self, kind: Kind, namespace: str | None, name: str, *, uid: str | None = None,
               grace_period_s: float | None = None, propagation: str = "Background",
               dry_run: bool = False) -> Object | None:
        old = self.get(kind, namespace, name)
        meta = old["metadata"]
        if uid is not None and uid != meta["uid"]:
            raise _precondition(kind, meta, uid)
        if kind == NAMESPACE and name in _PERMANENT_NAMESPACES:
            raise StatusError(403, "Forbidden", f'namespaces "{name}" is forbidden: this namespace may not be deleted',
                              {"name": name, "kind": "namespaces"})
        self._admit("DELETE", kind, old, old, dry_run, None)
        grace = _grace_s(kind, old, grace_period_s)
        new: Object = orjson.loads(encode(old))
        finalizers = new["metadata"].get("finalizers") or []
        if _PROPAGATION.get(propagation, "") not in ("", *finalizers):
            new["metadata"]["finalizers"] = [*finalizers, _PROPAGATION[propagation]]
        if kind == CUSTOM_RESOURCE_DEFINITION:
            user_kinds.hold_deletion(new, utc(time.time()))
        if not grace and not _finalizers(kind, new):
            self._remove(kind, old, dry_run)
            return None
        if "deletionTimestamp" not in meta or grace < meta.get("deletionGracePeriodSeconds", 0):
            new["metadata"] |= {"deletionTimestamp": utc(time.time() + grace), "deletionGracePeriodSeconds": int(grace)}
        if kind == NAMESPACE:
            new["status"] = (new.get("status") or {}) | {"phase": "Terminating"}
        return self._replace(kind, new, old, dry_run)

    # Steps of a write

    def _admit(self, operation: Operation, kind: Kind, new: Object, old: Object | None, dry_run: bool,
               warnings: Warnings) -> Object:
        if self._admission is None:
            return new
        return self._admission(operation, kind, new, old, self, dry_run=dry_run, warnings=warnings)

    def _name_new(self, kind: Kind, new: Object) -> Object:
        new |= {"apiVersion": kind.api_version, "kind": kind.kind}
        meta: Object = new.setdefault("metadata", {})
        version = str(meta.get("resourceVersion") or "")
        if version.isdecimal() and int(version):  # other values are ignored (etcd3/store.go `Create`)
            raise StatusError(500, "", "resourceVersion should not be set on objects to be created")
        for field in (*_SERVER_FIELDS, "resourceVersion", "selfLink"):
            meta.pop(field, None)
        if not kind.namespaced:
            meta.pop("namespace", None)
        if not meta.get("name") and meta.get("generateName"):
            names = (object_metadata.generate_name(meta["generateName"]) for _ in range(8))
            meta["name"] = next(
                (name for name in names if (meta.get("namespace"), name) not in self._entries[kind]), "")
        return meta

    def _check_namespace(self, kind: Kind, meta: Object) -> None:
        if not kind.namespaced:
            return
        namespace = self.find(NAMESPACE, None, meta.get("namespace") or "")
        if namespace is None:
            raise NotFoundError(NAMESPACE, meta.get("namespace") or "")
        if "deletionTimestamp" in namespace["metadata"] and not kind.internal:
            reason = f'unable to create new content in namespace {meta["namespace"]} because it is being terminated'
            raise StatusError(
                403, "Forbidden", f'{kind.resource} "{meta["name"]}" is forbidden: {reason}',
                {"name": meta["name"], "group": kind.group, "kind": kind.plural,
                 "causes": [{"reason": "NamespaceTerminating", "field": "metadata.namespace",
                             "message": f'namespace {meta["namespace"]} is being terminated'}]})

    def _current(self, kind: Kind, body: Object) -> Object:
        meta = body["metadata"]
        old = self.get(kind, meta.get("namespace"), meta["name"])
        if meta.get("uid") and meta["uid"] != old["metadata"]["uid"]:
            raise _precondition(kind, old["metadata"], meta["uid"])
        if meta.get("resourceVersion") not in (None, "", "0", old["metadata"]["resourceVersion"]):
            raise ConflictError(kind, meta["name"])
        return old

    def _system_fields(self, kind: Kind, new: Object, old: Object) -> Object:
        kept = {field: old[field] for field in _SERVER_FIELDS if field in old}
        if "managedFields" not in new and "managedFields" in old:
            kept["managedFields"] = old["managedFields"]
        meta = {field: value for field, value in new.items() if field not in (*_SERVER_FIELDS, "selfLink")}
        if not kind.namespaced:
            meta.pop("namespace", None)
        return meta | kept

    def _replace(self, kind: Kind, new: Object, old: Object, dry_run: bool) -> Object:
        new["metadata"]["resourceVersion"] = old["metadata"]["resourceVersion"]
        meta = new["metadata"]
        before = self._entries[kind][meta.get("namespace"), meta["name"]]
        if encode(new) == before.data:
            return old
        if "deletionTimestamp" in meta and not meta.get("deletionGracePeriodSeconds") and not _finalizers(kind, new):
            self._remove(kind, new, dry_run)
            return new
        return self._commit(kind, "MODIFIED", new, before, dry_run)

    def _commit(self, kind: Kind, type_: Literal["ADDED", "MODIFIED"], new: Object, before: Entry | None,
                dry_run: bool) -> Object:
        meta = new["metadata"]
        if dry_run:
            return new
        version = self.version + 1
        meta["resourceVersion"] = str(version)
        data = encode(new)
        if len(data) > SIZE_LIMIT:
            raise StatusError(500, "", "etcdserver: request is too large")
        self._database.put(kind, meta.get("namespace"), meta["name"], data, version)
        self.version = version
        entry = Entry.of(new, data)
        self._remember(kind, entry)
        self.history.append(Change(kind, type_, entry, before))
        if kind == CUSTOM_RESOURCE_DEFINITION:
            user_kinds.update(self.kinds, new)
        if kind == EVENT and type_ == "ADDED":
            self._forget_old_events()
        return new

    def _remove(self, kind: Kind, old: Object, dry_run: bool) -> None:
        if dry_run:
            return
        meta, version = old["metadata"], self.version + 1
        namespace, name = meta.get("namespace"), meta["name"]
        before = self._entries[kind][namespace, name]
        meta["resourceVersion"] = str(version)
        entry = Entry.of(old, encode(old))
        self._database.remove(kind, namespace, name, version)
        self.version = version
        del self._entries[kind][namespace, name]
        self.history.append(Change(kind, "DELETED", entry, before))
        if kind == CUSTOM_RESOURCE_DEFINITION:
            user_kinds.remove(self.kinds, old)

    def _remember(self, kind: Kind, entry: Entry) -> None:
        key, entries = (entry.namespace, entry.name), self._entries[kind]
        if kind == EVENT:
            entries.pop(key, None)  # keeps the dict in the order of the last writes
        entries[key] = entry

    def _forget_old_events(self) -> None:
        for entry in list(_take_while_older(self._entries[EVENT], time.time() - EVENT_LIFE_S)):
            self._remove(EVENT, entry.copy(), dry_run=False)


def _unreadable(row: Row, error: Exception) -> str:
    where = f"{row.namespace}/{row.name}" if row.namespace else row.name
    return (f"Cannot read {row.resource} {where} from the store: {error}. The object is missing until you apply it "
            "again")


def _take_while_older(entries: Mapping[Key, Entry], moment: float) -> Iterator[Entry]:
    limit = utc(moment)
    for entry in entries.values():
        event = entry.copy()
        if (event.get("lastTimestamp") or event["metadata"]["creationTimestamp"]) >= limit:
            return
        yield entry


def _intent(kind: Kind, obj: Object) -> bytes:
    """The fields whose changes increase the generation. Binding a pod to its node does not."""
    intent = {key: value for key, value in obj.items() if key not in ("metadata", "status")}
    if kind == POD:
        intent["spec"] = {key: value for key, value in (obj.get("spec") or {}).items() if key != "nodeName"}
    return encode(intent)


def _finalizers(kind: Kind, obj: Object) -> list[str]:
    """The finalizers that hold back the object's deletion. A Namespace has some in its spec."""
    extra = (obj.get("spec") or {}).get("finalizers") if kind == NAMESPACE else None
    return [*(obj["metadata"].get("finalizers") or ()), *(extra or ())]


def _grace_s(kind: Kind, obj: Object, requested_s: float | None) -> float:
    """The grace period of a deletion: 0 for other kinds than pods, and for pods that do not run."""
    spec, phase = obj.get("spec") or {}, (obj.get("status") or {}).get("phase")
    if kind != POD or not spec.get("nodeName") or phase in ("Succeeded", "Failed"):
        return 0
    if requested_s is not None:
        return max(requested_s, 0)
    already = obj["metadata"].get("deletionGracePeriodSeconds")
    return float(spec.get("terminationGracePeriodSeconds", 30) if already is None else already)


def _precondition(kind: Kind, meta: Object, uid: str) -> StatusError:
    key = "/".join(filter(None, ("/registry", kind.group, kind.plural, meta.get("namespace"), meta["name"])))
    return StatusError(
        409, "Conflict",
        f'Operation cannot be fulfilled on {kind.resource} "{meta["name"]}": StorageError: invalid object, Code: 4, '
        f"Key: {key}, ResourceVersion: 0, AdditionalErrorMsg: Precondition failed: UID in precondition: {uid}, "
        f"UID in object meta: {meta['uid']}",
        {"name": meta["name"], "group": kind.group, "kind": kind.plural})
