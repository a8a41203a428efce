"""POST to the subresource `token` of a ServiceAccount: `kubectl create token`.

Source: kubernetes pkg/registry/core/serviceaccount/storage/token.go and pkg/apis/authentication/validation.
"""

from __future__ import annotations

import time
from typing import Any

from aiohttp import web

from kserve_nb.clusters.embedded.api.field_errors import Cause, invalid, invalid_value
from kserve_nb.clusters.embedded.api.store.store import Store
from kserve_nb.clusters.embedded.api.wire import bodies
from kserve_nb.clusters.embedded.api.wire.request_paths import RequestTarget
from kserve_nb.clusters.embedded.api.wire.responses import json_response
from kserve_nb.clusters.embedded.api.wire.service_account_tokens import BOUND_KINDS, ISSUER, TOKENS
from kserve_nb.clusters.embedded.apimachinery.objects import ConflictError, Kind, Object, StatusError, utc

TOKEN_REQUEST = Kind("authentication.k8s.io", "v1", "TokenRequest", "tokenrequests")
_DEFAULT_S, _SHORTEST_S, _LONGEST_S = 3600, 600, 2**32


async def create(request: web.Request, store: Store, target: RequestTarget) -> web.Response:
    """Issue a token for a ServiceAccount."""
    body = (await bodies.read_object(request, TOKEN_REQUEST)).object
    account = store.get(target.kind, target.namespace, target.name or "")
    given: Any = body.get("spec")
    spec: Object = dict(given) if isinstance(given, dict) else {}
    lifetime_s = spec.get("expirationSeconds") or _DEFAULT_S
    _check_lifetime(lifetime_s)
    now, audiences = time.time(), [str(audience) for audience in spec.get("audiences") or [ISSUER]]
    bound_to = _bound_object(store, account, spec.get("boundObjectRef"))
    token = request.app[TOKENS].issue(account, audiences=audiences, now=now, lifetime_s=lifetime_s, bound_to=bound_to)
    meta = {"creationTimestamp": utc(now), "name": target.name, "namespace": target.namespace}
    return json_response(request, {
        "kind": "TokenRequest", "apiVersion": TOKEN_REQUEST.api_version, "metadata": meta,
        "spec": {"audiences": audiences, "boundObjectRef": spec.get("boundObjectRef"), "expirationSeconds": lifetime_s},
        "status": {"expirationTimestamp": utc(now + lifetime_s), "token": token}}, status=201)


def _check_lifetime(lifetime_s: Any) -> None:
    if not isinstance(lifetime_s, int) or isinstance(lifetime_s, bool):
        raise StatusError(400, "BadRequest", 'TokenRequest in version "v1" cannot be handled as a TokenRequest: json: '
                                             "cannot unmarshal into Go struct field TokenRequestSpec."
                                             "spec.expirationSeconds of type int64")
    causes: list[Cause] = []
    if lifetime_s < _SHORTEST_S:
        causes.append(invalid_value("spec.expirationSeconds", lifetime_s,
                                    "may not specify a duration less than 10 minutes"))
    if lifetime_s > _LONGEST_S:
        causes.append(invalid_value("spec.expirationSeconds", lifetime_s,
                                    "may not specify a duration larger than 2^32 seconds"))
    if causes:
        raise invalid(TOKEN_REQUEST, "", causes)


def _bound_object(store: Store, account: Object, reference: Any) -> Object | None:
    """The Pod or Secret that a token is to be bound to. Raises StatusError if it does not fit the account."""
    if not isinstance(reference, dict):
        return None
    kind = BOUND_KINDS.get(str(reference.get("kind")))
    if kind is None:
        raise StatusError(400, "BadRequest", f"cannot bind token to object of type {reference.get('kind')}")
    found = store.get(kind, account["metadata"]["namespace"], str(reference.get("name", "")))
    meta = found["metadata"]
    if reference.get("uid") not in (None, "", meta["uid"]):
        raise StatusError(409, "Conflict", ConflictError(kind, meta["name"]).message.partition(":")[0] + (
            f": the UID in the bound object reference ({reference['uid']}) does not match the UID in record. The "
            "object might have been deleted and then recreated"), {"name": meta["name"], "kind": kind.plural})
    if kind.kind == "Pod" and found["spec"].get("serviceAccountName") != account["metadata"]["name"]:
        raise StatusError(400, "BadRequest", f"cannot bind token for serviceaccount {account['metadata']['name']!r} to "
                                             "pod running with different serviceaccount name.")
    return found
