"""Defaults and validation of CustomResourceDefinitions.

Source: k8s.io/apiextensions-apiserver pkg/apis/apiextensions/v1/defaults.go, pkg/apis/apiextensions/validation and
pkg/apiserver/schema (structural schemas).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from kserve_nb.clusters.embedded.api.admission.review import Review
from kserve_nb.clusters.embedded.api.admission.unsupported_text import KIND_CLUSTER, refusal
from kserve_nb.clusters.embedded.api.field_errors import Cause, forbidden, invalid, invalid_value, required
from kserve_nb.clusters.embedded.apimachinery.kinds import CUSTOM_RESOURCE_DEFINITION
from kserve_nb.clusters.embedded.apimachinery.objects import Object
from kserve_nb.values import dns_names

_SCOPES = ("Cluster", "Namespaced")


def default(review: Review) -> None:
    """Set the singular and list names and the conversion strategy."""
    spec = review.new.setdefault("spec", {})
    names = spec.setdefault("names", {})
    kind = names.get("kind") or ""
    names.setdefault("singular", kind.lower())
    names.setdefault("listKind", f"{kind}List")
    spec.setdefault("conversion", {"strategy": "None"})


def validate(review: Review) -> None:
    """Refuse definitions whose names, versions or schemas are invalid, and those that need a conversion webhook."""
    name, spec = review.name, review.new["spec"]
    before = (review.old or review.new)["spec"]
    causes = [*_name_problems(name, spec), *_version_problems(spec), *_changes(spec, before)]
    for index, version in enumerate(spec.get("versions") or ()):
        causes += _schema_of_version_problems(version, f"spec.versions[{index}]")
        review.warnings += _cel_warnings((version.get("schema") or {}).get("openAPIV3Schema"),
                                         f"spec.versions[{index}].schema.openAPIV3Schema")
    if causes:
        raise invalid(CUSTOM_RESOURCE_DEFINITION, name, causes)
    if spec["conversion"].get("strategy") == "Webhook":
        raise refusal(f"conversion webhooks: nothing would convert objects of the CustomResourceDefinition {name!r}",
                      "Use conversion strategy None")


def _cel_warnings(schema: Any, path: str) -> Iterator[str]:
    """A warning for each list of CEL rules in a schema: no evaluator is small enough to be part of this API server."""
    if not isinstance(schema, dict):
        return
    if schema.get("x-kubernetes-validations"):
        yield (f"{path}.x-kubernetes-validations: the embedded cluster does not evaluate CEL rules, so it accepts "
               f"objects that break them. Use {KIND_CLUSTER}.")
    for name, inner in (schema.get("properties") or {}).items():
        yield from _cel_warnings(inner, f"{path}.properties[{name}]")
    for field in ("items", "additionalProperties"):
        yield from _cel_warnings(schema.get(field), f"{path}.{field}")


def _name_problems(name: str, spec: Object) -> Iterator[Cause]:
    names, group = spec["names"], spec.get("group") or ""
    if name != f"{names.get('plural') or ''}.{group}":
        yield invalid_value("metadata.name", name, 'must be spec.names.plural+"."+spec.group')
    if not group:
        yield required("spec.group")
    elif "." not in group:
        yield invalid_value("spec.group", group, "should be a domain with at least one dot")
    else:
        yield from (invalid_value("spec.group", group, text) for text in dns_names.subdomain_errors(group))
    if spec.get("scope") not in _SCOPES:
        yield _not_supported("spec.scope", spec.get("scope") or "", _SCOPES)
    for field in ("plural", "singular", "kind", "listKind"):
        value = names.get(field) or ""
        if not value:
            yield required(f"spec.names.{field}")
        prefix = "may have mixed case, but should otherwise match: " if field in ("kind", "listKind") else ""
        for text in dns_names.label_1035_errors(value.lower() if prefix else value):
            yield invalid_value(f"spec.names.{field}", value, prefix + text)
    if names.get("kind") and names.get("kind") == names.get("listKind"):
        yield invalid_value("spec.names.listKind", names["listKind"], "kind and listKind may not be the same")


def _version_problems(spec: Object) -> Iterator[Cause]:
    versions = spec.get("versions") or []
    if sum(bool(version.get("storage")) for version in versions) != 1:
        yield invalid_value("spec.versions", versions, "must have exactly one version marked as storage version")
    names = [version.get("name") or "" for version in versions]
    for index, name in enumerate(names):
        for text in dns_names.label_1035_errors(name):
            yield invalid_value(f"spec.versions[{index}].name", name, text)
    if len(set(names)) < len(names):
        yield invalid_value("spec.versions", versions, "must contain unique version names")


def _changes(spec: Object, old: Object) -> Iterator[Cause]:
    """Fields that may not change (`ValidateUpdateCustomResourceDefinitionSpec`)."""
    for path in (("group",), ("scope",), ("names", "kind"), ("names", "plural")):
        before, after = _at(old, path), _at(spec, path)
        if before != after:
            yield invalid_value(".".join(("spec", *path)), after, "field is immutable")


def _schema_of_version_problems(version: Object, path: str) -> Iterator[Cause]:
    schema = (version.get("schema") or {}).get("openAPIV3Schema")
    path = f"{path}.schema.openAPIV3Schema"
    if not isinstance(schema, dict):
        yield required(path, "schemas are required")
        return
    if schema.get("type") != "object":
        yield invalid_value(f"{path}.type", schema.get("type") or "", "must be object at the root")
    yield from _schema_problems(schema, path)


def _schema_problems(schema: Object, path: str) -> Iterator[Cause]:
    """What makes a schema unusable: fields without a type, unknown types, patterns that cannot be compiled."""
    properties = schema.get("properties") or {}
    if properties and schema.get("additionalProperties", True) is not True:
        yield forbidden(f"{path}.additionalProperties", "additionalProperties and properties are mutual exclusive")
    for name, inner in properties.items():
        yield from _typed(inner, f"{path}.properties[{name}]", "must not be empty for specified object fields")
    if isinstance(schema.get("items"), dict):
        yield from _typed(schema["items"], f"{path}.items", "must not be empty for specified array items")
    if isinstance(schema.get("additionalProperties"), dict):
        yield from _typed(schema["additionalProperties"], f"{path}.additionalProperties",
                          "must not be empty for specified object fields")
    if schema.get("type") == "array" and "items" not in schema:
        yield required(f"{path}.items", "must be specified")
    if (pattern := schema.get("pattern")) and not _compiles(pattern):
        yield invalid_value(f"{path}.pattern", pattern, "must be a valid regular expression, but isn't")


def _typed(schema: Object, path: str, message: str) -> Iterator[Cause]:
    free = schema.get("x-kubernetes-int-or-string") or schema.get("x-kubernetes-preserve-unknown-fields")
    if not schema.get("type") and not free:
        yield required(f"{path}.type", message)
    yield from _schema_problems(schema, path)


def _compiles(pattern: str) -> bool:
    try:
        re.compile(pattern)
    except re.error:
        return False
    return True


def _at(spec: Object, path: tuple[str, ...]) -> Any:
    value: Any = spec
    for name in path:
        value = (value or {}).get(name)
    return value


def _not_supported(field: str, value: str, supported: tuple[str, ...]) -> Cause:
    choices = ", ".join(json.dumps(choice) for choice in supported)
    return Cause(field, "FieldValueNotSupported",
                 f"Unsupported value: {json.dumps(value)}: supported values: {choices}")
