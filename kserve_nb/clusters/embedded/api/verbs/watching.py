"""GET with watch=true: a stream of events, each a line of JSON, serialized once for all who see it the same way."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import orjson
from aiohttp import web

from kserve_nb.clusters.embedded.api.columns import tables
from kserve_nb.clusters.embedded.api.entry import Entry, encode
from kserve_nb.clusters.embedded.api.store import selectors
from kserve_nb.clusters.embedded.api.store.selectors import Selector
from kserve_nb.clusters.embedded.api.store.store import Store
from kserve_nb.clusters.embedded.api.store.watch_history import Change, Subscription
from kserve_nb.clusters.embedded.api.wire import request_options
from kserve_nb.clusters.embedded.api.wire.content_negotiation import View, view
from kserve_nb.clusters.embedded.api.wire.request_paths import Target
from kserve_nb.clusters.embedded.api.wire.responses import headers, status_of
from kserve_nb.clusters.embedded.objects import ExpiredError, Kind, Object

BOOKMARK_EVERY_S = 60.0
LONGEST_S = (1800.0, 3600.0)  # a kube-apiserver ends watches at a random moment between (--min-request-timeout)
LAG = 10_000  # changes that a client may be behind before its watch is ended
_INITIAL_END = {"k8s.io/initial-events-end": "true"}


class _Wish(NamedTuple):
    """How a watch wants to begin and end."""

    version: int | None
    initial: bool  # an ADDED for each object there is
    marked: bool  # and a bookmark after them
    bookmarks: bool
    timeout_s: float


@dataclass
class _Lines:
    """Writes changes of one kind the way that one watch wants to see them."""

    kind: Kind
    namespace: str | None
    selector: Selector
    shown: View
    include: str
    columns_sent: bool = False

    def added(self, entries: Iterable[Entry]) -> Iterator[bytes]:
        """What there is when the watch begins."""
        for entry in entries:
            if self._selects(entry):
                yield self._line("ADDED", entry)

    def changed(self, changes: Iterable[Change]) -> Iterator[bytes]:
        """What happens: an object that begins to be selected is ADDED, one that ceases is DELETED."""
        for change in changes:
            now, before = self._selects(change.entry), change.before is not None and self._selects(change.before)
            if change.type == "DELETED" and (now or before):
                yield self._cached(change, "DELETED", change.entry)
            elif change.type != "DELETED" and now:
                yield self._cached(change, "MODIFIED" if before else "ADDED", change.entry)
            elif change.type != "DELETED" and before and change.before is not None:
                yield self._line("DELETED", _at_version(change.before, change.entry.version))

    def bookmark(self, version: int, annotations: Object | None = None) -> bytes:
        """How far the watch has come."""
        meta: Object = {"resourceVersion": str(version)} | ({"annotations": annotations} if annotations else {})
        bookmark: Object = {"kind": self.kind.kind, "apiVersion": self.kind.api_version,
                            "metadata": meta | {"creationTimestamp": None}}
        if self.shown == "table":
            partial = {**bookmark, "kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1"}
            rows = [{"cells": [], "object": partial}]
            bookmark = tables.head(None, {"resourceVersion": str(version)}) | {"rows": rows}
        return orjson.dumps({"type": "BOOKMARK", "object": bookmark}) + b"\n"

    def _selects(self, entry: Entry) -> bool:
        return (self.namespace is None or entry.namespace == self.namespace) and self.selector.matches(entry)

    def _cached(self, change: Change, type_: str, entry: Entry) -> bytes:
        if self.shown == "object" or (self.shown == "table" and not self.columns_sent):
            return self._line(type_, entry)  # an object's bytes are there already: nothing to keep a second time
        key = (type_, self.shown, self.include)
        if key not in change.lines:
            change.lines[key] = self._line(type_, entry)
        return change.lines[key]

    def _line(self, type_: str, entry: Entry) -> bytes:
        body = entry.data if self.shown == "object" else tables.partial(entry)
        if self.shown == "table":
            table = tables.head(None if self.columns_sent else self.kind, {"resourceVersion": str(entry.version)})
            body = tables.join(table, [tables.row(self.kind, entry, self.include)])
            self.columns_sent = True
        return b'{"type":"%b","object":%b}\n' % (type_.encode(), body)


async def watch(request: web.Request, store: Store, target: Target) -> web.StreamResponse:
    """Stream the changes of a kind until the client or its timeout ends it."""
    lines, wish = _lines_of(request, target), _wish_of(request)
    subscription = store.history.subscribe([target.kind], LAG)
    try:
        first = _first_lines(store, target, lines, wish)
        response = web.StreamResponse(headers=headers() | {"Content-Type": "application/json"})
        await response.prepare(request)
        await response.write(first)
        if b'"type":"ERROR"' not in first[:20]:
            await _follow(request, store, subscription, response, lines, wish)
        await response.write_eof()
    except ConnectionError:
        pass  # the client has gone, as watches end
    finally:
        store.history.unsubscribe(subscription)
    return response


def _lines_of(request: web.Request, target: Target) -> _Lines:
    fields = request.query.get("fieldSelector", "")
    if target.name is not None:  # the old way to watch one object
        fields = f"metadata.name={target.name}"
    selector = selectors.parse(target.kind, request.query.get("labelSelector", ""), fields)
    return _Lines(target.kind, target.namespace, selector, view(request.headers.get("Accept", "")),
                  tables.include_of(request))


def _wish_of(request: web.Request) -> _Wish:
    version, match = request_options.version(request), request.query.get("resourceVersionMatch")
    said = "sendInitialEvents" in request.query
    initial = request_options.flag(request, "sendInitialEvents")
    bookmarks = request_options.flag(request, "allowWatchBookmarks")
    if match is not None and not said:
        text = "Forbidden: resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided"
        raise request_options.field_error("ListOptions", "resourceVersionMatch", "FieldValueForbidden", text)
    if said and match != "NotOlderThan":
        text = "Forbidden: sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"
        raise request_options.field_error("ListOptions", "resourceVersionMatch", "FieldValueForbidden", text)
    timeout_s = request_options.integer(request, "timeoutSeconds")
    return _Wish(version, initial if said else not version, initial and bookmarks, bookmarks,
                 float(timeout_s) if timeout_s and timeout_s > 0 else random.uniform(*LONGEST_S))


def _first_lines(store: Store, target: Target, lines: _Lines, wish: _Wish) -> bytes:
    if wish.initial:
        first = [*lines.added(store.entries(target.kind, target.namespace))]
        return b"".join([*first, lines.bookmark(store.version, _INITIAL_END)] if wish.marked else first)
    try:
        return b"".join(lines.changed(store.history.since(target.kind, wish.version or store.version)))
    except ExpiredError as error:
        return orjson.dumps({"type": "ERROR", "object": status_of(error)}) + b"\n"


async def _follow(request: web.Request, store: Store, subscription: Subscription, response: web.StreamResponse,
                  lines: _Lines, wish: _Wish) -> None:
    loop = asyncio.get_running_loop()
    end = loop.time() + wish.timeout_s
    while (left := end - loop.time()) > 0 and not subscription.closed and request.transport is not None:
        try:
            async with asyncio.timeout(min(left, BOOKMARK_EVERY_S)):
                changes = await subscription.batch()
        except TimeoutError:
            if wish.bookmarks:
                await response.write(lines.bookmark(store.version))
            continue
        data = b"".join(lines.changed(changes))
        if data:
            await response.write(data)


def _at_version(entry: Entry, version: int) -> Entry:
    obj = entry.copy()
    obj["metadata"]["resourceVersion"] = str(version)
    return Entry.of(obj, encode(obj))
