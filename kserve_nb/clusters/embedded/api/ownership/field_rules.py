"""How each field of a kind is merged: lists item by item where keys identify the items, else as one value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from kserve_nb.clusters.embedded.apimachinery.list_keys import list_keys
from kserve_nb.clusters.embedded.apimachinery.objects import Kind

_ONLY_APPLIED = {"claims": ("name",)}  # keyed in server-side apply, replaced by a strategic merge patch
# The lists that the CustomResourceDefinitions of KServe and Knative declare as keyed, and those of metadata.
_IN_CUSTOM = ("ownerReferences", "finalizers", "env", "ports", "claims", "volumeMounts", "volumeDevices",
              "resourceClaims", "schedulingGates", "topologySpreadConstraints")


class FieldRules(Protocol):
    """How the value of a field is merged."""

    def keys(self, items: list[Any]) -> tuple[str, ...] | None:
        """The keys of the value's items, if it is a list: () for a set, None for a list that is one value."""

    def field(self, name: str) -> FieldRules:
        """The rules of a field in the value, if the value is an object."""

    def item(self) -> FieldRules:
        """The rules of the value's items, if the value is a list."""


@dataclass(frozen=True)
class NamedField:
    """The rules of a field by its name: lists of one name have the same keys in all kinds of the table."""

    name: str
    is_custom: bool

    def keys(self, items: list[Any]) -> tuple[str, ...] | None:
        if self.is_custom and self.name not in _IN_CUSTOM:
            return None
        return _ONLY_APPLIED.get(self.name) or list_keys(self.name, items)

    def field(self, name: str) -> FieldRules:
        return NamedField(name, self.is_custom)

    def item(self) -> FieldRules:
        return NamedField("", self.is_custom)


@dataclass(frozen=True)
class SchemaField:
    """The rules of a field by its schema (`x-kubernetes-list-type`), for kinds that users define."""

    schema: Mapping[str, Any]

    def keys(self, items: list[Any]) -> tuple[str, ...] | None:
        type_ = self.schema.get("x-kubernetes-list-type")
        if type_ == "map":
            return tuple(self.schema.get("x-kubernetes-list-map-keys") or ())
        return () if type_ == "set" else None

    def field(self, name: str) -> FieldRules:
        inner = (self.schema.get("properties") or {}).get(name, self.schema.get("additionalProperties"))
        return SchemaField(inner if isinstance(inner, Mapping) else {})

    def item(self) -> FieldRules:
        return SchemaField(self.schema.get("items") or {})


@dataclass(frozen=True)
class _ObjectRules(SchemaField):
    """The rules of a whole object of a user's kind, whose schema does not describe metadata."""

    def field(self, name: str) -> FieldRules:
        return NamedField(name, True) if name == "metadata" else super().field(name)


def rules_of(kind: Kind) -> FieldRules:
    """The rules of a kind's objects."""
    return NamedField("", kind.is_custom) if kind.schema is None else _ObjectRules(kind.schema)
