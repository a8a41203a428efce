"""Strategic merge patch for the built-in kinds: lists of objects are merged by a key, other lists are replaced.

Source: apimachinery pkg/util/strategicpatch/patch.go.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kserve_nb.clusters.embedded.apimachinery.list_keys import list_keys
from kserve_nb.clusters.embedded.apimachinery.objects import Object

_DELETE = "$deleteFromPrimitiveList/"
_ORDER = "$setElementOrder/"


def merge(current: Object, patch: Object) -> Object:
    """The object with the patch merged in. Raises ValueError if a directive of the patch is invalid."""
    directive = patch.get("$patch")
    if directive == "replace":
        return {key: value for key, value in patch.items() if key != "$patch"}
    if directive == "delete":
        return {}
    if directive not in (None, "merge"):
        raise ValueError(f"Unknown patch type: {directive}")
    merged = dict(current)
    for key, value in patch.items():
        if not key.startswith("$"):
            _merge_field(merged, key, value)
    _apply_list_directives(merged, current, patch)
    retained = patch.get("$retainKeys")
    if isinstance(retained, list):
        merged = {key: value for key, value in merged.items() if key in retained}
    return merged


def _merge_field(merged: Object, key: str, value: Any) -> None:
    current = merged.get(key)
    if value is None:
        merged.pop(key, None)
    elif isinstance(value, dict):
        merged[key] = merge(current if isinstance(current, dict) else {}, value)
    elif isinstance(value, list):
        merged[key] = _merge_list(key, current if isinstance(current, list) else [], value)
    else:
        merged[key] = value


def _merge_list(field: str, current: list[Any], patch: list[Any]) -> list[Any]:
    keys = list_keys(field, [*current, *patch])
    if keys is None or (keys and not all(isinstance(item, dict) for item in patch)):
        return patch
    if not keys:
        return _ordered([*current, *(item for item in patch if item not in current)], patch, current)
    return _merge_items([item for item in current if isinstance(item, dict)], patch, keys[0])


def _merge_items(current: list[Object], patch: list[Object], key: str) -> list[Object]:
    if any(item.get("$patch") == "replace" for item in patch):
        return [item for item in patch if item.get("$patch") != "replace"]
    items = list(current)
    for change in patch:
        if key not in change:
            raise ValueError(f"map: {change} does not contain declared merge key: {key}")
        index = next((i for i, item in enumerate(items) if item.get(key) == change[key]), None)
        if change.get("$patch") == "delete":
            if index is not None:
                del items[index]
        elif index is None:
            items.append(merge({}, change))
        else:
            items[index] = merge(items[index], change)
    return _ordered(items, patch, current, lambda item: item.get(key) if isinstance(item, dict) else item)


def _apply_list_directives(merged: Object, current: Object, patch: Object) -> None:
    for directive, values in patch.items():
        if not isinstance(values, list):
            continue
        if directive.startswith(_DELETE):
            name = directive.removeprefix(_DELETE)
            if isinstance(merged.get(name), list):
                merged[name] = [value for value in merged[name] if value not in values]
        elif directive.startswith(_ORDER):
            name = directive.removeprefix(_ORDER)
            if isinstance(merged.get(name), list):
                before = current.get(name)
                merged[name] = _ordered(merged[name], values, before if isinstance(before, list) else [],
                                        _identity(name, [*merged[name], *values]))


def _identity(field: str, items: list[Any]) -> Callable[[Any], Any]:
    """What identifies an item of a list: the value of its merge key, or the item itself."""
    keys = list_keys(field, items)
    if not keys:
        return lambda item: item
    return lambda item: item.get(keys[0]) if isinstance(item, dict) else item


def _ordered(items: list[Any], patch: list[Any], before: list[Any],
             identity: Callable[[Any], Any] = lambda item: item) -> list[Any]:
    """Items in the order of the patch, with the other items in between (`normalizeElementOrder`).

    An item that the patch does not contain is placed before the first item of the patch that followed it before, and
    at the end if there is none. Items that only the patch contains therefore come first.
    """
    wanted, old = [identity(item) for item in patch], [identity(item) for item in before]
    ours = sorted((i for i in items if identity(i) in wanted), key=lambda i: wanted.index(identity(i)))
    others = [item for item in items if identity(item) not in wanted]
    result = []
    for item in ours:
        while others and _precedes(identity(others[0]), identity(item), old):
            result.append(others.pop(0))
        result.append(item)
    return [*result, *others]


def _precedes(one: Any, other: Any, order: list[Any]) -> bool:
    return one in order and other in order and order.index(one) < order.index(other)
