"""The component schemas of an OpenAPI document."""

from __future__ import annotations

from collections.abc import Iterable

from kserve_nb.clusters.embedded.api.schema.kind_schemas import SCALARS, object_schema, schema_of
from kserve_nb.clusters.embedded.api.schema.kind_types import OPEN_OBJECT, fields_of, go_name, type_of_kind
from kserve_nb.clusters.embedded.apimachinery.kinds import CUSTOM_RESOURCE_DEFINITION, KINDS
from kserve_nb.clusters.embedded.apimachinery.list_keys import LIST_KEYS
from kserve_nb.clusters.embedded.apimachinery.objects import Kind, Object

REF = "#/components/schemas/"
META = "io.k8s.apimachinery.pkg.apis.meta.v1"
QUANTITY = "io.k8s.apimachinery.pkg.api.resource.Quantity"
INT_OR_STRING = "io.k8s.apimachinery.pkg.util.intstr.IntOrString"

_CONVENTIONS = "https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md"
_API_VERSION = (
    "APIVersion defines the versioned schema of this representation of an object. Servers should convert recognized "
    f"schemas to the latest internal value, and may reject unrecognized values. More info: {_CONVENTIONS}#resources")
_KIND = (
    "Kind is a string value representing the REST resource this object represents. Servers may infer this from the "
    f"endpoint the client submits requests to. Cannot be updated. In CamelCase. More info: {_CONVENTIONS}#types-kinds")
_METADATA = f"Standard object's metadata. More info: {_CONVENTIONS}#metadata"

_REFERENCED_SCALARS = SCALARS | {
    "time": {"$ref": f"{REF}{META}.Time"}, "intstr": {"$ref": REF + INT_OR_STRING},
    "quantity": {"$ref": REF + QUANTITY},
}
_SPECIAL_COMPONENTS: dict[str, Object] = {
    f"{META}.Time": {"type": "string", "format": "date-time"},
    f"{META}.Patch": {"type": "object"},
    f"{META}.FieldsV1": {"type": "object"},
    QUANTITY: {"oneOf": [{"type": "string"}, {"type": "number"}]},
    INT_OR_STRING: {"format": "int-or-string", "oneOf": [{"type": "integer"}, {"type": "string"}]},
}
_META_TYPES = frozenset((
    "V1ObjectMeta", "V1ListMeta", "V1OwnerReference", "V1ManagedFieldsEntry", "V1LabelSelector",
    "V1LabelSelectorRequirement", "V1DeleteOptions", "V1Preconditions", "V1Status", "V1StatusDetails", "V1StatusCause",
    "V1Condition"))

_RETAINED_KEYS = {("V1PodSpec", "volumes"): "merge,retainKeys", ("V1PodSpec", "resourceClaims"): "merge,retainKeys",
                  ("V1DeploymentSpec", "strategy"): "retainKeys"}
_CORE_PACKAGE = "io.k8s.api.core.v1"


def _package(kind: Kind) -> str:
    """The Go package of a built-in kind's types, as component names spell it."""
    group = kind.group.partition(".")[0]
    if kind == CUSTOM_RESOURCE_DEFINITION:
        return f"io.k8s.apiextensions-apiserver.pkg.apis.{group}.{kind.version}"
    return f"io.k8s.api.{group}.{kind.version}"


_PACKAGES = {prefix: _package(kind) for kind in KINDS for prefix in kind.type_prefixes}  # by prefix; else core


def schemas_of(kinds: Iterable[Kind]) -> dict[str, Object]:
    """All components that the document of these kinds refers to, by name."""
    found: dict[str, Object] = dict(_SPECIAL_COMPONENTS)
    for kind in kinds:
        found[component_name(kind)] = _of_kind(kind)
        found[list_component_name(kind)] = _list_of(kind)
        if not kind.is_custom:
            _add_parts(type_of_kind(kind), found)
    for type_name in ("V1ObjectMeta", "V1ListMeta", "V1DeleteOptions", "V1Status"):
        found[_component_of(type_name)] = _referring(type_name)
        _add_parts(type_name, found)
    return dict(sorted(found.items()))


