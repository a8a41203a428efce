"""An object as the store keeps it: its JSON, and beside it what selections ask for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import orjson

from kserve_nb.clusters.embedded.apimachinery.objects import Kind, Object, StatusError


@dataclass(frozen=True, slots=True)
class Entry:
    """One version of one object. Its bytes are shared by the store, its history and all who read it."""

    namespace: str | None
    name: str
    version: int
    labels: Mapping[str, str]
    data: bytes

    def copy(self) -> Object:
        """The object, the caller's to change."""
        obj: Object = orjson.loads(self.data)
        return obj

    def in_version_of(self, kind: Kind) -> Entry:
        """The same object in the given version of its kind: versions of a kind differ only in their apiVersion."""
        if not kind.has_versions:
            return self
        obj = self.copy() | {"apiVersion": kind.api_version}
        return Entry.of(obj, encode(obj))

    @classmethod
    def of(cls, obj: Object, data: bytes) -> Entry:
        """The entry of an object that carries a resourceVersion, and its JSON."""
        meta = obj["metadata"]
        return cls(meta.get("namespace"), meta["name"], int(meta["resourceVersion"]), meta.get("labels") or {}, data)


def encode(obj: Object) -> bytes:
    """The object's JSON with sorted keys, so that equal objects have equal bytes.

    Raises StatusError 400 for what no JSON can say.
    """
    try:
        # A copy: what orjson returns holds on to the buffer that it was written in, of many times its length.
        return bytes(memoryview(orjson.dumps(obj, option=orjson.OPT_SORT_KEYS)))
    except TypeError as error:
        raise StatusError(400, "BadRequest", f"the object cannot be written as JSON: {error}") from None
