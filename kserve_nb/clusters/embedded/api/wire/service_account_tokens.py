"""Tokens of ServiceAccounts: signed JSON Web Tokens that expire, bound to an account and perhaps to one of its pods.

Source: kubernetes pkg/serviceaccount/claims.go (`Claims`, `validator.Validate`). The signature is an HMAC by a key that
only the API server has, so a JWT library, whose import costs the server process several MB, is not needed.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import uuid
from dataclasses import dataclass

import orjson
from aiohttp import web

from kserve_nb.clusters.embedded.apimachinery.kinds import POD, SECRET, SERVICE_ACCOUNT
from kserve_nb.clusters.embedded.apimachinery.objects import Object, Objects

ISSUER = "https://kubernetes.default.svc.cluster.local"  # also the audience of the API server
BOUND_KINDS = {"Pod": POD, "Secret": SECRET}
_HEADER = {"alg": "HS256", "typ": "JWT"}
_CLOCK_SKEW_S = 60  # how long an expired token is still accepted (go-jose's default leeway)


class InvalidTokenError(Exception):
    """The error for an invalid token. Its message is the reason."""


@dataclass(frozen=True)
class Claims:
    """The ServiceAccount that a token authenticates."""

    namespace: str
    name: str
    uid: str
    token_id: str
    pod: tuple[str, str] | None = None  # name and uid of the pod that it is bound to
    audiences: tuple[str, ...] = (ISSUER,)


class Tokens:
    """Issues tokens and verifies them.

    Args:
        secret: a secret of the cluster that stays the same when the API server restarts.
    """

    def __init__(self, objects: Objects, secret: str):
        self._objects = objects
        self._key = hmac.digest(secret.encode(), b"tokens of service accounts", hashlib.sha256)

    def issue(self, account: Object, *, audiences: list[str], now: float, lifetime_s: int,
              bound_to: Object | None = None) -> str:
        """A new token of an account, bound to an object of its namespace if that is given."""
        meta, issued = account["metadata"], int(now)
        bound: Object = {"namespace": meta["namespace"], "serviceaccount": {"name": meta["name"], "uid": meta["uid"]}}
        if bound_to is not None:
            bound[bound_to["kind"].lower()] = {key: bound_to["metadata"][key] for key in ("name", "uid")}
        claims = {
            "aud": audiences, "exp": issued + lifetime_s, "iat": issued, "iss": ISSUER, "jti": str(uuid.uuid4()),
            "kubernetes.io": bound, "nbf": issued,
            "sub": f"system:serviceaccount:{meta['namespace']}:{meta['name']}"}
        signed = b".".join(_encode(orjson.dumps(part)) for part in (_HEADER, claims))
        return (signed + b"." + _encode(self._signature(signed))).decode()

    def verify(self, token: str, *, audiences: tuple[str, ...], now: float) -> Claims:
        """The account that a token authenticates for one of the audiences. Raises InvalidTokenError."""
        signed, _, signature = token.encode("utf-8", "surrogateescape").rpartition(b".")
        if not hmac.compare_digest(signature, _encode(self._signature(signed))):
            raise InvalidTokenError("invalid bearer token")
        claims: Object = orjson.loads(_decode(signed.partition(b".")[2]))
        if now > claims["exp"] + _CLOCK_SKEW_S:
            raise InvalidTokenError("[invalid bearer token, service account token has expired]")
        accepted = tuple(audience for audience in audiences if audience in claims["aud"])
        if not accepted:
            raise InvalidTokenError(f"[invalid bearer token, token audiences {_go_list(claims['aud'])} is invalid for "
                                    f"the target audiences {_go_list(audiences)}]")
        self._check_bound(claims["kubernetes.io"])
        account, pod = claims["kubernetes.io"]["serviceaccount"], claims["kubernetes.io"].get("pod")
        return Claims(claims["kubernetes.io"]["namespace"], account["name"], account["uid"], claims["jti"],
                      (pod["name"], pod["uid"]) if pod else None, accepted)

    def _check_bound(self, bound: Object) -> None:
        """A token is invalid as soon as its account, or the object that it is bound to, has been deleted."""
        for field, kind in (("serviceaccount", SERVICE_ACCOUNT), *((k.lower(), v) for k, v in BOUND_KINDS.items())):
            if field not in bound:
                continue
            found = self._objects.find(kind, bound["namespace"], bound[field]["name"])
            if found is None or found["metadata"]["uid"] != bound[field]["uid"]:
                raise InvalidTokenError("[invalid bearer token, Token has been invalidated]")

    def _signature(self, signed: bytes) -> bytes:
        return hmac.digest(self._key, signed, hashlib.sha256)


TOKENS = web.AppKey("tokens", Tokens)


def _encode(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")


def _decode(text: bytes) -> bytes:
    return base64.urlsafe_b64decode(text + b"=" * (-len(text) % 4))


def _go_list(words: list[str] | tuple[str, ...]) -> str:
    return "[" + " ".join(f'"{word}"' for word in words) + "]"
