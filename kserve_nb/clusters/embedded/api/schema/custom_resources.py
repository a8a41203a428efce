"""The CustomResourceDefinitions of a cluster with KServe and Knative Serving, from the table of kinds."""

from __future__ import annotations

from typing import Any

from kserve_nb.clusters.embedded.apimachinery.kinds import KINDS, VIRTUAL_SERVICE
from kserve_nb.clusters.embedded.apimachinery.objects import Kind, Object, Settings


def definitions(settings: Settings) -> list[Object]:
    """One CustomResourceDefinition for each custom kind."""
    installed = [kind for kind in KINDS if kind.is_custom and not kind.internal]
    if settings.gateway != "istio":
        installed.remove(VIRTUAL_SERVICE)
    return [_definition(kind) for kind in installed]


def established(definition: Object, moment: str) -> Object:
    """The status of a definition that has been established since `moment`."""
    conditions = [("NamesAccepted", "NoConflicts", "no conflicts found"),
                  ("Established", "InitialNamesAccepted", "the initial names have been accepted")]
    return {
        "acceptedNames": definition["spec"]["names"],
        "conditions": [{"lastTransitionTime": moment, "message": message, "reason": reason, "status": "True",
                        "type": type_} for type_, reason, message in conditions],
        "storedVersions": [version["name"] for version in definition["spec"]["versions"]],
    }


def _definition(kind: Kind) -> Object:
    names: dict[str, Any] = {"kind": kind.kind, "listKind": kind.list_kind, "plural": kind.plural,
                             "singular": kind.singular}
    if kind.short:
        names["shortNames"] = list(kind.short)
    if kind.categories:
        names["categories"] = list(kind.categories)
    version: dict[str, Any] = {
        "name": kind.version, "served": True, "storage": True,
        "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}},
    }
    if kind.columns:
        version["additionalPrinterColumns"] = [
            {"jsonPath": column.path, "name": column.name, "type": column.type} for column in kind.columns]
    if kind.has_status:
        version["subresources"] = {"status": {}}
    return {"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
            "metadata": {"name": kind.resource},
            "spec": {"conversion": {"strategy": "None"}, "group": kind.group, "names": names,
                     "scope": "Namespaced" if kind.namespaced else "Cluster", "versions": [version]}}
