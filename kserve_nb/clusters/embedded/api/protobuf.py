"""Bodies that kubectl sends as protobuf."""

from __future__ import annotations

from kserve_nb.clusters.embedded.objects import Object, StatusError


def decode(body: bytes) -> Object:
    """The object in a `k8s` protobuf envelope. Raises StatusError 415 for kinds it does not know."""
    raise StatusError(415, "UnsupportedMediaType", "protobuf bodies of this kind are not understood: send application/json")
