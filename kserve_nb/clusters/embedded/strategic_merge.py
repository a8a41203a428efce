"""Strategic merge patch, for the built-in kinds: lists of named items are merged by their keys.

Keys and directives: kubernetes docs, "Strategic merge patch"; keys are the API's patchMergeKey.
"""

from __future__ import annotations

from typing import Any

from kserve_nb.clusters.embedded.list_keys import list_keys
from kserve_nb.clusters.embedded.objects import Object

_DELETE = "$deleteFromPrimitiveList/"
_ORDER = "$setElementOrder/"


def merge(current: Object, patch: Object) -> Object:
    """The object with the patch merged in. Raises ValueError for directives that make no sense."""
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
    _take_from_lists(merged, patch)
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
        return [*current, *(item for item in patch if item not in current)]
    return _merge_items([item for item in current if isinstance(item, dict)], patch, keys[0])


def _merge_items(current: list[Object], patch: list[Object], key: str) -> list[Object]:
    if any(item.get("$patch") == "replace" for item in patch):
        return [item for item in patch if item.get("$patch") != "replace"]
    items = list(current)
    for change in patch:
        if key not in change:
            raise ValueError(f"map: {change} does not contain declared merge key: {key}")
        place = next((i for i, item in enumerate(items) if item.get(key) == change[key]), None)
        if change.get("$patch") == "delete":
            if place is not None:
                del items[place]
        elif place is None:
            items.append(merge({}, change))
        else:
            items[place] = merge(items[place], change)
    return items


def _take_from_lists(merged: Object, patch: Object) -> None:
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
                merged[name] = _ordered(merged[name], values)


def _ordered(items: list[Any], order: list[Any]) -> list[Any]:
    """Items in the order of the patch; those that it does not name come last, as they were."""
    def place(item: Any) -> int:
        for index, wanted in enumerate(order):
            same = item == wanted
            if same or (isinstance(item, dict) and isinstance(wanted, dict) and wanted.items() <= item.items()):
                return index
        return len(order)

    return sorted(items, key=place)
