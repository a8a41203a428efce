"""Access and subject reviews: `kubectl auth can-i`, `auth can-i --list`, `auth whoami`."""

from __future__ import annotations

from aiohttp import web

from kserve_nb.clusters.embedded.api.wire import authentication, bodies
from kserve_nb.clusters.embedded.api.wire.responses import json_response, method_not_allowed
from kserve_nb.clusters.embedded.apimachinery.objects import Kind, Object, StatusError

_ALLOWED = {"allowed": True, "reason": 'RBAC: allowed by ClusterRoleBinding "cluster-admin" of ClusterRole '
                                       '"cluster-admin" to Group "system:masters"'}
_BASIC = [{"verbs": ["create"], "apiGroups": ["authorization.k8s.io"],
           "resources": ["selfsubjectaccessreviews", "selfsubjectrulesreviews"]},
          {"verbs": ["create"], "apiGroups": ["authentication.k8s.io"], "resources": ["selfsubjectreviews"]}]
_BASIC_PATHS = [{"verbs": ["get"], "nonResourceURLs": ["/healthz", "/livez", "/readyz", "/version", "/version/"]},
                {"verbs": ["get"], "nonResourceURLs": ["/api", "/api/*", "/apis", "/apis/*", "/openapi", "/openapi/*"]}]


async def respond(request: web.Request) -> web.Response | None:
    """The result of a review, or None if the path is not that of a review."""
    kind = _REVIEWS.get(request.path)
    if kind is None:
        return None
    if request.method != "POST":
        raise method_not_allowed()
    user = request[authentication.USER]
    if user == authentication.ANONYMOUS:
        raise StatusError(403, "Forbidden", f'{kind.resource} is forbidden: User "{user.name}" cannot create resource '
                                            f'"{kind.plural}" in API group "{kind.group}" at the cluster scope',
                          {"group": kind.group, "kind": kind.plural})
    spec = (await bodies.read_object(request, kind)).object.get("spec")
    status = _status(kind, user, spec if isinstance(spec, dict) else {})
    review: Object = {"kind": kind.kind, "apiVersion": kind.api_version, "metadata": {"creationTimestamp": None},
                      **({"spec": spec} if spec else {}), "status": status}
    return json_response(request, review, status=201)


def _status(kind: Kind, user: authentication.User, spec: Object) -> Object:
    if kind.kind == "SelfSubjectReview":
        return {"userInfo": {"username": user.name, "groups": list(user.groups)}}
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


def _rules(user: authentication.User) -> Object:
    everything = [{"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}] if user.is_admin else []
    paths = [{"verbs": ["*"], "nonResourceURLs": ["*"]}] if user.is_admin else []
    return {"resourceRules": [*everything, *_BASIC], "nonResourceRules": [*paths, *_BASIC_PATHS], "incomplete": False}


_REVIEWS = {f"/apis/{kind.group}/v1/{kind.plural}": kind for kind in (
    Kind("authorization.k8s.io", "v1", "SelfSubjectAccessReview", "selfsubjectaccessreviews", False),
    Kind("authorization.k8s.io", "v1", "SelfSubjectRulesReview", "selfsubjectrulesreviews", False),
    Kind("authorization.k8s.io", "v1", "SubjectAccessReview", "subjectaccessreviews", False),
    Kind("authentication.k8s.io", "v1", "SelfSubjectReview", "selfsubjectreviews", False))}
