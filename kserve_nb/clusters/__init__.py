"""Clusters to learn on: how they are started, found, stopped and deleted. May import `values` alone.

To all other code a cluster is a kubeconfig and an ingress address. Commands, lab and runner import this module only.
"""

from kserve_nb.clusters.backend import Backend, BackendCommand, Option, PartStatus, Status
from kserve_nb.clusters.connection import cluster_of, connect
from kserve_nb.clusters.deletion import delete, delete_abandoned
from kserve_nb.clusters.lifecycle import existing, is_current, settings_for_copy, start, status, stop
from kserve_nb.clusters.publication import ModelPublisher, NamespaceWarning, check_namespace
from kserve_nb.clusters.publishing.model_package import ModelWarning, PublishError
from kserve_nb.clusters.registry import DEFAULT, backend, kinds
from kserve_nb.clusters.state import ClusterError, Record, folder, last_use, names, read

__all__ = [
    "DEFAULT", "Backend", "BackendCommand", "ClusterError", "ModelPublisher", "ModelWarning", "NamespaceWarning",
    "Option", "PartStatus", "PublishError", "Record", "Status", "backend", "check_namespace", "cluster_of",
    "connect", "delete", "delete_abandoned", "existing", "folder", "is_current", "kinds", "last_use", "names",
    "read", "settings_for_copy", "start", "status", "stop",
]
