"""Reviews of users, their rights and their tokens: `kubectl auth can-i`, `kubectl auth whoami`, TokenReview."""

from __future__ import annotations

import hmac
import time

from aiohttp import web

from kserve_nb.clusters.embedded.api.wire import authentication, bodies
from kserve_nb.clusters.embedded.api.wire.responses import json_response, method_not_allowed
from kserve_nb.clusters.embedded.api.wire.service_account_tokens import ISSUER, TOKENS, InvalidTokenError, Tokens
from kserve_nb.clusters.embedded.apimachinery.objects import Kind, Object, StatusError

_ALLOWED = {"allowed": True, "reason": 'RBAC: allowed by ClusterRoleBinding "cluster-admin" of ClusterRole '
                                       '"cluster-admin" to Group "system:masters"'}
_BASIC = [{"verbs": ["create"], "apiGroups": ["authorization.k8s.io"],
           "resources": ["selfsubjectaccessreviews", "selfsubjectrulesreviews"]},
          {"verbs": ["create"], "apiGroups": ["authentication.k8s.io"], "resources": ["selfsubjectreviews"]}]
_BASIC_PATHS = [{"verbs": ["get"], "nonResourceURLs": ["/healthz", "/livez", "/readyz", "/version", "/version/"]},
                {"verbs": ["get"], "nonResourceURLs": ["/api", "/api/*", "/apis", "/apis/*", "/openapi", "/openapi/*"]}]


async def respond(request: web.Request, admin_token: str) -> web.Response | None:
    """The result of a review, or None if the path is not that of a review."""
    kind = _REVIEWS.get(request.path)
    if kind is None:
        return None
    if request.method != "POST":
        raise method_not_allowed()
    user = request[authentication.USER]
    if user == authentication.ANONYMOUS or (kind.kind in _FOR_ADMINISTRATORS and not user.is_admin):
        raise StatusError(403, "Forbidden", f'{kind.resource} is forbidden: User "{user.name}" cannot create resource '
                                            f'"{kind.plural}" in API group "{kind.group}" at the cluster scope',
                          {"group": kind.group, "kind": kind.plural})
    spec = (await bodies.read_object(request, kind)).object.get("spec")
    if kind.kind == "TokenReview":
        status = _token_status(request.app[TOKENS], admin_token, spec if isinstance(spec, dict) else {})
    else:
        status = _status(kind, user, spec if isinstance(spec, dict) else {})
    review: Object = {"kind": kind.kind, "apiVersion": kind.api_version, "metadata": {"creationTimestamp": None},
                      **({"spec": spec} if spec else {}), "status": status}
    return json_response(request, review, status=201)


def _status(kind: Kind, user: authentication.User, spec: Object) -> Object:
    if kind.kind == "SelfSubjectReview":
        return {"userInfo": _user_info(user)}
    if kind.kind == "SelfSubjectRulesReview":
        return _rules(user)
    if kind.kind == "SubjectAccessReview":
        groups = spec.get("groups") if isinstance(spec.get("groups"), list) else []
        user = authentication.User(str(spec.get("user", "")), tuple(str(group) for group in groups or ()))
    if user.is_admin:
        return _ALLOWED
    path = spec.get("nonResourceAttributes")
    if isinstance(path, dict):
        try:
            authentication.check_path(user, str(path.get("verb", "get")), str(path.get("path", "")))
        except StatusError:
            return {"allowed": False}
        return {"allowed": True}
    return {"allowed": False}


def _token_status(tokens: Tokens, admin_token: str, spec: Object) -> Object:
    """Whose token it is, or why it is invalid."""
    token, audiences = str(spec.get("token") or ""), tuple(spec.get("audiences") or (ISSUER,))
    if not token:
        raise StatusError(400, "BadRequest", "token is required for TokenReview in authentication")
    if hmac.compare_digest(token.encode("utf-8", "surrogateescape"), admin_token.encode()):
        user = authentication.ADMIN
    else:
        try:
            claims = tokens.verify(token, audiences=audiences, now=time.time())
        except InvalidTokenError as error:
            return {"user": {}, "error": str(error)}
        user, audiences = authentication.service_account(claims), claims.audiences
    return {"authenticated": True, "user": _user_info(user), "audiences": list(audiences)}


def _user_info(user: authentication.User) -> Object:
    info: Object = {"username": user.name, "groups": list(user.groups)}
    if user.uid:
        info["uid"] = user.uid
    if user.extra:
        info["extra"] = {key: [value] for key, value in user.extra}
    return info


def _rules(user: authentication.User) -> Object:
    everything = [{"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}] if user.is_admin else []
    paths = [{"verbs": ["*"], "nonResourceURLs": ["*"]}] if user.is_admin else []
    return {"resourceRules": [*everything, *_BASIC], "nonResourceRules": [*paths, *_BASIC_PATHS], "incomplete": False}


_FOR_ADMINISTRATORS = ("SubjectAccessReview", "TokenReview")
_REVIEWS = {f"/apis/{kind.group}/v1/{kind.plural}": kind for kind in (
    Kind("authorization.k8s.io", "v1", "SelfSubjectAccessReview", "selfsubjectaccessreviews", False),
    Kind("authorization.k8s.io", "v1", "SelfSubjectRulesReview", "selfsubjectrulesreviews", False),
    Kind("authorization.k8s.io", "v1", "SubjectAccessReview", "subjectaccessreviews", False),
    Kind("authentication.k8s.io", "v1", "SelfSubjectReview", "selfsubjectreviews", False),
    Kind("authentication.k8s.io", "v1", "TokenReview", "tokenreviews", False))}
