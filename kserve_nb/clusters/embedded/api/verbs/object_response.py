"""The response that shows one object in the representation that the client accepts."""

from __future__ import annotations

from collections.abc import Iterable

import orjson
from aiohttp import web

from kserve_nb.clusters.embedded.api.admission.fields_without_effect import warnings_for
from kserve_nb.clusters.embedded.api.columns import tables
from kserve_nb.clusters.embedded.api.entry import Entry
from kserve_nb.clusters.embedded.api.wire.content_negotiation import representation
from kserve_nb.clusters.embedded.api.wire.request_paths import RequestTarget
from kserve_nb.clusters.embedded.api.wire.responses import json_response
from kserve_nb.clusters.embedded.apimachinery.objects import Object


def object_response(request: web.Request, target: RequestTarget, obj: Object, *, status: int = 200,
                    warnings: Iterable[str] = ()) -> web.Response:
    """An object as JSON, as a Table with one row, or only its metadata.

    The response to a write has a warning for each field that has no effect on an embedded cluster.
    """
    if request.method in ("POST", "PUT", "PATCH") and not target.subresource:
        warnings = dict.fromkeys([*warnings, *warnings_for(target.kind, obj)])
    wanted = representation(request.headers.get("Accept", ""))
    body = orjson.dumps(obj, option=orjson.OPT_SORT_KEYS)
    if wanted != "object":
        version = obj["metadata"].get("resourceVersion", "0")
        entry = Entry.of(obj | {"metadata": obj["metadata"] | {"resourceVersion": version}}, body)
        body = tables.partial(entry)
        if wanted == "table":
            row = tables.row(target.kind, entry, tables.include_of(request))
            body = tables.join(tables.head(target.kind, {"resourceVersion": version}), [row])
    return json_response(request, body, status=status, warnings=warnings)
