"""A cluster that is already there: a copy of one context of its kubeconfig, and the address of its ingress gateway."""

from __future__ import annotations

import os
from pathlib import Path

from kserve_nb.clusters import kubeconfig, state
from kserve_nb.clusters.state import ClusterError, Record


def up(name: str, *, source: Path | None, context: str | None, ingress: str | None, namespace: str) -> Record:
    """Remember a cluster that somebody else runs. Idempotent; nothing is written to that cluster.

    Args:
        source: its kubeconfig; None for $KUBECONFIG, or ~/.kube/config.
        context: the context in it; None for its current one.
        ingress: HOST:PORT of the gateway that serves its InferenceServices.
    """
    if ingress is None:
        raise ClusterError(
            "an attached cluster needs the address of its ingress gateway: --ingress HOST:PORT, for example "
            "--ingress 127.0.0.1:8080 after kubectl port-forward -n istio-system svc/istio-ingressgateway 8080:80")
    found = source or Path(os.environ.get("KUBECONFIG") or Path.home() / ".kube" / "config").expanduser()
    document = kubeconfig.copy(found, context, namespace)
    with state.lock(name):
        before = state.read(name)
        if before is not None and before.cluster != "attach":
            raise ClusterError(f"cluster {name!r} is up and {before.cluster}, not attached. "
                               f"End it first: kserve-nb down --name {name}; or use another --name.")
        place = state.folder(name)
        place.mkdir(parents=True, exist_ok=True, mode=0o700)
        kubeconfig.save(document, place / "kubeconfig")
        record = Record(name, "attach", str(place / "kubeconfig"), check_address(ingress), namespace)
        state.write(record)
    return record


def check_address(text: str) -> str:
    """`HOST:PORT`, as it is. Raises ClusterError where it is anything else."""
    host, colon, port = text.rpartition(":")
    if not colon or not host or "/" in text or not port.isdigit() or not 0 < int(port) < 65536:
        raise ClusterError(f"--ingress {text!r} is not HOST:PORT (without a scheme), for example 127.0.0.1:8080.")
    return text
