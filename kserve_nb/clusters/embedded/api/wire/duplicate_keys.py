"""Keys that a JSON document gives twice: `fieldValidation=Strict` refuses them, and Warn reports them.

Source: sigs.k8s.io/json (`UnmarshalStrict`).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

_Pairs = list[tuple[str, Any]]


def messages(data: bytes) -> list[str]:
    """A message for each key that is given twice in one object of a valid JSON document.

    >>> messages(b'{"data": {"a": "1", "a": "2"}}')
    ['duplicate field "data.a"']
    """
    seen_twice = False

    def note(pairs: _Pairs) -> None:
        nonlocal seen_twice
        seen_twice = seen_twice or len({key for key, _ in pairs}) < len(pairs)

    try:
        json.loads(data, object_pairs_hook=note)
        return list(_messages(json.loads(data, object_pairs_hook=_Object), "")) if seen_twice else []
    except (RecursionError, ValueError):  # raised for numbers with thousands of digits
        return []


class _Object(list[tuple[str, Any]]):
    """A JSON object as the list of its keys and values."""


def _messages(value: Any, path: str) -> Iterator[str]:
    if isinstance(value, _Object):
        seen: set[str] = set()
        for key, item in value:
            inner = f"{path}.{key}" if path else key
            if key in seen:
                yield f'duplicate field "{inner}"'
            seen.add(key)
            yield from _messages(item, inner)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _messages(item, f"{path}[{index}]")
