"""The paths of an OpenAPI document: the requests that each kind answers."""

from __future__ import annotations

from kserve_nb.clusters.embedded.api.schema.openapi_schemas import META, REF, component_name, list_component_name
from kserve_nb.clusters.embedded.apimachinery.objects import Kind, Object

_WRITE = (("dryRun", "string"), ("fieldManager", "string"), ("fieldValidation", "string"))
_PATCH = (*_WRITE, ("force", "boolean"))
_DELETE = (("dryRun", "string"), ("gracePeriodSeconds", "integer"), ("orphanDependents", "boolean"),
           ("propagationPolicy", "string"))
_LIST = (("allowWatchBookmarks", "boolean"), ("continue", "string"), ("fieldSelector", "string"),
         ("labelSelector", "string"), ("limit", "integer"), ("resourceVersion", "string"),
         ("resourceVersionMatch", "string"), ("sendInitialEvents", "boolean"), ("timeoutSeconds", "integer"),
         ("watch", "boolean"))
_PATCH_TYPES = ("application/apply-patch+yaml", "application/json-patch+json", "application/merge-patch+json")
_STRATEGIC = "application/strategic-merge-patch+json"
_BODY_TYPES = ("application/json", "application/yaml")


def paths_of(kind: Kind) -> dict[str, Object]:
    """All paths of a kind, with the operations on each."""
    root = f"/apis/{kind.api_version}" if kind.group else f"/api/{kind.version}"
    folder = f"{root}/namespaces/{{namespace}}/{kind.plural}" if kind.namespaced else f"{root}/{kind.plural}"
    paths = {
        folder: {"get": _list(kind), "post": _write(kind, "post"), "delete": _delete(kind, "deletecollection"),
                 "parameters": _path_parameters(kind, named=False)},
        f"{folder}/{{name}}": {
            "get": _operation(kind, "get"), "put": _write(kind, "put"), "delete": _delete(kind, "delete"),
            "patch": _patch(kind), "parameters": _path_parameters(kind, named=True)},
    }
    if kind.namespaced:
        paths[f"{root}/{kind.plural}"] = {"get": _list(kind), "parameters": []}
    if kind.has_status:
        paths[f"{folder}/{{name}}/status"] = {
            "get": _operation(kind, "get"), "put": _write(kind, "put"), "patch": _patch(kind),
            "parameters": _path_parameters(kind, named=True)}
    return paths


def _operation(kind: Kind, action: str, *, parameters: tuple[tuple[str, str], ...] = (),
               answer: str | None = None) -> Object:
    return {
        "tags": [f"{kind.group.replace('.', '_') or 'core'}_{kind.version}"],
        "operationId": f"{action}_{kind.version}_{kind.plural}",
        "parameters": [{"name": name, "in": "query", "schema": {"type": type_, "uniqueItems": True}}
                       for name, type_ in parameters],
        "responses": {"200": {"description": "OK", "content": _content(_BODY_TYPES, answer or component_name(kind))},
                      "401": {"description": "Unauthorized"}},
        "x-kubernetes-action": action,
        "x-kubernetes-group-version-kind": {"group": kind.group, "kind": kind.kind, "version": kind.version},
    }


def _list(kind: Kind) -> Object:
    return _operation(kind, "list", parameters=_LIST, answer=list_component_name(kind))


def _write(kind: Kind, action: str) -> Object:
    body = {"content": _content(_BODY_TYPES, component_name(kind)), "required": True}
    return _operation(kind, action, parameters=_WRITE) | {"requestBody": body}


def _patch(kind: Kind) -> Object:
    types = _PATCH_TYPES if kind.is_custom else (*_PATCH_TYPES, _STRATEGIC)
    body = {"content": _content(types, f"{META}.Patch"), "required": True}
    return _operation(kind, "patch", parameters=_PATCH) | {"requestBody": body}


def _delete(kind: Kind, action: str) -> Object:
    body = {"content": _content(_BODY_TYPES, f"{META}.DeleteOptions")}
    return _operation(kind, action, parameters=_DELETE, answer=f"{META}.Status") | {"requestBody": body}


def _content(types: tuple[str, ...], component: str) -> Object:
    return {type_: {"schema": {"$ref": REF + component}} for type_ in types}


def _path_parameters(kind: Kind, *, named: bool) -> list[Object]:
    names = [*(["name"] if named else []), *(["namespace"] if kind.namespaced else [])]
    return [{"name": name, "in": "path", "required": True, "schema": {"type": "string", "uniqueItems": True}}
            for name in names]
