"""The schemas of an OpenAPI document, from the tables of fields."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache

from kserve_nb.clusters.embedded.api.schema.kind_types import IDLE, Field, fields_of, go_name, type_of_kind
from kserve_nb.clusters.embedded.objects import Kind, Object

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

_SCALARS: dict[str, Object] = {
    "string": {"type": "string"}, "bool": {"type": "boolean"}, "int": {"type": "integer"},
    "int32": {"type": "integer", "format": "int32"}, "int64": {"type": "integer", "format": "int64"},
    "number": {"type": "number", "format": "double"}, "any": {"x-kubernetes-preserve-unknown-fields": True},
    "open": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
}
_QUANTITY_PATTERN = (
    r"^(\+|-)?(([0-9]+(\.[0-9]*)?)|(\.[0-9]+))(([KMGTPE]i)|[numkMGTPE]|([eE](\+|-)?(([0-9]+(\.[0-9]*)?)|(\.[0-9]+))))?$")
_EITHER: Object = {"anyOf": [{"type": "integer"}, {"type": "string"}], "x-kubernetes-int-or-string": True}
_INLINE_SCALARS = _SCALARS | {
    "time": {"type": "string", "format": "date-time"}, "intstr": _EITHER,
    "quantity": _EITHER | {"pattern": _QUANTITY_PATTERN},
}
_REFERENCED_SCALARS = _SCALARS | {
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

# How kubectl merges lists of built-in kinds (patchMergeKey and patchStrategy of the Go types): type → field → key.
_MERGED: dict[str, dict[str, str]] = {
    "V1PodSpec": {"containers": "name", "initContainers": "name", "ephemeralContainers": "name", "volumes": "name",
                  "imagePullSecrets": "name", "hostAliases": "ip", "topologySpreadConstraints": "topologyKey",
                  "resourceClaims": "name", "schedulingGates": "name"},
    "V1Container": {"env": "name", "ports": "containerPort", "volumeMounts": "mountPath",
                    "volumeDevices": "devicePath"},
    "V1EphemeralContainer": {"env": "name", "ports": "containerPort", "volumeMounts": "mountPath",
                             "volumeDevices": "devicePath"},
    "V1ObjectMeta": {"ownerReferences": "uid", "finalizers": ""},
    "V1ServiceSpec": {"ports": "port"}, "V1ServiceAccount": {"secrets": "name"},
    "V1NodeSpec": {"podCIDRs": ""}, "V1NodeStatus": {"addresses": "type", "conditions": "type"},
    "V1PodStatus": {"conditions": "type", "hostIPs": "ip", "podIPs": "ip"},
    "V1DeploymentStatus": {"conditions": "type"}, "V1ReplicaSetStatus": {"conditions": "type"},
    "V1NamespaceStatus": {"conditions": "type"}, "V1ServiceStatus": {"conditions": "type"},
    "V1PersistentVolumeClaimStatus": {"conditions": "type"},
}
_RETAINED_KEYS = {("V1PodSpec", "volumes"): "merge,retainKeys", ("V1PodSpec", "resourceClaims"): "merge,retainKeys",
                  ("V1DeploymentSpec", "strategy"): "retainKeys"}
# Where the types of a group are told by how their names begin; all others are core's.
_GROUPS = {"apps": ("Deployment", "ReplicaSet", "RollingUpdate"), "coordination": ("Lease",),
           "discovery": ("EndpointSlice", "EndpointConditions", "EndpointHints", "Discovery", "ForZone", "ForNode")}


def schemas_of(kinds: Iterable[Kind]) -> dict[str, Object]:
    """All components that the documents of these kinds refer to, by name."""
    found: dict[str, Object] = dict(_SPECIAL_COMPONENTS)
    for kind in kinds:
        type_name = type_of_kind(kind)
        assert type_name is not None, f"{kind.kind} is never served"
        found[component_name(kind)] = _of_kind(kind, type_name)
        found[f"{component_name(kind)}List"] = _list_of(kind)
        if not kind.is_custom:
            _add_parts(type_name, found)
    for type_name in ("V1ObjectMeta", "V1ListMeta", "V1DeleteOptions", "V1Status"):
        found[_component_of(type_name)] = _referring(type_name)
        _add_parts(type_name, found)
    return dict(sorted(found.items()))


def component_name(kind: Kind) -> str:
    """`io.kserve.serving.v1beta1.InferenceService`, `io.k8s.api.core.v1.Pod`."""
    type_name = type_of_kind(kind)
    if type_name not in (None, IDLE) and not kind.is_custom:
        return _component_of(type_name)
    return ".".join([*reversed(kind.group.split(".")), kind.version, kind.kind])


def _of_kind(kind: Kind, type_name: str) -> Object:
    schema = dict(_inline(type_name) if kind.is_custom else _referring(type_name))
    schema["properties"] = schema["properties"] | {
        "apiVersion": {"type": "string", "description": _API_VERSION}, "kind": {"type": "string", "description": _KIND},
        "metadata": {"description": _METADATA, "allOf": [{"$ref": f"{REF}{META}.ObjectMeta"}]},
    }
    return schema | {"x-kubernetes-group-version-kind": [_gvk(kind, kind.kind)]}


def _list_of(kind: Kind) -> Object:
    items = {"type": "array", "items": {"$ref": REF + component_name(kind)}}
    return {
        "type": "object", "required": ["items"], "description": f"{kind.kind}List is a list of {kind.kind}",
        "properties": {"apiVersion": {"type": "string", "description": _API_VERSION}, "items": items,
                       "kind": {"type": "string", "description": _KIND},
                       "metadata": {"allOf": [{"$ref": f"{REF}{META}.ListMeta"}]}},
        "x-kubernetes-group-version-kind": [_gvk(kind, f"{kind.kind}List")],
    }


def _gvk(kind: Kind, name: str) -> dict[str, str]:
    return {"group": kind.group, "kind": name, "version": kind.version}


def _component_of(type_name: str) -> str:
    name = go_name(type_name)
    if type_name in _META_TYPES:
        return f"{META}.{name}"
    if name.startswith(("CustomResource", "JSONSchemaProps", "ExternalDocumentation", "SelectableField", "Webhook",
                        "ValidationRule", "ServiceReference")):
        return f"io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.{name}"
    group = next((group for group, names in _GROUPS.items() if name.startswith(names)), "core")
    return f"io.k8s.api.{group}.v1.{name}"


def _add_parts(type_name: str, found: dict[str, Object]) -> None:
    """Add the components that the fields of a type refer to, and those that they refer to in turn."""
    for field in fields_of(type_name).values():
        part = field.type.lstrip("[]{}")
        if part not in _REFERENCED_SCALARS and _component_of(part) not in found:
            found[_component_of(part)] = _referring(part)
            _add_parts(part, found)


@cache
def _inline(type_: str) -> Object:
    """A schema with everything in it, as those of custom resources are; equal parts are one and the same object."""
    if type_.startswith("[]"):
        return {"type": "array", "items": _inline(type_[2:])}
    if type_.startswith("{}"):
        return {"type": "object", "additionalProperties": _inline(type_[2:])}
    if type_ in _INLINE_SCALARS:
        return _INLINE_SCALARS[type_]
    fields = fields_of(type_)
    return _object(fields, {name: _with_choices(_inline(field.type), field) for name, field in fields.items()})


def _referring(type_name: str) -> Object:
    """A schema that refers to the components of the types of its fields."""
    fields = fields_of(type_name)
    return _object(fields, {name: _with_merging(type_name, name, _reference(field.type))
                            for name, field in fields.items()})


def _reference(type_: str) -> Object:
    if type_.startswith("[]"):
        return {"type": "array", "items": _reference(type_[2:])}
    if type_.startswith("{}"):
        return {"type": "object", "additionalProperties": _reference(type_[2:])}
    if type_ in _REFERENCED_SCALARS:
        return _REFERENCED_SCALARS[type_]
    return {"allOf": [{"$ref": REF + _component_of(type_)}]}


def _object(fields: dict[str, Field], properties: dict[str, Object]) -> Object:
    schema: Object = {"type": "object", "properties": properties}
    if required := sorted(name for name, field in fields.items() if field.required):
        schema["required"] = required
    return schema


def _with_choices(schema: Object, field: Field) -> Object:
    return schema | {"enum": list(field.choices)} if field.choices else schema


def _with_merging(type_name: str, field: str, schema: Object) -> Object:
    if (strategy := _RETAINED_KEYS.get((type_name, field))) is not None:
        schema = schema | {"x-kubernetes-patch-strategy": strategy}
    if (key := _MERGED.get(type_name, {}).get(field)) is not None:
        schema = {"x-kubernetes-patch-strategy": "merge"} | schema
        if key:
            schema["x-kubernetes-patch-merge-key"] = key
    return schema
