"""The representation of a response that a client requests in its Accept header."""

from __future__ import annotations

from typing import Literal

from kserve_nb.clusters.embedded.apimachinery.objects import StatusError

Representation = Literal["object", "table", "metadata"]
ACCEPTED = "application/json, application/yaml, application/vnd.kubernetes.protobuf"
_JSON_TYPES = ("application/json", "application/*", "*/*")


def media_types(header: str) -> list[tuple[str, dict[str, str]]]:
    """The media types in an Accept or Content-Type header, with their parameters, in order."""
    found = []
    for clause in header.split(","):
        media, *parameters = (part.strip() for part in clause.split(";"))
        pairs = (parameter.partition("=") for parameter in parameters)
        found.append((media.lower(), {key: value for key, _, value in pairs}))
    return found


def representation(accept: str) -> Representation:
    """The first accepted representation that is served. Raises StatusError 406 if none is."""
    for media, parameters in media_types(accept or "*/*"):
        if media not in _JSON_TYPES:
            continue
        wanted = parameters.get("as")
        if wanted is None:
            return "object"
        if parameters.get("g") == "meta.k8s.io" and parameters.get("v") == "v1":
            if wanted == "Table":
                return "table"
            if wanted in ("PartialObjectMetadata", "PartialObjectMetadataList"):
                return "metadata"
    raise StatusError(406, "NotAcceptable", f"only the following media types are accepted: {ACCEPTED}")


def wants_aggregated_discovery(accept: str) -> bool:
    """Whether the client prefers an APIGroupDiscoveryList of version v2 to the separate discovery documents."""
    for media, parameters in media_types(accept or "*/*"):
        if media in _JSON_TYPES:
            if "as" not in parameters:
                return False
            if parameters == {"g": "apidiscovery.k8s.io", "v": "v2", "as": "APIGroupDiscoveryList"}:
                return True
    return False
