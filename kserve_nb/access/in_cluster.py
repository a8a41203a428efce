"""The credentials of a pod: its ServiceAccount's token, as a kubeconfig that this package can read."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

import yaml

ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")


def kubeconfig(account: Path = ACCOUNT, environ: Mapping[str, str] | None = None) -> Path | None:
    """A new kubeconfig file with the credentials of the pod that this process runs in; None outside of a cluster.

    The file is removed when the process ends.
    """
    environ = os.environ if environ is None else environ
    host, port = environ.get("KUBERNETES_SERVICE_HOST"), environ.get("KUBERNETES_SERVICE_PORT", "443")
    if not host or not (account / "token").is_file():
        return None
    server = f"https://{f'[{host}]' if ':' in host else host}:{port}"
    namespace = account / "namespace"
    document = {
        "apiVersion": "v1", "kind": "Config", "current-context": "pod",
        "clusters": [{"name": "pod", "cluster": {"server": server, "certificate-authority": str(account / "ca.crt")}}],
        "users": [{"name": "pod", "user": {"tokenFile": str(account / "token")}}],
        "contexts": [{"name": "pod", "context": {
            "cluster": "pod", "user": "pod",
            "namespace": namespace.read_text().strip() if namespace.is_file() else "default"}}],
    }  # fmt: skip
    folder = Path(tempfile.mkdtemp(prefix="kserve-nb-"))  # only this user can read it
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    path = folder / "kubeconfig"
    path.write_text(yaml.safe_dump(document))
    return path
