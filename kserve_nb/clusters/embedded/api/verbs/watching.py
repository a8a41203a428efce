"""GET with `watch=true`: a stream of events, one line of JSON each.

An event is serialized once for all watches that show it in the same representation.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from typing import NamedTuple

import orjson
from aiohttp import web

from kserve_nb.clusters.embedded.api.columns import tables
from kserve_nb.clusters.embedded.api.entry import Entry, encode
from kserve_nb.clusters.embedded.api.store import selectors
from kserve_nb.clusters.embedded.api.store.selectors import Selector
from kserve_nb.clusters.embedded.api.store.store import Store
from kserve_nb.clusters.embedded.api.store.watch_history import Change, WatchSubscription
from kserve_nb.clusters.embedded.api.wire import request_options
from kserve_nb.clusters.embedded.api.wire.content_negotiation import Representation, representation
from kserve_nb.clusters.embedded.api.wire.request_paths import RequestTarget
from kserve_nb.clusters.embedded.api.wire.responses import headers, status_of
from kserve_nb.clusters.embedded.apimachinery.objects import ExpiredError, Kind, Object

BOOKMARK_EVERY_S = 60.0
LONGEST_S = (1800.0, 3600.0)  # a kube-apiserver ends a watch after a random time in this range (--min-request-timeout)
LAG_BYTES = 8 * 2**20  # a watch whose client is further behind is closed
_BLOCK = 64 * 1024  # events are written in blocks of about this size
_INITIAL_END = {"k8s.io/initial-events-end": "true"}


class _WatchOptions(NamedTuple):
    """The parameters of a watch."""

    version: int | None
    initial: bool  # send an ADDED event for each object that exists
    initial_end: bool  # send a bookmark after these events
    bookmarks: bool
    timeout_s: float


@dataclass
class _Encoder:
    """Encodes the changes of one kind as the lines of one watch."""

    kind: Kind
    namespace: str | None
    selector: Selector
    representation: Representation
    include: str
    columns_sent: bool = False

    def initial(self, entries: Iterable[Entry]) -> Iterator[bytes]:
        """An ADDED event for each selected object."""
        for entry in entries:
            if self._selects(entry):
                yield self._line("ADDED", entry)

    def events(self, changes: Iterable[Change]) -> Iterator[bytes]:
        """The events of changes: an object that starts to match the selector is ADDED, one that stops is DELETED."""
        for change in changes:
            now, before = self._selects(change.entry), change.before is not None and self._selects(change.before)
            if change.type == "DELETED" and (now or before):
                yield self._cached(change, "DELETED", change.entry)
            elif change.type != "DELETED" and now:
                yield self._cached(change, "MODIFIED" if before else "ADDED", change.entry)
            elif change.type != "DELETED" and before and change.before is not None:
                yield self._line("DELETED", _at_version(change.before, change.entry.version))

    def bookmark(self, version: int, annotations: Object | None = None) -> bytes:
        """A BOOKMARK event: the client has seen everything up to this version."""
        meta: Object = {"resourceVersion": str(version)} | ({"annotations": annotations} if annotations else {})
        bookmark: Object = {"kind": self.kind.kind, "apiVersion": self.kind.api_version,
                            "metadata": meta | {"creationTimestamp": None}}
        if self.representation == "table":
            partial = {**bookmark, "kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1"}
            rows = [{"cells": [], "object": partial}]
            bookmark = tables.head(None, {"resourceVersion": str(version)}) | {"rows": rows}
        return orjson.dumps({"type": "BOOKMARK", "object": bookmark}) + b"\n"

    def _selects(self, entry: Entry) -> bool:
        return (self.namespace is None or entry.namespace == self.namespace) and self.selector.matches(entry)

    def _cached(self, change: Change, type_: str, entry: Entry) -> bytes:
        # An object's bytes are in the store, columns are sent once per watch, and watches may show different versions.
        first_table = self.representation == "table" and not self.columns_sent
        if self.representation == "object" or first_table or self.kind.has_versions:
            return self._line(type_, entry)
        key = (type_, self.representation, self.include)
        if key not in change.lines:
            change.lines[key] = self._line(type_, entry)
        return change.lines[key]

    def _line(self, type_: str, entry: Entry) -> bytes:
        entry = entry.in_version_of(self.kind)
        body = entry.data if self.representation == "object" else tables.partial(entry)
        if self.representation == "table":
            table = tables.head(None if self.columns_sent else self.kind, {"resourceVersion": str(entry.version)})
            body = tables.join(table, [tables.row(self.kind, entry, self.include)])
            self.columns_sent = True
        return b'{"type":"%b","object":%b}\n' % (type_.encode(), body)


async def watch(request: web.Request, store: Store, target: RequestTarget) -> web.StreamResponse:
    """Stream the changes of a kind until the client disconnects or the watch times out."""
    encoder, options = _encoder_of(request, target), _options_of(request)
    response = web.StreamResponse(headers=headers() | {"Content-Type": "application/json"})
    if request.method == "HEAD":
        await response.prepare(request)
        return response
    subscription = store.history.subscribe([target.kind], LAG_BYTES)
    try:
        first = _first_events(store, target, encoder, options)
        await response.prepare(request)
        await _write(response, first)
        if not isinstance(first, _Expired):
            await _follow(request, store, subscription, response, encoder, options)
        await response.write_eof()
    except ConnectionError:
        pass  # the client has disconnected, which is how most watches end
    finally:
        store.history.unsubscribe(subscription)
    return response


def _encoder_of(request: web.Request, target: RequestTarget) -> _Encoder:
    fields = request.query.get("fieldSelector", "")
    if target.name is not None:  # the deprecated way to watch a single object
        fields = f"metadata.name={target.name}"
    selector = selectors.parse(target.kind, request.query.get("labelSelector", ""), fields)
    return _Encoder(target.kind, target.namespace, selector, representation(request.headers.get("Accept", "")),
                    tables.include_of(request))


def _options_of(request: web.Request) -> _WatchOptions:
    version, match = request_options.version(request), request.query.get("resourceVersionMatch")
    given = "sendInitialEvents" in request.query
    initial = request_options.flag(request, "sendInitialEvents")
    bookmarks = request_options.flag(request, "allowWatchBookmarks")
    if match is not None and not given:
        text = "Forbidden: resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided"
        raise request_options.parameter_error("ListOptions", "resourceVersionMatch", "FieldValueForbidden", text)
    if given and match != "NotOlderThan":
        text = "Forbidden: sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"
        raise request_options.parameter_error("ListOptions", "resourceVersionMatch", "FieldValueForbidden", text)
    timeout_s = request_options.integer(request, "timeoutSeconds")
    return _WatchOptions(version, initial if given else not version, initial and bookmarks, bookmarks,
                         float(timeout_s) if timeout_s and timeout_s > 0 else random.uniform(*LONGEST_S))


class _Expired(list[bytes]):
    """The ERROR event of a watch that starts at a version that is no longer kept."""


def _first_events(store: Store, target: RequestTarget, encoder: _Encoder, options: _WatchOptions) -> Iterable[bytes]:
    if options.initial:
        end = [encoder.bookmark(store.version, _INITIAL_END)] if options.initial_end else []
        return chain(encoder.initial(store.entries(target.kind, target.namespace)), end)
    try:
        return encoder.events(store.history.since(target.kind, options.version or store.version))
    except ExpiredError as error:
        return _Expired([orjson.dumps({"type": "ERROR", "object": status_of(error)}) + b"\n"])


async def _follow(request: web.Request, store: Store, subscription: WatchSubscription, response: web.StreamResponse,
                  encoder: _Encoder, options: _WatchOptions) -> None:
    loop = asyncio.get_running_loop()
    end = loop.time() + options.timeout_s
    while (left := end - loop.time()) > 0 and not subscription.closed and request.transport is not None:
        try:
            async with asyncio.timeout(min(left, BOOKMARK_EVERY_S)):
                changes = await subscription.batch()
        except TimeoutError:
            if options.bookmarks:
                await response.write(encoder.bookmark(store.version))
            continue
        await _write(response, encoder.events(changes))


async def _write(response: web.StreamResponse, lines: Iterable[bytes]) -> None:
    """Write lines in blocks, so that a client that reads slowly delays their encoding instead of filling memory."""
    block = bytearray()
    for line in lines:
        block += line
        if len(block) >= _BLOCK:
            await response.write(bytes(block))
            block.clear()
    if block:
        await response.write(bytes(block))


def _at_version(entry: Entry, version: int) -> Entry:
    obj = entry.copy()
    obj["metadata"]["resourceVersion"] = str(version)
    return Entry.of(obj, encode(obj))
