"""OpenAPI v3, which kubectl reads for `explain`, for field validation and for strategic merge patches.

As in kube-apiserver 1.35, schemas of custom resources are written out in full and those of built-in kinds refer to
components.
"""

from __future__ import annotations

import hashlib
from functools import cache
from importlib.resources import files

from kserve_nb.clusters.embedded.api.schema.openapi_paths import paths_of
from kserve_nb.clusters.embedded.api.schema.openapi_schemas import schemas_of
from kserve_nb.clusters.embedded.apimachinery.objects import Kind, Kinds, Object, StatusError

V2_PROTOBUF_TYPE = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf"
_INFO = {"title": "Kubernetes", "version": "v1.35.4"}
VERSION_2: Object = {"swagger": "2.0", "info": _INFO, "paths": {}, "definitions": {}}
"""The body of /openapi/v2, as JSON. As protobuf, an empty message is the same document."""


def index(kinds: Kinds) -> Object:
    """The body of /openapi/v3: where the document of each group and version is."""
    paths = sorted({_path(kind.group, kind.version) for kind in kinds.served})
    return {"paths": {path: {"serverRelativeURL": f"/openapi/v3/{path}?hash={_hash(kinds, path)}"} for path in paths}}


def document(kinds: Kinds, group: str, version: str) -> Object:
    """The body of /openapi/v3/apis/GROUP/VERSION (/openapi/v3/api/v1 for the group ""). Raises StatusError 404."""
    described = _described(kinds, _path(group, version))
    if not described:
        raise StatusError(404, "NotFound", "the server could not find the requested resource")
    return {
        "openapi": "3.0.0", "info": _INFO,
        "paths": {path: item for kind in described for path, item in paths_of(kind).items()},
        "components": {"schemas": schemas_of(described)},
    }


def _described(kinds: Kinds, path: str) -> list[Kind]:
    return [kind for kind in kinds.served if _path(kind.group, kind.version) == path]


def _path(group: str, version: str) -> str:
    return f"apis/{group}/{version}" if group else f"api/{version}"


@cache
def _data() -> bytes:
    folder = files("kserve_nb.clusters.embedded.api") / "data"
    return b"".join((folder / name).read_bytes() for name in ("own_types.json", "sdk_types.json"))


def _hash(kinds: Kinds, path: str) -> str:
    """A hash of a document's content, by which kubectl caches documents on disk."""
    rows = "".join(f"{kind}{kind.schema}" for kind in _described(kinds, path))
    return hashlib.sha512(rows.encode() + _data()).hexdigest().upper()
