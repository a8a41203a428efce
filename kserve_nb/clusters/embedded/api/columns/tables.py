"""Tables: the rows and columns that `kubectl get` prints, computed on the server as by a kube-apiserver."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any, cast

import jsonpath
import orjson
from aiohttp import web

from kserve_nb.clusters.embedded.api.columns import printers
from kserve_nb.clusters.embedded.api.columns.human_duration import since
from kserve_nb.clusters.embedded.api.entry import Entry
from kserve_nb.clusters.embedded.apimachinery.kinds import AGE, CUSTOM_AGE, NAME
from kserve_nb.clusters.embedded.apimachinery.objects import Column, Kind, Object, StatusError

_INCLUDES = ("None", "Metadata", "Object")
_ABOUT = "Custom resource definition column (in JSONPath format): "
_DEFAULT_OF_CUSTOM = replace(CUSTOM_AGE, about=AGE.about)
_TYPES: dict[str, tuple[type, ...]] = {"integer": (int, float), "number": (int, float), "boolean": (bool,)}


def columns(kind: Kind) -> list[Object]:
    """The column definitions of a kind; those with a priority above 0 are printed only with `-o wide`."""
    return [{"name": column.name, "type": column.type, "format": column.format, "priority": column.priority,
             "description": column.about or _ABOUT + column.path}
            for column in ((NAME, *_after_name(kind)) if _begins_with_name(kind) else kind.columns)]


def include_of(request: web.Request) -> str:
    """How much of its object each row contains: None, Metadata or Object. Raises StatusError 400."""
    include = request.query.get("includeObject") or "Metadata"
    if include not in _INCLUDES:
        raise StatusError(400, "BadRequest", f'unrecognized includeObject value: "{include}"')
    return include


def head(kind: Kind | None, meta: Object) -> Object:
    """A Table without rows; without a kind, as in the later events of a watch, it has no column definitions either."""
    return {"kind": "Table", "apiVersion": "meta.k8s.io/v1", "metadata": meta,
            "columnDefinitions": None if kind is None else columns(kind)}


def join(table: Object, rows: Iterable[bytes]) -> bytes:
    """The JSON of a Table with these rows."""
    return orjson.dumps(table)[:-1] + b',"rows":[' + b",".join(rows) + b"]}"


def row(kind: Kind, entry: Entry, include: str) -> bytes:
    """The JSON of an object's row, with ages as of now."""
    obj = entry.copy()
    try:
        rest = _cells(kind)(obj, time.time())
    except (AttributeError, KeyError, TypeError, ValueError):  # an object whose fields are not of their types
        rest = [None] * len(_after_name(kind))
    cells = orjson.dumps([entry.name, *rest] if _begins_with_name(kind) else rest)
    shown = {"None": b"null", "Object": entry.data}.get(include) or _partial(obj)
    return b'{"cells":%b,"object":%b}' % (cells, shown)


def partial(entry: Entry) -> bytes:
    """An object's metadata as JSON."""
    return _partial(entry.copy())


def _partial(obj: Object) -> bytes:
    return orjson.dumps({"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": obj["metadata"]})


def _after_name(kind: Kind) -> tuple[Column, ...]:
    return kind.columns or (_DEFAULT_OF_CUSTOM if kind.is_custom else AGE,)


def _begins_with_name(kind: Kind) -> bool:
    """Whether the name is the first column. An Event has it as its last."""
    return not any(column.format == "name" for column in kind.columns)


def _cells(kind: Kind) -> Callable[[Object, float], list[Any]]:
    found = _after_name(kind)
    if not all(column.path for column in found):
        return printers.PRINTERS.get(kind, printers.age)
    return lambda obj, now: [_cell(column.type, _compiled(column.path).match(obj), now) for column in found]


@functools.cache
def _compiled(path: str) -> jsonpath.JSONPath | jsonpath.CompoundJSONPath:
    return jsonpath.compile("$" + path.replace("\\.", "."))


def _cell(type_: str, match: jsonpath.JSONPathMatch | None, now: float) -> Any:
    """The value of a cell: that of the first match, or None if it does not have the column's type."""
    if match is None:
        return None
    value: Any = match.obj
    if type_ == "date":
        return since(value, now) if isinstance(value, str) else "<unknown>"
    if type_ == "string":
        return value if isinstance(value, str) else orjson.dumps(value).decode()
    if isinstance(value, _TYPES[type_]) and (type_ == "boolean" or not isinstance(value, bool)):
        return int(cast(float, value)) if type_ == "integer" else value
    return None
