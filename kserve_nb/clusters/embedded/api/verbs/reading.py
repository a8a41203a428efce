"""GET: one object or a list of objects, as JSON, as a Table, or only their metadata."""

from __future__ import annotations

import base64
from typing import NamedTuple

import orjson
from aiohttp import web

from kserve_nb.clusters.embedded.api.columns import tables
from kserve_nb.clusters.embedded.api.entry import Entry
from kserve_nb.clusters.embedded.api.store import selectors
from kserve_nb.clusters.embedded.api.store.store import Store
from kserve_nb.clusters.embedded.api.wire import request_options
from kserve_nb.clusters.embedded.api.wire.content_negotiation import representation
from kserve_nb.clusters.embedded.api.wire.go_json import quoted_character
from kserve_nb.clusters.embedded.api.wire.request_paths import RequestTarget
from kserve_nb.clusters.embedded.api.wire.responses import json_response
from kserve_nb.clusters.embedded.apimachinery.objects import Kind, Object, StatusError


class Page(NamedTuple):
    """One page of a list: its entries, the token of the next page ("" for the last), and how many entries follow."""

    entries: list[Entry]
    next: str
    remaining: int


def get(request: web.Request, store: Store, target: RequestTarget) -> web.Response:
    """GET of one object."""
    assert target.name is not None
    wanted = representation(request.headers.get("Accept", ""))
    _check_version(request, store)
    entry = store.entry(target.kind, target.namespace, target.name)
    if wanted == "table":
        table = tables.head(target.kind, {"resourceVersion": str(entry.version)})
        include = tables.include_of(request)
        return json_response(request, tables.join(table, [tables.row(target.kind, entry, include)]))
    return json_response(request, entry.data if wanted == "object" else tables.partial(entry))


def list_(request: web.Request, store: Store, target: RequestTarget) -> web.Response:
    """GET of a collection: all objects, or the page that `limit` and `continue` select."""
    kind, wanted = target.kind, representation(request.headers.get("Accept", ""))
    selector = selectors.parse(kind, request.query.get("labelSelector", ""), request.query.get("fieldSelector", ""))
    _check_version(request, store)
    found = [entry for entry in store.entries(kind, target.namespace) if selector.matches(entry)]
    page = _page(request, found)
    meta: Object = {"resourceVersion": str(store.version)}
    if page.next:
        meta["continue"] = page.next
        if selector.selects_all:
            meta["remainingItemCount"] = page.remaining
    elif wanted == "object":
        meta["continue"] = ""
    if wanted == "table":
        include = tables.include_of(request)
        rows = [tables.row(kind, entry, include) for entry in page.entries]
        return json_response(request, tables.join(tables.head(kind, meta), rows))
    return json_response(request, _list_body(kind, wanted == "metadata", meta, page.entries))


def _list_body(kind: Kind, partial: bool, meta: Object, entries: list[Entry]) -> bytes:
    names = ("meta.k8s.io/v1", "PartialObjectMetadataList") if partial else (kind.api_version, kind.list_kind)
    items = b",".join(tables.partial(entry) if partial else entry.data for entry in entries)
    return b'{"kind":%b,"apiVersion":%b,"metadata":%b,"items":[%b]}' % (
        orjson.dumps(names[1]), orjson.dumps(names[0]), orjson.dumps(meta), items)


def _check_version(request: web.Request, store: Store) -> None:
    wanted = request_options.version(request)
    if wanted is not None and wanted > store.version:
        text = f"Too large resource version: {wanted}, current: {store.version}"
        raise StatusError(504, "Timeout", text, {
            "causes": [{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}],
            "retryAfterSeconds": 1})


def _page(request: web.Request, found: list[Entry]) -> Page:
    limit, token = request_options.integer(request, "limit") or 0, request.query.get("continue", "")
    if token:
        start = _start_of(token)
        found = [entry for entry in found if _position(entry) >= start]
    if limit <= 0 or len(found) <= limit:
        return Page(found, "", 0)
    following = {"v": "meta.k8s.io/v1", "start": _position(found[limit])}
    text = base64.urlsafe_b64encode(orjson.dumps(following)).rstrip(b"=").decode()
    return Page(found[:limit], text, len(found) - limit)


def _position(entry: Entry) -> list[str]:
    return [entry.namespace or "", entry.name]


def _start_of(token: str) -> list[str]:
    """The position at which a page starts, from its continue token. Raises StatusError 400."""
    def invalid(reason: str) -> StatusError:
        return StatusError(400, "BadRequest", f"invalid continue token: continue key is not valid: {reason}")

    try:
        data = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
    except ValueError:
        raise invalid("illegal base64 data at input byte 0") from None
    try:
        match orjson.loads(data):
            case {"v": "meta.k8s.io/v1", "start": [str() as namespace, str() as name]}:
                return [namespace, name]
    except ValueError:
        raise invalid(f"invalid character {quoted_character(chr(data[0]))} looking for beginning of value"
                      if data else "unexpected end of JSON input") from None
    raise invalid("unrecognized encoded version")
