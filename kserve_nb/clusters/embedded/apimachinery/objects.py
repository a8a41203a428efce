"""The interface between the parts of the embedded cluster: kinds, the store's methods and errors, object helpers.

Objects are plain dicts in the shape of their JSON. The API server, the reconcilers, the node and the gateway exchange
data only through them: each receives an `Objects` and imports none of the others.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal, NamedTuple, Protocol, TypeVar

import orjson

Object = dict[str, Any]
T = TypeVar("T")


@dataclass(frozen=True)
class Settings:
    """The options with which a cluster was started."""

    speed: float = 10  # divides waiting periods; never pod start, ages or timestamps
    gateway: Literal["istio", "kourier"] = "istio"  # the form of the InferenceService's URLs
    ingress_host: str = "127.0.0.1"
    ingress_port: int = 8080
    domain: str = "example.com"
    node: str = "embedded"  # the node's name

    def window_s(self, real_s: float) -> float:
        """A waiting period of a real cluster (stable window, grace, drain, deadline, back-off) divided by the speed."""
        return real_s / self.speed


@dataclass(frozen=True)
class Column:
    """One column of `kubectl get`."""

    name: str
    about: str = ""  # the description; by default, as for custom resources, the path
    path: str = ""  # JSONPath of the value; without one, api/columns/printers.py computes it
    type: str = "string"
    priority: int = 0  # above 0: printed only with `-o wide`
    format: str = ""


@dataclass(frozen=True)
class Kind:
    """One kind of object, with everything that the parts of the cluster derive from its row in kinds.py.

    Kinds with the same group and names are equal, whatever else differs: the versions of a kind share their objects,
    and a kind that a user redefines keeps them.
    """

    group: str
    version: str = field(compare=False)
    kind: str
    plural: str
    namespaced: bool = field(default=True, compare=False)
    short: tuple[str, ...] = field(default=(), compare=False)
    categories: tuple[str, ...] = field(default=(), compare=False)
    columns: tuple[Column, ...] = field(default=(), compare=False)  # columns after the name; if empty, the age
    has_status: bool = field(default=True, compare=False)  # whether status is a subresource
    has_generation: bool = field(default=True, compare=False)
    further_subresources: tuple[str, ...] = field(default=(), compare=False)
    selectable_fields: tuple[str, ...] = field(default=(), compare=False)  # besides metadata.name and .namespace
    name_rule: Literal["subdomain", "label", "label-1035"] = field(default="subdomain", compare=False)
    returned_on_delete: bool = field(default=False, compare=False)  # DELETE answers with the object, not with a Status
    singular: str = field(default="", compare=False)  # by default the kind in lower case
    list_kind: str = field(default="", compare=False)  # by default PodList for a Pod
    type_name: str = field(default="", compare=False)  # in data/*_types.json; by default V1Pod for a v1 Pod
    type_prefixes: tuple[str, ...] = field(default=(), compare=False)  # prefixes of other types in the same Go package
    schema: Mapping[str, Any] | None = field(default=None, compare=False)  # OpenAPI v3, instead of types
    has_versions: bool = field(default=False, compare=False)  # besides this one, in which an object may be stored
    deprecation: str = field(default="", compare=False)  # the warning of each answer in a deprecated version
    idle: bool = field(default=False, compare=False)  # listed as on a real cluster; nothing acts on it, so none is made
    internal: bool = field(default=False, compare=False)  # in the store only: not served over HTTP
    # "dependent": never the owner of another object. "none": never owned either.
    ownership: Literal["any", "dependent", "none"] = field(default="any", compare=False)
    deleted_with: Literal["namespace", "pod"] = field(default="namespace", compare=False)

    def __post_init__(self) -> None:
        defaults = {"singular": self.kind.lower(), "list_kind": f"{self.kind}List",
                    "type_name": f"{self.version.capitalize()}{self.kind}"}
        for name, value in defaults.items():
            if not getattr(self, name):
                object.__setattr__(self, name, value)

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def resource(self) -> str:
        """`inferenceservices.serving.kserve.io`, `pods`: the kind in messages of the API server."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    @property
    def subresources(self) -> tuple[str, ...]:
        """The names of its subresources, in the order of discovery."""
        return tuple(sorted((*self.further_subresources, *(("status",) if self.has_status else ()))))

    @property
    def is_custom(self) -> bool:
        """Whether a CustomResourceDefinition defines the kind."""
        return self.schema is not None or ("." in self.group and not self.group.endswith(".k8s.io"))


class Kinds:
    """The kinds that a cluster stores: those of the table, and those that are added while it runs."""

    def __init__(self, kinds: Iterable[Kind]):
        self._kinds: dict[tuple[str, str, str], Kind] = {}
        self._derived: dict[Hashable, Any] = {}
        for kind in kinds:
            self.add(kind)

    def __iter__(self) -> Iterator[Kind]:
        """Each kind once, in one of its versions."""
        return iter(dict.fromkeys(self._kinds.values()))

    def add(self, kind: Kind) -> None:
        """Add a kind, or replace an equal one."""
        self._kinds[kind.group, kind.version, kind.plural] = kind
        self._derived.clear()

    def remove(self, kind: Kind) -> None:
        """Remove a kind. Objects of it stay in the store."""
        self._kinds.pop((kind.group, kind.version, kind.plural), None)
        self._derived.clear()

    @property
    def served(self) -> tuple[Kind, ...]:
        """The kinds with a path in the API, in each of their versions."""
        return tuple(kind for kind in self._kinds.values() if not kind.internal)

    def of_path(self, group: str, version: str, plural: str) -> Kind | None:
        """The kind at a path of the API."""
        kind = self._kinds.get((group, version, plural))
        return None if kind is None or kind.internal else kind

    def of_object(self, obj: Mapping[str, Any]) -> Kind | None:
        """The kind that an object, or a reference to one, names by `apiVersion` and `kind`."""
        return self.derived("names", self._by_name).get((obj["apiVersion"], obj["kind"]))

    def derived(self, key: Hashable, make: Callable[[], T]) -> T:
        """The result of `make`, computed once and again after a kind was added or removed."""
        if key not in self._derived:
            self._derived[key] = make()
        found: T = self._derived[key]
        return found

    def _by_name(self) -> dict[tuple[str, str], Kind]:
        return {(kind.api_version, kind.kind): kind for kind in self._kinds.values()}


