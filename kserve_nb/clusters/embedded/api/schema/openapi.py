"""OpenAPI v3 as kubectl reads it: for `explain`, for field validation and for strategic merge patches.

Shapes are those of kube-apiserver 1.35: custom resources are written out inline, built-in kinds refer to components.
"""

from __future__ import annotations

import hashlib
from functools import cache
from importlib.resources import files

from kserve_nb.clusters.embedded.api.schema.openapi_paths import paths_of
from kserve_nb.clusters.embedded.api.schema.openapi_schemas import schemas_of
from kserve_nb.clusters.embedded.kinds import KINDS
from kserve_nb.clusters.embedded.objects import Kind, Object, StatusError


@cache
def index() -> Object:
    """What /openapi/v3 answers: where the document of each group and version is."""
    return {"paths": {_path(kind): {"serverRelativeURL": f"/openapi/v3/{_path(kind)}?hash={_hash(_path(kind))}"}
                      for kind in KINDS if not kind.internal}}


@cache
def document(group: str, version: str) -> Object:
    """What /openapi/v3/apis/GROUP/VERSION answers (/openapi/v3/api/v1 for the group ""). Raises StatusError 404."""
    kinds = [k for k in KINDS if (k.group, k.version) == (group, version) and not k.internal]
    if not kinds:
        raise StatusError(404, "NotFound", "the server could not find the requested resource")
    return {
        "openapi": "3.0.0", "info": {"title": "Kubernetes", "version": "v1.35.4"},
        "paths": {path: item for kind in kinds for path, item in paths_of(kind).items()},
        "components": {"schemas": schemas_of(kinds)},
    }


def _path(kind: Kind) -> str:
    return f"apis/{kind.api_version}" if kind.group else f"api/{kind.version}"


@cache
def _data() -> bytes:
    folder = files("kserve_nb.clusters.embedded.api") / "data"
    return b"".join((folder / name).read_bytes() for name in ("own_types.json", "sdk_types.json"))


def _hash(path: str) -> str:
    return hashlib.sha512(path.encode() + _data()).hexdigest().upper()
