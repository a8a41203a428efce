"""What a reconciler is: a pure function of one object and a view of the others that returns the changes to write."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from kserve_nb.clusters.embedded.apimachinery.objects import Kind, Object, Objects, Settings, key_of

Key = tuple[str | None, str]  # namespace and name
Event = tuple[Object, str, str, str, str]  # object, type, reason, message, component


@dataclass(frozen=True)
class Moment:
    """The time and the cluster's settings: a reconciler reads only these and objects."""

    now: float  # POSIX seconds
    settings: Settings


@dataclass
class Changes:
    """The writes and events that a reconciler returns, in the order in which they are to be made."""

    writes: list[Callable[[Objects], object]] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    requeue_after_s: float | None = None
    failed: bool = False

    def create(self, kind: Kind, body: Object) -> None:
        self.writes.append(lambda objects: objects.create(kind, body))

    def update(self, kind: Kind, body: Object) -> None:
        self.writes.append(lambda objects: objects.update(kind, body))

    def update_status(self, kind: Kind, body: Object) -> None:
        self.writes.append(lambda objects: objects.update_status(kind, body))

    def delete(self, kind: Kind, obj: Object, *, grace_period_s: float | None = None) -> None:
        namespace, name = key_of(obj)
        uid = obj["metadata"].get("uid")
        self.writes.append(
            lambda objects: objects.delete(kind, namespace, name, uid=uid, grace_period_s=grace_period_s))

    def event(self, about: Object, type_: str, reason: str, message: str, component: str) -> None:
        """Record an Event of `type_` Normal or Warning about an object, reported by the named controller."""
        self.events.append((about, type_, reason, message, component))

    def requeue_after(self, delay_s: float) -> None:
        """Reconcile the object again after a delay. Of several delays, the shortest one counts."""
        self.requeue_after_s = delay_s if self.requeue_after_s is None else min(self.requeue_after_s, delay_s)

    def retry(self) -> None:
        """Reconcile the object again with exponential back-off, as after an error."""
        self.failed = True


@dataclass(frozen=True)
class Reconciler:
    """A reconcile function and the changes that queue an object for it.

    An object is queued when it changes itself, when a child of a kind in `owns` changes, and when an object of a kind
    in `watches` changes (the function there maps that object to keys). `delays_s` holds back the changes of a kind: the
    function then runs that many seconds after the first change and sees everything that happened until then.
    """

    name: str
    kind: Kind
    reconcile: Callable[[Object, Objects, Moment], Changes]
    owns: tuple[Kind, ...] = ()
    watches: Mapping[Kind, Callable[[Object, Objects], Iterable[Key]]] = field(default_factory=dict)
    watches_others: Callable[[Object, Objects], Iterable[Key]] | None = None  # for all other kinds, users' kinds too
    delays_s: Mapping[Kind, float] = field(default_factory=dict)
    manager: str = "kube-controller-manager"  # the name of the program that contains it, for metadata.managedFields


def keys_to_queue(reconciler: Reconciler, kind: Kind, obj: Object, view: Objects) -> Iterator[Key]:
    """The keys of the objects that a reconciler has to reconcile because an object of `kind` changed."""
    if reconciler.kind == kind:
        yield key_of(obj)
    if kind in reconciler.owns:
        for owner in obj["metadata"].get("ownerReferences", []):
            if (owner["kind"], owner["apiVersion"]) == (reconciler.kind.kind, reconciler.kind.api_version):
                yield obj["metadata"].get("namespace"), owner["name"]
    mapping = reconciler.watches.get(kind, reconciler.watches_others)
    if mapping is not None:
        yield from mapping(obj, view)


def without_version(obj: Object) -> Object:
    """The object without its resourceVersion, for a second write to it by the same reconciler run."""
    return {**obj, "metadata": {key: value for key, value in obj["metadata"].items() if key != "resourceVersion"}}
