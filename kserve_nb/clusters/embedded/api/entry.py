"""A stored object: its JSON, together with the fields by which lists and watches select it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import orjson

from kserve_nb.clusters.embedded.apimachinery.objects import Kind, Object, StatusError


@dataclass(frozen=True, slots=True)
class Entry:
    """One version of one object. Its bytes are shared by the store, its history and all readers."""

    namespace: str | None
    name: str
    version: int
    labels: Mapping[str, str]
    data: bytes

    def copy(self) -> Object:
        """A copy of the object, which the caller may change."""
        obj: Object = orjson.loads(self.data)
        return obj

    def in_version_of(self, kind: Kind) -> Entry:
        """The entry in another version of its kind. Versions differ only in their apiVersion."""
        if not kind.has_versions:
            return self
        obj = self.copy() | {"apiVersion": kind.api_version}
        return Entry.of(obj, encode(obj))

    @classmethod
    def of(cls, obj: Object, data: bytes) -> Entry:
        """The entry of an object that has a resourceVersion, with its JSON."""
        meta = obj["metadata"]
        return cls(meta.get("namespace"), meta["name"], int(meta["resourceVersion"]), meta.get("labels") or {}, data)


def encode(obj: Object) -> bytes:
    """The object's JSON with sorted keys, so that equal objects have equal bytes.

    Raises StatusError 400 for values that JSON cannot represent.
    """
    try:
        # Copied, because the bytes from orjson keep their write buffer in memory, which is many times as long.
        return bytes(memoryview(orjson.dumps(obj, option=orjson.OPT_SORT_KEYS)))
    except TypeError as error:
        raise StatusError(400, "BadRequest", f"Cannot write the object as JSON: {error}") from None
