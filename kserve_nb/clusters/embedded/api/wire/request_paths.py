"""Paths of the Kubernetes API: the kind, namespace, name and subresource that a URL addresses."""

from __future__ import annotations

from dataclasses import dataclass

from kserve_nb.clusters.embedded.apimachinery.objects import Kind, Kinds


@dataclass(frozen=True)
class RequestTarget:
    """What a request addresses: an object, a subresource of it, or (without a name) a collection.

    A collection without a namespace holds the objects of all namespaces.
    """

    kind: Kind
    namespace: str | None = None
    name: str | None = None
    subresource: str | None = None

    @property
    def resource(self) -> str:
        """`pods` or `pods/log`: the resource's name in RBAC."""
        return f"{self.kind.plural}/{self.subresource}" if self.subresource else self.kind.plural


def resolve(kinds: Kinds, path: str) -> RequestTarget | None:
    """The target of a path, or None if the path addresses no kind that is served."""
    parts = path.strip("/").split("/")
    if parts[:2] == ["api", "v1"]:
        return _resolve(kinds, "", "v1", parts[2:])
    if parts[0] == "apis" and len(parts) > 3:
        return _resolve(kinds, parts[1], parts[2], parts[3:])
    return None


def _resolve(kinds: Kinds, group: str, version: str, rest: list[str]) -> RequestTarget | None:
    namespace: str | None = None
    in_namespace = len(rest) > 2 and rest[0] == "namespaces" and kinds.of_path(group, version, rest[2]) is not None
    if in_namespace:
        namespace, rest = rest[1], rest[2:]
    kind = kinds.of_path(group, version, rest[0]) if rest and len(rest) <= 3 and all(rest) else None
    if kind is None or (in_namespace and (not kind.namespaced or not namespace)):
        return None
    if kind.namespaced and len(rest) > 1 and not namespace:
        return None
    if len(rest) == 3 and rest[2] not in kind.subresources:
        return None
    return RequestTarget(kind, namespace, *rest[1:])
