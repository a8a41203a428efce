"""Authentication and authorization: the user of a request, and whether the user may send it.

The cluster has one bearer token that makes its bearer a cluster administrator. Requests without a token or with that of
a ServiceAccount, and impersonated users, may read little more than the version and the discovery documents. Requests
that a web page can send get nothing, not even the version.
"""

from __future__ import annotations

import hmac
import time
from dataclasses import dataclass

from aiohttp import web

from kserve_nb.clusters.embedded.addresses import API_SERVER_IP, API_SERVER_NAMES
from kserve_nb.clusters.embedded.api.wire.request_paths import RequestTarget
from kserve_nb.clusters.embedded.api.wire.service_account_tokens import ISSUER, TOKENS, Claims, InvalidTokenError
from kserve_nb.clusters.embedded.apimachinery.objects import Object, StatusError

_PUBLIC_PATHS = ("/healthz", "/livez", "/readyz", "/version")
_DISCOVERY_PATHS = ("/api", "/apis", "/openapi")
_HOSTS = frozenset((API_SERVER_IP, *API_SERVER_NAMES))


@dataclass(frozen=True)
class User:
    """The user of a request, after impersonation."""

    name: str
    groups: tuple[str, ...]
    uid: str = ""
    extra: tuple[tuple[str, str], ...] = ()

    @property
    def is_admin(self) -> bool:
        return "system:masters" in self.groups


ADMIN = User("kubernetes-admin", ("system:masters", "system:authenticated"))
ANONYMOUS = User("system:anonymous", ("system:unauthenticated",))
USER = web.RequestKey("user", User)


def check_sender(request: web.Request) -> None:
    """Refuse what a web page in the user's browser can send. Raises StatusError 403.

    A page whose name is made to resolve to 127.0.0.1 (DNS rebinding) sends its own name as Host. Every other page
    sends its Origin, or the browser marks its request with Sec-Fetch-Site. Python's WebSocket clients send the API
    server's own address as Origin.
    """
    host = request.headers.get("Host", "")
    if _name(host) not in _HOSTS:
        raise StatusError(403, "Forbidden", f"The API server does not serve the host {host!r}. Use the address in the "
                                            "kubeconfig of the cluster.")
    origin = request.headers.get("Origin")
    if origin not in (None, f"https://{host}") or "Sec-Fetch-Site" in request.headers:
        raise StatusError(403, "Forbidden", "The API server does not answer web browsers. Use kubectl, or another "
                                            "client that reads the kubeconfig of the cluster.")


def _name(host: str) -> str:
    """The host of a Host header without its port, in lower case."""
    return host.lower().partition(":")[0].removesuffix(".")


def identify(request: web.Request, token: str) -> User:
    """The user of a request. Raises StatusError 401 for a wrong token, 403 for forbidden impersonation."""
    scheme, _, given = request.headers.get("Authorization", "").partition(" ")
    user = ANONYMOUS
    if scheme.lower() == "bearer":
        user = _bearer(request, given.strip(), token)
    impersonated = request.headers.get("Impersonate-User")
    if impersonated is None:
        return user
    if not user.is_admin:
        raise _forbidden(user, "impersonate", "", "users", None, impersonated, "users")
    return User(impersonated, (*request.headers.getall("Impersonate-Group", ()), "system:authenticated"))


def _bearer(request: web.Request, given: str, admin_token: str) -> User:
    if hmac.compare_digest(given.encode("utf-8", "surrogateescape"), admin_token.encode()):
        return ADMIN
    try:
        return service_account(request.app[TOKENS].verify(given, audiences=(ISSUER,), now=time.time()))
    except InvalidTokenError:
        raise StatusError(401, "Unauthorized", "Unauthorized") from None


def service_account(claims: Claims) -> User:
    """The user that a ServiceAccount's token authenticates."""
    groups = ("system:serviceaccounts", f"system:serviceaccounts:{claims.namespace}", "system:authenticated")
    extra = [("credential-id", f"JTI={claims.token_id}")]
    if claims.pod is not None:
        extra += [("pod-name", claims.pod[0]), ("pod-uid", claims.pod[1])]
    return User(f"system:serviceaccount:{claims.namespace}:{claims.name}", groups, claims.uid,
                tuple((f"authentication.kubernetes.io/{key}", value) for key, value in extra))


def verb_of(request: web.Request, target: RequestTarget) -> str:
    """The RBAC verb of a request."""
    if request.method in ("GET", "HEAD"):
        if request.query.get("watch", "").lower() in ("true", "1"):
            return "watch"
        return "get" if target.name else "list"
    if request.method == "DELETE":
        return "delete" if target.name else "deletecollection"
    return {"POST": "create", "PUT": "update", "PATCH": "patch"}.get(request.method, request.method.lower())


def check_target(user: User, verb: str, target: RequestTarget) -> None:
    """Raises StatusError 403 unless the user may apply the verb to the target."""
    if not user.is_admin:
        kind = target.kind
        raise _forbidden(user, verb, kind.group, target.resource, target.namespace, target.name, kind.plural)


def check_path(user: User, method: str, path: str) -> None:
    """Raises StatusError 403 unless the user may request a path that addresses no object."""
    open_paths = _PUBLIC_PATHS if user == ANONYMOUS else (*_PUBLIC_PATHS, *_DISCOVERY_PATHS)
    if user.is_admin or any(path == known or path.startswith(f"{known}/") for known in open_paths):
        return
    raise StatusError(403, "Forbidden", f'forbidden: User "{user.name}" cannot {method.lower()} path "{path}"')


def _forbidden(user: User, verb: str, group: str, resource: str, namespace: str | None, name: str | None,
               plural: str) -> StatusError:
    full = f"{plural}.{group}" if group else plural
    subject = f'{full} "{name}"' if name else full
    scope = f'in the namespace "{namespace}"' if namespace else "at the cluster scope"
    details: Object = {"name": name or "", "group": group, "kind": plural}
    return StatusError(
        403, "Forbidden",
        f'{subject} is forbidden: User "{user.name}" cannot {verb} resource "{resource}" in API group "{group}" '
        f"{scope}",
        details)
