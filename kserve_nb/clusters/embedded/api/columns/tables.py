"""Tables: what `kubectl get` prints is made here, column by column, as a kube-apiserver does."""

from __future__ import annotations

import functools
import json
import time
from collections.abc import Callable, Iterable
from importlib.resources import files
from typing import Any, cast

import jsonpath
import orjson
from aiohttp import web

from kserve_nb.clusters.embedded.api.columns import printers
from kserve_nb.clusters.embedded.api.columns.human_duration import since
from kserve_nb.clusters.embedded.api.entry import Entry
from kserve_nb.clusters.embedded.kinds import EVENT
from kserve_nb.clusters.embedded.objects import Kind, Object, StatusError

_INCLUDES = ("None", "Metadata", "Object")
_ABOUT = "Custom resource definition column (in JSONPath format): "
_TYPES: dict[str, tuple[type, ...]] = {"integer": (int, float), "number": (int, float), "boolean": (bool,)}


@functools.cache
def _columns() -> Any:
    return json.loads((files("kserve_nb.clusters.embedded.api") / "data" / "columns.json").read_text())


@functools.cache
def columns(kind: Kind) -> list[Object]:
    """The column definitions of a kind; those with a priority above 0 show with `-o wide`."""
    core, custom = _columns()["core"], _columns()["custom"].get(kind.resource)
    rest = core.get(kind.resource, core["configmaps"][-1:]) if custom is None else [  # at least the age
        {"name": c["name"], "type": c["type"], "format": "", "description": _ABOUT + c["path"], "priority": 0}
        for c in custom]
    return rest if kind == EVENT else [_columns()["name"], *rest]  # the name of an Event is its last column


def include_of(request: web.Request) -> str:
    """How much of its object a row carries. Raises StatusError 400."""
    include = request.query.get("includeObject") or "Metadata"
    if include not in _INCLUDES:
        raise StatusError(400, "BadRequest", f'unrecognized includeObject value: "{include}"')
    return include


def head(kind: Kind | None, meta: Object) -> Object:
    """A Table without rows. The later events of a watch carry no column definitions: no kind."""
    return {"kind": "Table", "apiVersion": "meta.k8s.io/v1", "metadata": meta,
            "columnDefinitions": None if kind is None else columns(kind)}


def join(table: Object, rows: Iterable[bytes]) -> bytes:
    """The JSON of a Table with these rows."""
    return orjson.dumps(table)[:-1] + b',"rows":[' + b",".join(rows) + b"]}"


def row(kind: Kind, entry: Entry, include: str) -> bytes:
    """The JSON of an object's row, as of now."""
    obj = entry.copy()
    try:
        rest = _cells(kind)(obj, time.time())
    except (AttributeError, KeyError, TypeError, ValueError):  # an object whose fields are not of their types
        rest = [None] * (len(columns(kind)) - 1)
    cells = orjson.dumps(rest if kind == EVENT else [entry.name, *rest])
    shown = {"None": b"null", "Object": entry.data}.get(include) or _partial(obj)
    return b'{"cells":%b,"object":%b}' % (cells, shown)


def partial(entry: Entry) -> bytes:
    """The JSON of an object's metadata alone."""
    return _partial(entry.copy())


def _partial(obj: Object) -> bytes:
    return orjson.dumps({"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": obj["metadata"]})


@functools.cache
def _cells(kind: Kind) -> Callable[[Object, float], list[Any]]:
    custom = _columns()["custom"].get(kind.resource)
    if custom is None:
        return printers.PRINTERS[kind]
    found = [(c["type"], jsonpath.compile("$" + c["path"].replace("\\.", "."))) for c in custom]
    return lambda obj, now: [_cell(type_, path.match(obj), now) for type_, path in found]


def _cell(type_: str, match: jsonpath.JSONPathMatch | None, now: float) -> Any:
    """The first match alone counts, and only where it has the column's type."""
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
