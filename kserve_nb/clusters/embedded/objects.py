"""What all parts of the embedded cluster share: the kinds it knows, the store's contract, small helpers for objects.

Objects are plain dicts in the shape of their JSON. The API server, the reconcilers, the node and the gateway meet
only through them: each gets an `Objects` and knows nothing of the others.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal, NamedTuple, Protocol

Object = dict[str, Any]


@dataclass(frozen=True)
class Settings:
    """What a cluster was started with, as its parts need it."""

    speed: float = 10  # divides the windows below; never pod start, ages or timestamps
    gateway: Literal["istio", "kourier"] = "istio"  # the form of the InferenceService's URLs
    ingress_host: str = "127.0.0.1"
    ingress_port: int = 8080
    domain: str = "example.com"
    node: str = "embedded"  # the node's name

    def window_s(self, real_s: float) -> float:
        """A waiting time of a real cluster (stable window, grace, drain, progress deadline, back-off) at this speed."""
        return real_s / self.speed


@dataclass(frozen=True)
class Kind:
    """One kind of object: its group, version, names and scope, as discovery tells them."""

    group: str
    version: str
    kind: str
    plural: str
    namespaced: bool = True
    short: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    internal: bool = False  # lives in the store alone: never served over HTTP
    has_status: bool = True

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def resource(self) -> str:
        """`inferenceservices.serving.kserve.io`, `pods`: how messages of the API server name the kind."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    @property
    def is_custom(self) -> bool:
        """Whether a CustomResourceDefinition defines the kind: its group has a domain that is not Kubernetes' own."""
        return "." in self.group and not self.group.endswith(".k8s.io")


class StatusError(Exception):
    """What an API server refuses with: an HTTP code, a reason and a message, as a `Status` object carries them."""

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
    """A watch asked to begin at a version that is no longer kept."""


class WatchEvent(NamedTuple):
    """A change of an object: what happened, and the object after it (before it, for DELETED)."""

    type: Literal["ADDED", "MODIFIED", "DELETED", "BOOKMARK"]
    object: Object


class Objects(Protocol):
    """The store as the other parts see it. Returned objects are theirs to change: they are copies.

    Calls do not block on anything but memory and a local database, so they are plain functions; every call but the
    reads runs admission (defaulting, validation) and bumps metadata.generation when the spec changed, exactly as a
    request over HTTP does.
    """

    def get(self, kind: Kind, namespace: str | None, name: str) -> Object:
        """The object. Raises NotFoundError."""

    def find(self, kind: Kind, namespace: str | None, name: str) -> Object | None:
        """The object, or None where there is none."""

    def list(self, kind: Kind, namespace: str | None = None, labels: Mapping[str, str] | None = None) -> list[Object]:
        """All objects of a kind, in a namespace or everywhere, that carry all of `labels`; by namespace and name."""

    def create(self, kind: Kind, body: Object, *, dry_run: bool = False) -> Object:
        """Store a new object (metadata.generateName is honoured). Raises AlreadyExistsError, StatusError.
        With `dry_run` all is done but the storing."""

    def update(self, kind: Kind, body: Object, *, dry_run: bool = False) -> Object:
        """Replace all but status. Where body carries a resourceVersion it must be the current one: ConflictError.
        Writes nothing, and sends no event, when nothing changes. With `dry_run` all is done but the storing."""

    def update_status(self, kind: Kind, body: Object) -> Object:
        """Replace status alone; otherwise as `update`."""

    def delete(self, kind: Kind, namespace: str | None, name: str, *, uid: str | None = None,
               grace_period_s: float | None = None) -> Object | None:
        """Mark for deletion, or remove at once where neither finalizers nor (pods) a grace period keep the object.
        For a pod that runs on a node, a first call sets metadata.deletionTimestamp and deletionGracePeriodSeconds, and
        the node ends it with `grace_period_s=0`. Returns what is left, None when it is gone. Raises NotFoundError."""

    def watch(self, *kinds: Kind) -> AsyncIterator[WatchEvent]:
        """First an ADDED for each object there is, then every change as it happens, until the iterator is closed."""


def utc(moment: float) -> str:
    """A POSIX time as the API writes times: whole seconds, UTC."""
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def key_of(obj: Mapping[str, Any]) -> tuple[str | None, str]:
    """Namespace and name of an object."""
    meta = obj["metadata"]
    return meta.get("namespace"), meta["name"]


def owner_reference(owner: Object) -> Object:
    """The controller reference that makes `owner` the object that a child goes away with."""
    meta = owner["metadata"]
    return {"apiVersion": owner["apiVersion"], "blockOwnerDeletion": True, "controller": True,
            "kind": owner["kind"], "name": meta["name"], "uid": meta["uid"]}


def condition(obj: Mapping[str, Any], type_: str) -> Object:
    """The condition of that type, or an empty dict."""
    conditions = (obj.get("status") or {}).get("conditions") or []
    return next((c for c in conditions if c["type"] == type_), {})


def is_true(obj: Mapping[str, Any], type_: str) -> bool:
    """Whether the condition of that type is True."""
    return condition(obj, type_).get("status") == "True"
