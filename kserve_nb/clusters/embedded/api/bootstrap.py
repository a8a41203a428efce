"""The objects that every new cluster has."""

from __future__ import annotations

from kserve_nb.clusters.embedded.objects import NAMESPACE, Kind, Object, Settings

_NAMESPACES = ("default", "kube-system", "kube-public", "kube-node-lease", "kserve", "knative-serving")


def initial_objects(settings: Settings) -> list[tuple[Kind, Object]]:
    """All objects of a new cluster, in the order in which they are to be created."""
    names = (*_NAMESPACES, f"{settings.gateway}-system")
    return [(NAMESPACE, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}) for name in names]
