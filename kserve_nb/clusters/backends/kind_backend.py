"""A kind cluster: KServe in Knative mode, in a Kubernetes node that is a container of this machine's Docker."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kserve_nb.clusters.backend import GATEWAY, INGRESS_PORT, Notify, Option, Status
from kserve_nb.clusters.kind import docker_node, installation, tools
from kserve_nb.clusters.state import Record


class KindBackend:
    """Clusters that kind creates in Docker, with cert-manager, Knative and KServe installed."""

    name = "kind"
    summary = "in this machine's Docker"
    options = (
        GATEWAY,
        INGRESS_PORT,
        Option("manifests", "A folder with the manifests to install.", Path, default="from the network"),
    )
    side_by_side = False
    deleted = "deleted"

    def start(self, name: str, before: Record | None, namespace: str, options: Mapping[str, Any],
              notify: Notify) -> Record:
        """Create the cluster with KServe in it, or continue where an earlier start ended."""
        return installation.install(name, before, namespace, options, notify)

    def stop(self, record: Record) -> None:
        """Stop the node's container; its objects stay in it."""
        docker_node.stop(record)

    def release(self, name: str, record: Record | None) -> None:
        """Delete the kind cluster that this record created. Another one of its name is left alone."""
        if record is not None:
            docker_node.delete(record)

    def status(self, record: Record) -> Status:
        """Whether everything is installed and the API server answers."""
        if step := installation.missing(record):
            return Status("incomplete", False, f"{step} is not installed yet. Continue: "
                          f"kserve-nb up --cluster kind --name {record.name}")
        if tools.Kubectl(Path(record.kubeconfig)).ask("--request-timeout=5s", "get", "--raw", "/version").returncode:
            return Status("stopped", False, f"it does not answer. Start it: kserve-nb up --name {record.name}")
        return Status("running", True)

    def usable(self, record: Record) -> bool:
        """Whether everything was installed."""
        return not installation.missing(record)

    def settings(self, record: Record) -> Mapping[str, Any]:
        """The options that it was created with."""
        return {"gateway": record.gateway, "ingress_port": int(record.ingress.rpartition(":")[2])}

    def describe(self, record: Record) -> str:
        """The form of its URLs."""
        return f"{record.gateway} URLs"


BACKEND = KindBackend()
