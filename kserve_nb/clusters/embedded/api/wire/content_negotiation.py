"""Which representation of an answer a client asks for."""

from __future__ import annotations

from typing import Literal

from kserve_nb.clusters.embedded.objects import StatusError

View = Literal["object", "table", "metadata"]
_ACCEPTED = "application/json, application/yaml, application/vnd.kubernetes.protobuf"


def clauses(header: str) -> list[tuple[str, dict[str, str]]]:
    """The media types of an Accept or Content-Type header, with their parameters, in order."""
    found = []
    for clause in header.split(","):
        media, *parameters = (part.strip() for part in clause.split(";"))
        pairs = (parameter.partition("=") for parameter in parameters)
        found.append((media.lower(), {key: value for key, _, value in pairs}))
    return found


def view(accept: str) -> View:
    """How objects are to be shown. Raises StatusError 406 where none of the accepted types is served."""
    for media, parameters in clauses(accept or "*/*"):
        if media not in ("application/json", "application/*", "*/*"):
            continue
        wanted = parameters.get("as")
        if wanted is None:
            return "object"
        if parameters.get("g") == "meta.k8s.io" and parameters.get("v") == "v1":
            if wanted == "Table":
                return "table"
            if wanted in ("PartialObjectMetadata", "PartialObjectMetadataList"):
                return "metadata"
    raise StatusError(406, "NotAcceptable", f"only the following media types are accepted: {_ACCEPTED}")


def wants_aggregated_discovery(accept: str) -> bool:
    """Whether the client would rather have an APIGroupDiscoveryList of version v2 than the plain documents."""
    for media, parameters in clauses(accept or "*/*"):
        if media in ("application/json", "application/*", "*/*"):
            if "as" not in parameters:
                return False
            if parameters == {"g": "apidiscovery.k8s.io", "v": "v2", "as": "APIGroupDiscoveryList"}:
                return True
    return False