class StatusError(Exception):
    """An error of the API server: the HTTP code, reason and message of a `Status` object."""

    def __init__(self, code: int, reason: str, message: str, details: Object | None = None):
        super().__init__(message)
        self.code, self.reason, self.message, self.details = code, reason, message, details or {}


class NotFoundError(StatusError):
    def __init__(self, kind: Kind, name: str):
        super().__init__(404, "NotFound", f'{kind.resource} "{name}" not found',
                         {"name": name, "group": kind.group, "kind": kind.plural})


class AlreadyExistsError(StatusError):
    def __init__(self, kind: Kind, name: str):
        super().__init__(409, "AlreadyExists", f'{kind.resource} "{name}" already exists',
                         {"name": name, "group": kind.group, "kind": kind.plural})


class ConflictError(StatusError):
    def __init__(self, kind: Kind, name: str):
        super().__init__(
            409, "Conflict",
            f'Operation cannot be fulfilled on {kind.resource} "{name}": the object has been modified; '
            "please apply your changes to the latest version and try again",
            {"name": name, "group": kind.group, "kind": kind.plural})


class ExpiredError(StatusError):
    """The start of a watch is older than the changes that are kept."""


class WatchEvent(NamedTuple):
    """A change of an object: what happened, and the object after it (before it, for DELETED)."""

    type: Literal["ADDED", "MODIFIED", "DELETED", "BOOKMARK"]
    object: Object


class Objects(Protocol):
    """The methods of the store that the other parts use. Returned objects are copies, which callers may change.

    Calls wait only for memory and a local database, so they are plain functions. Every write runs admission
    (defaulting, validation) and raises metadata.generation when the spec changed, as a request over HTTP does.
    """

    kinds: Kinds

    def as_manager(self, manager: str) -> Objects:
        """The same objects. Each field that is written through the result is recorded as the manager's."""

    def get(self, kind: Kind, namespace: str | None, name: str) -> Object:
        """The object. Raises NotFoundError."""

    def find(self, kind: Kind, namespace: str | None, name: str) -> Object | None:
        """The object, or None if it does not exist."""

    def list(self, kind: Kind, namespace: str | None = None, labels: Mapping[str, str] | None = None) -> list[Object]:
        """All objects of a kind that have all of `labels`, in a namespace or in all, by namespace and name."""

    def create(self, kind: Kind, body: Object, *, dry_run: bool = False) -> Object:
        """Store a new object; metadata.generateName is supported. Raises AlreadyExistsError, StatusError.
        With `dry_run`, do everything except storing it."""

    def update(self, kind: Kind, body: Object, *, dry_run: bool = False) -> Object:
        """Replace everything except status. Raises ConflictError if the body has a resourceVersion that is not current.
        If nothing changes, nothing is written and no event is sent. With `dry_run`, do everything except storing."""

    def update_status(self, kind: Kind, body: Object) -> Object:
        """Replace only status; otherwise like `update`."""

    def delete(self, kind: Kind, namespace: str | None, name: str, *, uid: str | None = None,
               grace_period_s: float | None = None) -> Object | None:
        """Mark an object for deletion, or remove it at once if it has no finalizers and (pods) no grace period.
        For a pod that runs on a node, the first call sets metadata.deletionTimestamp and deletionGracePeriodSeconds,
        and the node removes it with `grace_period_s=0`. Returns the marked object, None if it is removed. Raises
        NotFoundError."""

    def watch(self, *kinds: Kind) -> AsyncIterator[WatchEvent]:
        """An ADDED for each existing object, then every change as it happens, until the iterator is closed.
        Without kinds: the objects of all kinds, including those that are added later."""


def copied(value: T) -> T:
    """A copy of JSON data that shares nothing with it. Through JSON it is many times faster than `copy.deepcopy`."""
    return orjson.loads(orjson.dumps(value))  # type: ignore[no-any-return]


def utc(moment: float) -> str:
    """A POSIX time in the format of the API: whole seconds, UTC."""
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def key_of(obj: Mapping[str, Any]) -> tuple[str | None, str]:
    """The namespace and name of an object."""
    meta = obj["metadata"]
    return meta.get("namespace"), meta["name"]


def owner_reference(owner: Object) -> Object:
    """The reference by which a child is deleted together with its owner and controller."""
    meta = owner["metadata"]
    return {"apiVersion": owner["apiVersion"], "blockOwnerDeletion": True, "controller": True,
            "kind": owner["kind"], "name": meta["name"], "uid": meta["uid"]}


def condition(obj: Mapping[str, Any], type_: str) -> Object:
    """The condition of a type, or an empty dict."""
    conditions = (obj.get("status") or {}).get("conditions") or []
    return next((c for c in conditions if c["type"] == type_), {})


def is_true(obj: Mapping[str, Any], type_: str) -> bool:
    """Whether the condition of a type is True."""
    return condition(obj, type_).get("status") == "True"
