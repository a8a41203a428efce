"""A kind cluster: KServe in Knative mode, in a Kubernetes node that is a container of this machine's Docker."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from kserve_nb.clusters import state
from kserve_nb.clusters.backend import GATEWAY, INGRESS_PORT, BackendCommand, Notify, Option, Status
from kserve_nb.clusters.kind import docker_node, kind_installation, model_upload, required_images
from kserve_nb.clusters.kind.install_manifests import Manifests, cache_folder
from kserve_nb.clusters.kind.versions import installed, part, server_scikit_learn
from kserve_nb.clusters.publishing.model_claim import PublishedModel
from kserve_nb.clusters.publishing.model_package import ModelPackage
from kserve_nb.clusters.state import ClusterError, Record

MANIFESTS = Option("manifests", "A folder with the manifests to install.", Path, default="from the network")


def images(options: Mapping[str, Any]) -> Iterator[str]:
    """The versions and the images that a kind cluster needs; with --save they are also saved as archives."""
    gateway = options.get("gateway", "istio")
    yield "\n".join(f"# {name} {part(name).version}" for name in ("kind", "node"))
    yield "\n".join(f"# {each.name} {each.version}" for each in installed(gateway))
    found = required_images.required(Manifests(cache_folder(), options.get("manifests")).fetch_all(installed(gateway)))
    yield from found
    if options.get("save") is not None:
        for name in required_images.save(found, options["save"]):
            yield f"# saved {options['save'] / name}"


class KindBackend:
    """Clusters that kind creates in Docker, with cert-manager, Knative and KServe installed."""

    name = "kind"
    summary = "in this machine's Docker"
    options = (
        GATEWAY,
        INGRESS_PORT,
        MANIFESTS,
        Option("images", "A folder with archives of `docker save`, for a machine without a network.", Path,
               default="from the network"),
    )
    commands = (
        BackendCommand("images", "List the images and versions that a kind cluster needs.", images, (
            GATEWAY, MANIFESTS, Option("save", "Also save each image as an archive in this folder.", Path))),
    )
    side_by_side = False
    deleted = "deleted"

    def start(self, name: str, before: Record | None, namespace: str, options: Mapping[str, Any],
              notify: Notify) -> Record:
        """Create the cluster with KServe in it, or continue where an earlier start ended."""
        return kind_installation.install(name, before, namespace, options, notify)

    def stop(self, record: Record) -> None:
        """Stop the node's container; its objects stay in it."""
        docker_node.stop(record)

    def release(self, name: str, record: Record | None) -> None:
        """Delete the kind cluster that this record created. Another one of its name is left alone."""
        if record is not None:
            docker_node.delete(record)
        elif state.folder(name).exists() and docker_node.exists(name):
            raise docker_node.not_ours(name)

    def status(self, record: Record) -> Status:
        """Whether everything is installed and responds now: the webhooks to a dry run, the gateway to a request."""
        if step := kind_installation.missing(record):
            return Status("incomplete", False, f"{step} is not installed yet. Continue: "
                          f"kserve-nb up --cluster kind --name {record.name}")
        start = f"Start it: kserve-nb up --name {record.name}"
        try:
            node = docker_node.find(record.name)
            if node is None:
                return Status("gone", False, f"its node {docker_node.node_name(record.name)} was deleted. {start}")
            if not node[1]:
                return Status("stopped", False, f"its node is stopped. {start}")
            problem = kind_installation.problem(record)
        except ClusterError as error:
            return Status("unknown", False, str(error))
        return Status("running", not problem, problem)

    def usable(self, record: Record) -> bool:
        """Whether everything was installed, and the gateway answers now."""
        return not kind_installation.missing(record) and not kind_installation.ask_gateway(record)

    def settings(self, record: Record) -> Mapping[str, Any]:
        """The options with which the cluster was created."""
        return {"gateway": record.gateway, "ingress_port": int(record.ingress.rpartition(":")[2])}

    def describe(self, record: Record) -> str:
        """The form of its URLs."""
        return f"{record.gateway} URLs"

    def publish(self, record: Record, namespace: str, package: ModelPackage) -> PublishedModel:
        """Write the model into the volume of a claim."""
        return model_upload.publish(record, namespace, package)

    def scikit_learn(self, record: Record) -> str:
        """The version in KServe's image."""
        return server_scikit_learn()


BACKEND = KindBackend()
