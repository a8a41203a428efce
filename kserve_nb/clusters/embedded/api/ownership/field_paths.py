"""Fields of objects as paths: server-side apply and managedFields record by path which manager owns what.

A path is a tuple of FieldsV1 elements: `f:name` is a field, `k:{"name":"x"}` an item of a list with keys, `v:"x"` an
item of a set (sigs.k8s.io/structured-merge-diff).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import orjson

from kserve_nb.clusters.embedded.api.ownership.field_rules import FieldRules, rules_of
from kserve_nb.clusters.embedded.apimachinery.objects import Kind, Object

Path = tuple[str, ...]

CONTAINER = object()  # the value of maps and keyed items in `leaves`: their fields have their own paths

_NOT_OWNED = {
    ("f:apiVersion",), ("f:kind",), ("f:metadata",),
    *(("f:metadata", f"f:{name}") for name in (
        "name", "namespace", "uid", "resourceVersion", "generation", "creationTimestamp", "managedFields", "selfLink",
        "deletionTimestamp", "deletionGracePeriodSeconds"))}
_MAPS = {"labels", "annotations", "matchLabels", "nodeSelector", "data", "binaryData", "stringData", "limits",
         "requests", "capacity", "allocatable", "overhead"}

_DEFAULTS = {"protocol": "TCP"}


def leaves(kind: Kind, obj: Object | None, subresource: str = "") -> dict[Path, Any]:
    """All fields of an object that a manager can own through a (sub)resource, with their values."""
    found: dict[Path, Any] = {}
    rules = rules_of(kind)
    for name, value in (obj or {}).items():
        if not kind.has_status or (name == "status") == (subresource == "status"):
            _walk(value, (f"f:{name}",), rules.field(name), kind.is_custom, found)
    return {path: value for path, value in found.items() if path[:2] not in _NOT_OWNED and path not in _NOT_OWNED}


def item_elements(rules: FieldRules, values: list[Any]) -> list[str] | None:
    """The path elements of a list's items, None if the list is one value."""
    keys = rules.keys(values)
    if keys == () and all(isinstance(value, str | int | float) for value in values):
        return [f"v:{_dumps(value)}" for value in values]
    if not keys or not all(isinstance(value, dict) for value in values):
        return None
    elements = [
        f"k:{_dumps({key: value.get(key, _DEFAULTS.get(key)) for key in keys})}" for value in values]
    complete = all(value.get(key, _DEFAULTS.get(key)) is not None for value in values for key in keys)
    return elements if complete and len(set(elements)) == len(elements) else None


def merge(live: Any, applied: Any, rules: FieldRules) -> Any:
    """The live value, in which the applied fields replace those of the same path."""
    if isinstance(live, dict) and isinstance(applied, dict):
        return live | {key: merge(live.get(key), value, rules.field(key)) for key, value in applied.items()}
    if isinstance(live, list) and isinstance(applied, list):
        old, new = item_elements(rules, live), item_elements(rules, applied)
        if old is not None and new is not None:
            items = dict(zip(old, live, strict=True))
            for element, value in zip(new, applied, strict=True):
                items[element] = merge(items.get(element), value, rules.item())
            return list(items.values())
    return applied


def remove(obj: Object, paths: Iterable[Path], rules: FieldRules) -> None:
    """Remove fields from an object. Maps that become empty are removed, and keyed items as a whole."""
    for path in sorted(paths, key=len, reverse=True):
        _remove(obj, path, rules)


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
    """The paths in a FieldsV1. Parts that cannot be read are skipped."""
    if not isinstance(fields, Mapping):
        return set()
    if prefix and not fields:
        return {prefix}
    found: set[Path] = set()
    for element, value in fields.items():
        found |= {prefix} if element == "." else from_fields_v1(value, (*prefix, element))
    return found


def readable(path: Path) -> str:
    """A path as conflicts print it: `.spec.containers[name="x"].image`."""
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


def _walk(value: Any, path: Path, rules: FieldRules, is_custom: bool, found: dict[Path, Any]) -> None:
    name = path[-1].partition(":")[2] if path[-1].startswith("f:") else ""
    if isinstance(value, dict) and value:
        if path[-1].startswith("k:") or name in _MAPS or (is_custom and path != ("f:metadata",)):
            found[path] = CONTAINER
        for key, child in value.items():
            _walk(child, (*path, f"f:{key}"), rules.field(key), is_custom, found)
        return
    elements = item_elements(rules, value) if isinstance(value, list) and value else None
    if elements is None:
        found[path] = value
        return
    if name not in ("containers", "initContainers"):
        found[path] = CONTAINER
    for element, child in zip(elements, value, strict=True):
        _walk(child, (*path, element), rules.item(), is_custom, found)


def _remove(value: Any, path: Path, rules: FieldRules) -> None:
    element, rest = path[0], path[1:]
    if isinstance(value, dict):
        key = element.removeprefix("f:")
        if rest:
            _remove(value.get(key), rest, rules.field(key))
        elif not _holds_fields(value.get(key), rules.field(key)):
            value.pop(key, None)
    elif isinstance(value, list):
        elements = item_elements(rules, value) or []
        if element in elements:
            index = elements.index(element)
            if rest:
                _remove(value[index], rest, rules.item())
            else:
                del value[index]


def _holds_fields(value: Any, rules: FieldRules) -> bool:
    """Whether a value contains fields that other managers may own."""
    if isinstance(value, list):
        return bool(value) and item_elements(rules, value) is not None
    return isinstance(value, dict) and bool(value)
