"""Kinds that users define: rows like those of the table of kinds, made from CustomResourceDefinitions."""

from __future__ import annotations

from typing import Any

from kserve_nb.clusters.embedded.apimachinery.kinds import CRD_FINALIZER, KINDS
from kserve_nb.clusters.embedded.apimachinery.objects import Column, Kind, Kinds, Object, is_true

_TABLE = {kind.resource: kind for kind in KINDS if kind.is_custom and not kind.internal}


def update(kinds: Kinds, definition: Object) -> None:
    """Serve the kind of a new or changed definition in all its versions, once the definition is Established."""
    current = kinds_of(definition) if is_true(definition, "Established") else []
    versions = {kind.version for kind in current}
    for kind in kinds.served:
        if kind.resource == definition["metadata"]["name"] and kind.version not in versions:
            kinds.remove(kind)
    for kind in current:
        kinds.add(kind)


def remove(kinds: Kinds, definition: Object) -> None:
    """Stop serving the kind of a definition that was deleted."""
    for kind in kinds.served:
        if kind.resource == definition["metadata"]["name"]:
            kinds.remove(kind)


def kinds_of(definition: Object) -> list[Kind]:
    """One row for each version that a definition serves. Kinds of the table keep their row there."""
    known = _TABLE.get(definition["metadata"]["name"])
    if known is not None:
        return [known]
    return [_row(definition, version) for version in definition["spec"]["versions"] if version.get("served")]


def hold_deletion(definition: Object, moment: str) -> None:
    """Add the finalizer that keeps a deleted definition until its objects are deleted."""
    finalizers = definition["metadata"].get("finalizers") or []
    if CRD_FINALIZER in finalizers or "deletionTimestamp" in definition["metadata"]:
        return
    definition["metadata"]["finalizers"] = [*finalizers, CRD_FINALIZER]
    status = definition.setdefault("status", {})
    status["conditions"] = [*(status.get("conditions") or ()), {
        "lastTransitionTime": moment, "reason": "InstanceDeletionPending", "status": "True", "type": "Terminating",
        "message": "CustomResourceDefinition marked for deletion; CustomResource deletion will be initiated when "
                   "observed"}]


def _row(definition: Object, version: Object) -> Kind:
    spec, names = definition["spec"], definition["status"]["acceptedNames"]
    subresources = version.get("subresources") or {}
    return Kind(
        spec["group"], version["name"], names["kind"], names["plural"], spec["scope"] == "Namespaced",
        tuple(names.get("shortNames") or ()), tuple(names.get("categories") or ()),
        columns=tuple(_column(column) for column in version.get("additionalPrinterColumns") or ()),
        has_status="status" in subresources,
        further_subresources=("scale",) if "scale" in subresources else (),
        selectable_fields=tuple(field["jsonPath"].lstrip(".") for field in version.get("selectableFields") or ()),
        has_versions=len(spec["versions"]) > 1, deprecation=_deprecation(spec, version, names["kind"]),
        singular=names.get("singular") or "", list_kind=names.get("listKind") or "",
        schema=(version.get("schema") or {}).get("openAPIV3Schema") or {"type": "object"})


def _deprecation(spec: Object, version: Object, kind: str) -> str:
    if not version.get("deprecated"):
        return ""
    return version.get("deprecationWarning") or f"{spec['group']}/{version['name']} {kind} is deprecated"


def _column(column: dict[str, Any]) -> Column:
    return Column(column["name"], column.get("description") or "", column["jsonPath"], column["type"],
                  column.get("priority") or 0, column.get("format") or "")
