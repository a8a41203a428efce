"""metadata.managedFields: the manager that last wrote or applied each field."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any, NamedTuple

from kserve_nb.clusters.embedded.api.ownership import field_paths
from kserve_nb.clusters.embedded.api.ownership.field_paths import CONTAINER, Path
from kserve_nb.clusters.embedded.apimachinery.objects import Kind, Object, StatusError, utc

_MISSING = object()


class Writer(NamedTuple):
    """A field manager: its name, the subresource it writes through, and whether it applies or updates."""

    name: str
    subresource: str = ""
    operation: str = "Update"


@dataclass
class ManagedFieldsEntry:
    """One entry of managedFields: a manager and the fields it owns."""

    writer: Writer
    api_version: str
    time: str | None
    paths: set[Path]

    def shown(self) -> Object:
        """The entry as JSON."""
        body: Object = {"apiVersion": self.api_version, "fieldsType": "FieldsV1", "manager": self.writer.name,
                        "fieldsV1": field_paths.to_fields_v1(self.paths), "operation": self.writer.operation}
        if self.writer.subresource:
            body["subresource"] = self.writer.subresource
        return body | ({"time": self.time} if self.time else {})

    def called(self) -> str:
        """The name of the manager in a conflict message."""
        name = f'"{self.writer.name}"'
        if self.writer.subresource:
            name += f' with subresource "{self.writer.subresource}"'
        return name if self.writer.operation == "Apply" else f"{name} using {self.api_version}"


def entries_of(obj: Object | None) -> list[ManagedFieldsEntry]:
    """The entries of an object's managedFields, without those that cannot be read."""
    found = []
    for item in ((obj or {}).get("metadata") or {}).get("managedFields") or ():
        writer = Writer(str(item.get("manager", "")), str(item.get("subresource", "")), str(item.get("operation")))
        if writer.operation in ("Apply", "Update") and isinstance(item.get("fieldsV1"), dict):
            found.append(ManagedFieldsEntry(writer, str(item.get("apiVersion", "")), item.get("time"),
                               field_paths.from_fields_v1(item["fieldsV1"])))
    return found


def shown(entries: list[ManagedFieldsEntry]) -> list[Object]:
    """The entries as metadata.managedFields, without managers that no longer own any field."""
    order = {"Apply": 0, "Update": 1}
    return [entry.shown() for entry in sorted(entries, key=lambda e: (order[e.writer.operation], e.time or ""))
            if entry.paths]


def after_update(kind: Kind, old: Object | None, new: Object, manager: str, subresource: str = "") -> list[Object]:
    """managedFields after an update: only the writer owns the fields that it changed."""
    given = new["metadata"].get("managedFields")
    entries = entries_of(new) if given else entries_of(old)
    before, after = field_paths.leaves(kind, old, subresource), field_paths.leaves(kind, new, subresource)
    changed = {path for path, value in after.items() if _differs(before.get(path, _MISSING), value)}
    removed = before.keys() - after.keys()
    return shown(_take(kind, entries, Writer(manager, subresource), changed, removed))


def conflicts(entries: list[ManagedFieldsEntry], writer: Writer, live: dict[Path, Any],
              applied: dict[Path, Any]) -> list[tuple[ManagedFieldsEntry, Path]]:
    """The fields of other managers that an apply would change."""
    changing = {path for path, value in applied.items() if _differs(live.get(path, _MISSING), value)}
    return [(entry, path) for entry in entries if entry.writer != writer for path in sorted(entry.paths & changing)]


def conflict_error(found: list[tuple[ManagedFieldsEntry, Path]]) -> StatusError:
    """The 409 error of an apply that is not forced."""
    causes = [{"reason": "FieldManagerConflict", "message": f"conflict with {entry.called()}",
               "field": field_paths.readable(path)} for entry, path in found]
    if len(found) == 1:
        text = f"conflict: {causes[0]['message']}: {causes[0]['field']}"
    else:
        lines: dict[str, list[str]] = {}
        for entry, path in found:
            lines.setdefault(entry.called(), []).append(f"- {field_paths.readable(path)}")
        text = "conflicts: " + "\n".join(
            "\n".join([f"conflicts with {name}:", *paths]) for name, paths in sorted(lines.items()))
    return StatusError(409, "Conflict", f"Apply failed with {len(found)} {text}", {"causes": causes})


def _take(kind: Kind, entries: list[ManagedFieldsEntry], writer: Writer, changed: set[Path],
          removed: set[Path]) -> list[ManagedFieldsEntry]:
    own = next((entry for entry in entries if entry.writer == writer), None)
    for entry in entries:
        entry.paths -= removed if entry is own else changed | removed
    if changed:
        if own is None:
            own = ManagedFieldsEntry(writer, kind.api_version, None, set())
            entries.append(own)
        own.paths |= changed
        own.time, own.api_version = utc(time.time()), kind.api_version
    return entries


def _differs(old: Any, new: Any) -> bool:
    if old is CONTAINER or new is CONTAINER:
        return old is not new
    return bool(old != new) or type(old) is not type(new)
