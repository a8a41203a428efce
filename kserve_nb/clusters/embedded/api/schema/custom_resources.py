"""The CustomResourceDefinitions that a cluster with KServe and Knative Serving lists."""

from __future__ import annotations

import json
from importlib.resources import files
from typing import Any

from kserve_nb.clusters.embedded.kinds import (
    CLUSTER_SERVING_RUNTIME,
    CLUSTER_STORAGE_CONTAINER,
    KINDS,
    SERVING_RUNTIME,
    VIRTUAL_SERVICE,
)
from kserve_nb.clusters.embedded.objects import Kind, Object, Settings

_WITHOUT_STATUS = (CLUSTER_SERVING_RUNTIME, CLUSTER_STORAGE_CONTAINER, SERVING_RUNTIME)


def definitions(settings: Settings) -> list[Object]:
    """One CustomResourceDefinition for each custom kind."""
    columns = json.loads((files("kserve_nb.clusters.embedded.api") / "data" / "columns.json").read_text())["custom"]
    served = [kind for kind in KINDS if kind.is_custom and not kind.internal]
    if settings.gateway != "istio":
        served.remove(VIRTUAL_SERVICE)
    return [_definition(kind, columns.get(kind.resource, [])) for kind in served]


def established(definition: Object, moment: str) -> Object:
    """The status that makes a definition usable, as from `moment` on."""
    conditions = [("NamesAccepted", "NoConflicts", "no conflicts found"),
                  ("Established", "InitialNamesAccepted", "the initial names have been accepted")]
    return {
        "acceptedNames": definition["spec"]["names"],
        "conditions": [{"lastTransitionTime": moment, "message": message, "reason": reason, "status": "True",
                        "type": type_} for type_, reason, message in conditions],
        "storedVersions": [version["name"] for version in definition["spec"]["versions"]],
    }


def _definition(kind: Kind, columns: list[dict[str, str]]) -> Object:
    names: dict[str, Any] = {"kind": kind.kind, "listKind": f"{kind.kind}List", "plural": kind.plural,
                             "singular": kind.kind.lower()}
    if kind.short:
        names["shortNames"] = list(kind.short)
    if kind.categories:
        names["categories"] = list(kind.categories)
    version: dict[str, Any] = {
        "name": kind.version, "served": True, "storage": True,
        "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}},
    }
    if columns:
        version["additionalPrinterColumns"] = [
            {"jsonPath": column["path"], "name": column["name"], "type": column["type"]} for column in columns]
    if kind not in _WITHOUT_STATUS:
        version["subresources"] = {"status": {}}
    return {"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
            "metadata": {"name": kind.resource},
            "spec": {"conversion": {"strategy": "None"}, "group": kind.group, "names": names,
                     "scope": "Namespaced" if kind.namespaced else "Cluster", "versions": [version]}}
