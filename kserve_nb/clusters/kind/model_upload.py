"""Write a published model into a claim of a kind cluster, by a pod that runs as long as the upload takes."""

from __future__ import annotations

import base64
import secrets
from importlib.resources import files
from pathlib import Path

from kserve_nb.clusters.kind.settings import INITIALIZER_RESOURCES, Object
from kserve_nb.clusters.kind.tools import Kubectl, last_line
from kserve_nb.clusters.kind.versions import part
from kserve_nb.clusters.publishing import model_claim
from kserve_nb.clusters.publishing.model_claim import PublishedModel
from kserve_nb.clusters.publishing.model_package import ModelPackage, PublishError
from kserve_nb.clusters.state import Record

_FOLDER = "/models"
_WAIT_S, _UPLOAD_S = 180, 600


def publish(record: Record, namespace: str, package: ModelPackage) -> PublishedModel:
    """Create the claim in the namespace, and the namespace if necessary, and write the model into its volume."""
    pod = f"model-upload-{secrets.token_hex(4)}"
    kubectl = Kubectl(Path(record.kubeconfig))

    def run(*args: str, stdin: str | None = None, timeout_s: float = 60) -> str:
        done = kubectl.attempt(*args, stdin=stdin, timeout_s=timeout_s)
        if done.returncode:
            raise PublishError(f"Cannot publish {package.name}: `kubectl {args[0]}` failed: {last_line(done)}. See the "
                               f"events: kubectl get events -n {namespace} --sort-by=.lastTimestamp")
        return done.stdout

    found = run("get", "namespaces", "-o", "name").split()
    try:
        run("apply", "--server-side", "--force-conflicts", "-f", "-",
            stdin=model_claim.manifest(namespace, _pod(pod, namespace)))
        run("wait", f"pod/{pod}", "-n", namespace, "--for=condition=Ready", f"--timeout={_WAIT_S}s",
            timeout_s=_WAIT_S + 30)
        outcome = run("exec", "-i", pod, "-n", namespace, "--", "python", "-c", _script(), _FOLDER, package.name,
                      stdin=base64.b64encode(package.archive).decode(), timeout_s=_UPLOAD_S)
    finally:
        kubectl.attempt("delete", "pod", pod, "-n", namespace, "--ignore-not-found", "--wait=false")
    uri = model_claim.published(package, outcome.strip())
    return PublishedModel(uri, new_namespace=f"namespace/{namespace}" not in found)


def _pod(name: str, namespace: str) -> Object:
    """A pod with the claim's volume. Its image is on the node for the models already; the pod ends by itself."""
    container = {
        "name": "upload", "image": f"kserve/sklearnserver:v{part('kserve').version}",
        "command": ["sleep", str(_UPLOAD_S)], "resources": INITIALIZER_RESOURCES,
        "volumeMounts": [{"name": "models", "mountPath": _FOLDER}]}
    claim = {"name": "models", "persistentVolumeClaim": {"claimName": model_claim.CLAIM}}
    return {"apiVersion": "v1", "kind": "Pod",
            "metadata": {"name": name, "namespace": namespace, "labels": {"app.kubernetes.io/managed-by": "kserve-nb"}},
            "spec": {"containers": [container], "volumes": [claim], "restartPolicy": "Never",
                     "activeDeadlineSeconds": _UPLOAD_S, "terminationGracePeriodSeconds": 1}}


def _script() -> str:
    return (files("kserve_nb.clusters.publishing") / "model_volume.py").read_text()
