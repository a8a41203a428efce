"""The differences between an output on a page and the executed one, without ages, hashes and IPs, which always differ.

Which pods still run depends on the moment. So only the columns, the form of the names and the number of containers
of a list of pods are compared.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

_HEADER = re.compile(r"^[A-Z][A-Z0-9()_-]*(?: [A-Z0-9()_-]+)*(?:\s{2,}[A-Z][A-Z0-9()_ -]*)+\s*$")
_MASKS = (
    (re.compile(r"\b(?:\d{1,3}\.){3}\d{1,3}\b"), "IP"),
    (re.compile(r"\b\d{4}-\d\d-\d\dT[\d:.]+Z?"), "TIME"),
    (re.compile(r"(?<=-deployment)-[a-z0-9]{5,10}-[a-z0-9]{5}\b"), "-POD"),
    (re.compile(r"\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b"), "UID"),
)
_AGE = re.compile(r"^(?:\d+[ywdhms])+$")
_REVISION = re.compile(r"-0\d{3,4}\b")
_CONTAINERS = re.compile(r"^\d+/(\d+)$")
_CURL_DETAIL = ("*", "<", ">", "{ [", "} [")
_IDENTIFYING = ("tag", "name", "type")
_MOST = 8  # differences of one output


def differences(printed: str, executed: str) -> list[str]:
    """Sentences that name what differs in a way that matters; empty if nothing does."""
    found = list(_differences(printed.strip(), executed.strip()))
    return found[:_MOST] + ([f"and {len(found) - _MOST} more differences"] if len(found) > _MOST else [])


def _differences(printed: str, executed: str) -> Iterator[str]:
    if _is_table(printed) and _is_table(executed):
        yield from _table(printed.splitlines(), executed.splitlines())
        return
    documents = _json(printed), _json(executed)
    if None not in documents:
        yield from _values(dict(_leaves(documents[0])), dict(_leaves(documents[1])))
        return
    before, after = _lines(printed), _lines(executed)
    yield from (f"only the page has the line {line}" for line in before if line not in after)
    yield from (f"only the notebook's output has the line {line}" for line in after if line not in before)


def _table(printed: list[str], executed: list[str]) -> Iterator[str]:
    columns = [re.split(r"\s{2,}", rows[0].strip()) for rows in (printed, executed)]
    yield from (f"only the page has the column {name}" for name in columns[0] if name not in columns[1])
    yield from (f"only the notebook's output has the column {name}" for name in columns[1] if name not in columns[0])
    if columns[1][:3] == ["NAME", "READY", "STATUS"]:  # pods
        yield from _sets(*(sorted({_pod(row) for row in rows[1:] if row.strip()}) for rows in (printed, executed)))
        return
    before, after = ({row.split()[0]: _cells(row) for row in rows[1:] if row.strip()} for rows in (printed, executed))
    yield from _rows(before, after)


def _sets(before: list[str], after: list[str]) -> Iterator[str]:
    if before != after:
        yield (f"pods: the page has {', '.join(before) or 'none'}; "
               f"the notebook's output has {', '.join(after) or 'none'}")


def _pod(row: str) -> str:
    """The form of a pod's name, and the number of its containers."""
    words = row.split()
    containers = _CONTAINERS.match(words[1]) if len(words) > 1 else None
    name = _REVISION.sub("-REVISION", _masked(words[0]))
    return f"{name} ({containers[1]} containers)" if containers else name


def _cells(row: str) -> list[str]:
    """The values of a row after its name. Empty cells and ages are left out: pages do not align their columns."""
    return [word for word in _masked(row).split()[1:] if not _AGE.match(word)]


def _rows(before: dict[str, list[str]], after: dict[str, list[str]]) -> Iterator[str]:
    for name in dict.fromkeys([*before, *after]):
        old, new = before.get(name), after.get(name)
        if old is None or new is None:
            yield f"only {'the page' if new is None else 'the output'} has the row {name}"
        elif old != new:
            only = [word for word in old if word not in new], [word for word in new if word not in old]
            shown = only if any(only) else (old, new)
            yield (f"row {name}: the page has {' '.join(shown[0]) or 'no such value'}; "
                   f"the notebook's output has {' '.join(shown[1]) or 'no such value'}")


def _values(before: dict[str, str], after: dict[str, str]) -> Iterator[str]:
    for name in dict.fromkeys([*before, *after]):
        if before.get(name) != after.get(name):
            yield (f"{name}: the page has {before.get(name, 'nothing')}; "
                   f"the notebook's output has {after.get(name, 'nothing')}")


def _leaves(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(value, dict) and value:
        for key, inner in value.items():
            yield from _leaves(inner, f"{path}.{key}")
    elif isinstance(value, list) and value:
        for key, inner in zip(_positions(value), value, strict=True):
            yield from _leaves(inner, f"{path}[{key}]")
    else:
        yield path or ".", _masked(json.dumps(value))


def _positions(items: list[Any]) -> list[str]:
    """A name for each item, so that the order does not matter: a field that identifies the item, or else its number."""
    for field in _IDENTIFYING:
        found = [str(item[field]) for item in items if isinstance(item, dict) and field in item]
        if len(set(found)) == len(items):
            return [f"{field}={value}" for value in found]
    return [str(number) for number in range(len(items))]


def _json(text: str) -> Any:
    """The JSON document in a text; None if the text is not an object or a list."""
    try:
        found = json.loads(text)
    except ValueError:
        return None
    return found if isinstance(found, dict | list) else None


def _lines(text: str) -> list[str]:
    """The lines of a text that matter: not curl's account of the connection and the headers."""
    return [_masked(line.strip()) for line in text.splitlines()
            if line.strip() and not line.lstrip().startswith(_CURL_DETAIL)]


def _is_table(text: str) -> bool:
    return bool(text) and bool(_HEADER.match(text.splitlines()[0]))


def _masked(text: str) -> str:
    for pattern, name in _MASKS:
        text = pattern.sub(name, text)
    return text
