"""What a path of the API addresses: a kind, a namespace, a name, a subresource."""

from __future__ import annotations

from dataclasses import dataclass

from kserve_nb.clusters.embedded.objects import Kind, Kinds


@dataclass(frozen=True)
class Target:
    """What a request is about. Without a name it is the collection; without a namespace it is in all of them."""

    kind: Kind
    namespace: str | None = None
    name: str | None = None
    subresource: str | None = None

    @property
    def resource(self) -> str:
        """`pods` or `pods/log`: how RBAC names it."""
        return f"{self.kind.plural}/{self.subresource}" if self.subresource else self.kind.plural


def resolve(kinds: Kinds, path: str) -> Target | None:
    """What the path addresses, or None where there is nothing such."""
    parts = path.strip("/").split("/")
    if parts[:2] == ["api", "v1"]:
        return _resolve(kinds, "", "v1", parts[2:])
    if parts[0] == "apis" and len(parts) > 3:
        return _resolve(kinds, parts[1], parts[2], parts[3:])
    return None


def _resolve(kinds: Kinds, group: str, version: str, rest: list[str]) -> Target | None:
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
    return Target(kind, namespace, *rest[1:])
