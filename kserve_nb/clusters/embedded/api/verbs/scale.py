"""The scale subresource of Deployments and ReplicaSets, which `kubectl scale` changes."""

from __future__ import annotations

import orjson
from aiohttp import web

from kserve_nb.clusters.embedded.api.field_errors import invalid, invalid_value
from kserve_nb.clusters.embedded.api.store.store import Store
from kserve_nb.clusters.embedded.api.verbs.patching import MERGE_PATCH, STRATEGIC_PATCH, merge_patch
from kserve_nb.clusters.embedded.api.wire import bodies, request_options
from kserve_nb.clusters.embedded.api.wire.content_negotiation import media_types
from kserve_nb.clusters.embedded.api.wire.request_paths import RequestTarget
from kserve_nb.clusters.embedded.api.wire.responses import json_response
from kserve_nb.clusters.embedded.apimachinery.objects import ConflictError, Kind, Object, StatusError

_SCALE = Kind("autoscaling", "v1", "Scale", "scales")
_META = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")


async def get(request: web.Request, store: Store, target: RequestTarget) -> web.Response:
    """GET of the desired and the current number of replicas."""
    return json_response(request, _scale_of(store.get(target.kind, target.namespace, target.name or "")))


async def replace(request: web.Request, store: Store, target: RequestTarget) -> web.Response:
    """PUT of the desired number of replicas."""
    return _write(request, store, target, (await bodies.read_object(request, _SCALE)).object)


async def patch(request: web.Request, store: Store, target: RequestTarget) -> web.Response:
    """PATCH of the desired number of replicas, with a merge patch."""
    if media_types(request.headers.get("Content-Type", ""))[0][0] not in (MERGE_PATCH, STRATEGIC_PATCH):
        raise bodies.unsupported(f"{MERGE_PATCH}, {STRATEGIC_PATCH}")
    try:
        change = orjson.loads(await bodies.read(request))
    except ValueError as error:
        raise StatusError(400, "BadRequest", f"error decoding patch: {error}") from None
    scale = _scale_of(store.get(target.kind, target.namespace, target.name or ""))
    return _write(request, store, target, bodies.checked(_SCALE, merge_patch(scale, change)))


def _scale_of(obj: Object) -> Object:
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    labels = (spec.get("selector") or {}).get("matchLabels") or {}
    return {"kind": "Scale", "apiVersion": "autoscaling/v1",
            "metadata": {key: obj["metadata"][key] for key in _META if key in obj["metadata"]},
            "spec": {"replicas": spec.get("replicas", 1)},
            "status": {"replicas": status.get("replicas", 0),
                       "selector": ",".join(f"{key}={value}" for key, value in sorted(labels.items()))}}


def _write(request: web.Request, store: Store, target: RequestTarget, scale: Object) -> web.Response:
    obj = store.get(target.kind, target.namespace, target.name or "")
    version = scale["metadata"].get("resourceVersion")
    if version and version != obj["metadata"]["resourceVersion"]:
        raise ConflictError(target.kind, target.name or "")
    spec = scale.get("spec")
    replicas = spec.get("replicas", 0) if isinstance(spec, dict) else None
    if not isinstance(replicas, int) or isinstance(replicas, bool) or replicas < 0:
        text = "must be greater than or equal to 0"
        raise invalid(_SCALE, target.name or "", [invalid_value("spec.replicas", replicas, text)])
    obj["spec"]["replicas"] = replicas
    dry_run = request_options.dry_run(request, "UpdateOptions")
    return json_response(request, _scale_of(store.update(target.kind, obj, dry_run=dry_run)))
