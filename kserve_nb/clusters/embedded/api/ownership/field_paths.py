"""Fields of objects as paths, for those who must know who owns which: server-side apply and managedFields.

A path is a tuple of FieldsV1 elements: `f:name` a field, `k:{"name":"x"}` an item of a list that is keyed,
`v:"x"` an item of a set (sigs.k8s.io/structured-merge-diff).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import orjson

from kserve_nb.clusters.embedded.objects import Kind, Object

Path = tuple[str, ...]

CONTAINER = object()  # what stands for the value of a map or of a keyed item: its fields have values of their own

_NOT_OWNED = {
    ("f:apiVersion",), ("f:kind",), ("f:metadata",),
    *(("f:metadata", f"f:{name}") for name in (
        "name", "namespace", "uid", "resourceVersion", "generation", "creationTimestamp", "managedFields", "selfLink",
        "deletionTimestamp", "deletionGracePeriodSeconds"))}
_MAPS = {"labels", "annotations", "matchLabels", "nodeSelector", "data", "binaryData", "stringData", "limits",
         "requests", "capacity", "allocatable", "overhead"}

# Keys of keyed lists by field name: in custom resources those that KServe's and Knative's CRDs declare, in built-in
# kinds those of the Kubernetes API (x-kubernetes-list-map-keys).
_CUSTOM_KEYS = {
    "ownerReferences": ("uid",), "env": ("name",), "ports": ("containerPort", "protocol"), "claims": ("name",),
    "volumeMounts": ("mountPath",), "volumeDevices": ("devicePath",), "resourceClaims": ("name",),
    "schedulingGates": ("name",), "topologySpreadConstraints": ("topologyKey", "whenUnsatisfiable")}
_BUILT_IN_KEYS = _CUSTOM_KEYS | {
    "containers": ("name",), "initContainers": ("name",), "ephemeralContainers": ("name",), "volumes": ("name",),
    "imagePullSecrets": ("name",), "secrets": ("name",), "conditions": ("type",), "hostAliases": ("ip",),
    "podIPs": ("ip",), "hostIPs": ("ip",), "addresses": ("type",)}
_DEFAULTS = {"protocol": "TCP"}


def leaves(kind: Kind, obj: Object | None, subresource: str = "") -> dict[Path, Any]:
    """All fields of an object that somebody can own through a (sub)resource, with their values."""
    found: dict[Path, Any] = {}
    for name, value in (obj or {}).items():
        if not kind.has_status or (name == "status") == (subresource == "status"):
            _walk(value, (f"f:{name}",), kind.is_custom, found)
    return {path: value for path, value in found.items() if path[:2] not in _NOT_OWNED and path not in _NOT_OWNED}


def item_elements(name: str, values: list[Any], custom: bool) -> list[str] | None:
    """The path elements of a list's items, None where the list is one value."""
    if name == "finalizers" and all(isinstance(value, str) for value in values):
        return [f"v:{_dumps(value)}" for value in values]
    keys = (_CUSTOM_KEYS if custom else _BUILT_IN_KEYS).get(name)
    if keys == ("containerPort", "protocol") and any(isinstance(v, dict) and "containerPort" not in v for v in values):
        keys = ("port", "protocol")
    if keys is None or not all(isinstance(value, dict) for value in values):
        return None
    elements = [
        f"k:{_dumps({key: value.get(key, _DEFAULTS.get(key)) for key in keys})}" for value in values]
    complete = all(value.get(key, _DEFAULTS.get(key)) is not None for value in values for key in keys)
    return elements if complete and len(set(elements)) == len(elements) else None


def merge(live: Any, applied: Any, name: str, custom: bool) -> Any:
    """What is live with the applied fields over it."""
    if isinstance(live, dict) and isinstance(applied, dict):
        return live | {key: merge(live.get(key), value, key, custom) for key, value in applied.items()}
    if isinstance(live, list) and isinstance(applied, list):
        old, new = item_elements(name, live, custom), item_elements(name, applied, custom)
        if old is not None and new is not None:
            items = dict(zip(old, live, strict=True))
            for element, value in zip(new, applied, strict=True):
                items[element] = merge(items.get(element), value, "", custom)
            return list(items.values())
    return applied


def remove(obj: Object, paths: Iterable[Path], custom: bool) -> None:
    """Take fields out of an object; a map goes when it is empty, a keyed item goes whole."""
    for path in sorted(paths, key=len, reverse=True):
        _remove(obj, path, "", custom)


def to_fields_v1(paths: Iterable[Path]) -> Object:
    """The FieldsV1 form of a set of paths."""
    members = sorted(paths)
    root: Object = {}
    for path in members:
        _node(root, path)
    for path in members:
        node = _node(root, path)
        if node:
            node["."] = {}
    return root


def from_fields_v1(fields: Any, prefix: Path = ()) -> set[Path]:
    """The set of paths of a FieldsV1; anything unreadable in it is left out."""
    if not isinstance(fields, Mapping):
        return set()
    if prefix and not fields:
        return {prefix}
    found: set[Path] = set()
    for element, value in fields.items():
        found |= {prefix} if element == "." else from_fields_v1(value, (*prefix, element))
    return found


def readable(path: Path) -> str:
    """`.spec.containers[name="x"].image`: a path as conflicts name it."""
    text = ""
    for element in path:
        sort, _, rest = element.partition(":")
        if sort == "f":
            text += f".{rest}"
        elif sort == "k":
            keys = orjson.loads(rest)
            text += "[" + ",".join(f"{key}={_dumps(value)}" for key, value in sorted(keys.items())) + "]"
        else:
            text += f"[={rest}]"
    return text


def _node(root: Object, path: Path) -> Object:
    for element in path:
        root = root.setdefault(element, {})
    return root


def _dumps(value: Any) -> str:
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()


def _walk(value: Any, path: Path, custom: bool, found: dict[Path, Any]) -> None:
    name = path[-1].partition(":")[2] if path[-1].startswith("f:") else ""
    if isinstance(value, dict) and value:
        if path[-1].startswith("k:") or name in _MAPS or (custom and path != ("f:metadata",)):
            found[path] = CONTAINER
        for key, child in value.items():
            _walk(child, (*path, f"f:{key}"), custom, found)
        return
    elements = item_elements(name, value, custom) if isinstance(value, list) and value else None
    if elements is None:
        found[path] = value
        return
    if name not in ("containers", "initContainers"):
        found[path] = CONTAINER
    for element, child in zip(elements, value, strict=True):
        _walk(child, (*path, element), custom, found)


def _remove(value: Any, path: Path, name: str, custom: bool) -> None:
    element, rest = path[0], path[1:]
    if isinstance(value, dict):
        key = element.removeprefix("f:")
        if rest:
            _remove(value.get(key), rest, key, custom)
        elif not _holds_fields(value.get(key), key, custom):
            value.pop(key, None)
    elif isinstance(value, list):
        elements = item_elements(name, value, custom) or []
        if element in elements:
            index = elements.index(element)
            if rest:
                _remove(value[index], rest, "", custom)
            else:
                del value[index]


def _holds_fields(value: Any, name: str, custom: bool) -> bool:
    """Whether there are fields in it that may be others'."""
    if isinstance(value, list):
        return bool(value) and item_elements(name, value, custom) is not None
    return isinstance(value, dict) and bool(value)
