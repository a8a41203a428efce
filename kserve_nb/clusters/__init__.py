"""Clusters to learn on: how they are started, found, stopped and deleted. May import `values` alone.

To all other code a cluster is a kubeconfig and an ingress address. Commands, lab and runner import this module only.
"""

from kserve_nb.clusters.backend import Backend, Option, Status
from kserve_nb.clusters.connection import cluster_of, connect
from kserve_nb.clusters.deletion import delete
from kserve_nb.clusters.lifecycle import existing, settings_for_copy, start, status, stop
from kserve_nb.clusters.registry import DEFAULT, backend, kinds
from kserve_nb.clusters.state import ClusterError, Record, folder, names, read

__all__ = [
    "DEFAULT", "Backend", "ClusterError", "Option", "Record", "Status", "backend", "cluster_of", "connect", "delete",
    "existing", "folder", "kinds", "names", "read", "settings_for_copy", "start", "status", "stop",
]