def component_name(kind: Kind) -> str:
    """The name of a kind's component: `io.kserve.serving.v1beta1.InferenceService`, `io.k8s.api.core.v1.Pod`."""
    type_name = type_of_kind(kind)
    if type_name != OPEN_OBJECT and not kind.is_custom:
        return _component_of(type_name)
    return _full_name(kind, kind.kind)


def list_component_name(kind: Kind) -> str:
    """The name of the component of a list of a kind: `io.k8s.api.core.v1.PodList`."""
    return component_name(kind).removesuffix(kind.kind) + kind.list_kind


def _full_name(kind: Kind, name: str) -> str:
    return ".".join([*reversed(kind.group.split(".")), kind.version, name])


def _of_kind(kind: Kind) -> Object:
    schema = dict(schema_of(kind) if kind.is_custom else _referring(type_of_kind(kind)))
    schema["properties"] = schema["properties"] | {
        "apiVersion": {"type": "string", "description": _API_VERSION}, "kind": {"type": "string", "description": _KIND},
        "metadata": {"description": _METADATA, "allOf": [{"$ref": f"{REF}{META}.ObjectMeta"}]},
    }
    return schema | {"x-kubernetes-group-version-kind": [_gvk(kind, kind.kind)]}


def _list_of(kind: Kind) -> Object:
    items = {"type": "array", "items": {"$ref": REF + component_name(kind)}}
    return {
        "type": "object", "required": ["items"], "description": f"{kind.list_kind} is a list of {kind.kind}",
        "properties": {"apiVersion": {"type": "string", "description": _API_VERSION}, "items": items,
                       "kind": {"type": "string", "description": _KIND},
                       "metadata": {"allOf": [{"$ref": f"{REF}{META}.ListMeta"}]}},
        "x-kubernetes-group-version-kind": [_gvk(kind, kind.list_kind)],
    }


def _gvk(kind: Kind, name: str) -> dict[str, str]:
    return {"group": kind.group, "kind": name, "version": kind.version}


def _component_of(type_name: str) -> str:
    name = go_name(type_name)
    if type_name in _META_TYPES:
        return f"{META}.{name}"
    package = next((package for prefix, package in _PACKAGES.items() if name.startswith(prefix)), _CORE_PACKAGE)
    return f"{package}.{name}"


def _add_parts(type_name: str, found: dict[str, Object]) -> None:
    """Add the components that the fields of a type refer to, directly or through other components."""
    for field in fields_of(type_name).values():
        part = field.type.lstrip("[]{}")
        if part not in _REFERENCED_SCALARS and _component_of(part) not in found:
            found[_component_of(part)] = _referring(part)
            _add_parts(part, found)


def _referring(type_name: str) -> Object:
    """A schema whose fields refer to the components of their types."""
    return object_schema(type_name, {name: _with_merging(type_name, name, _reference(field.type))
                                     for name, field in fields_of(type_name).items()})


def _reference(type_: str) -> Object:
    if type_.startswith("[]"):
        return {"type": "array", "items": _reference(type_[2:])}
    if type_.startswith("{}"):
        return {"type": "object", "additionalProperties": _reference(type_[2:])}
    if type_ in _REFERENCED_SCALARS:
        return _REFERENCED_SCALARS[type_]
    return {"allOf": [{"$ref": REF + _component_of(type_)}]}


def _with_merging(type_name: str, field: str, schema: Object) -> Object:
    if (strategy := _RETAINED_KEYS.get((type_name, field))) is not None:
        schema = schema | {"x-kubernetes-patch-strategy": strategy}
    if (keys := LIST_KEYS.get(type_name, {}).get(field)) is not None:
        schema = {"x-kubernetes-patch-strategy": "merge"} | schema
        if keys:
            schema["x-kubernetes-patch-merge-key"] = keys[0]
    return schema
