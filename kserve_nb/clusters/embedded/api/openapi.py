"""OpenAPI v3 as kubectl reads it."""

from __future__ import annotations

from kserve_nb.clusters.embedded.objects import Object


def index() -> Object:
    """What /openapi/v3 answers."""
    return {"paths": {}}


def document(group: str, version: str) -> Object:
    """What /openapi/v3/apis/GROUP/VERSION answers."""
    return {"openapi": "3.0.0", "info": {"title": "Kubernetes", "version": "v1.35.4"}, "paths": {},
            "components": {"schemas": {}}}
