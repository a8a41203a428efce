"""The files that `up` prepares in the folder of an embedded cluster: ports, token, certificate, kubeconfig."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from kserve_nb.clusters import kubeconfig_files, private_files
from kserve_nb.clusters.backend import Notify
from kserve_nb.clusters.embedded import certificate
from kserve_nb.clusters.ports import free_ports, unavailable
from kserve_nb.clusters.state import ClusterError, Record

STORE = "store.db"


def create(name: str, kind: str, folder: Path, namespace: str, options: Mapping[str, Any]) -> Record:
    """Create the folder of a new cluster with its certificate and kubeconfig, and return the cluster's record."""
    port = options.get("ingress_port")
    if port is not None and (why := unavailable(port)):
        raise ClusterError(f"Cannot use port {port} on 127.0.0.1: {why}. End the program that listens on it, or leave "
                           "--ingress-port out for a free port.")
    ports = free_ports(2, name)
    private_files.make_folder(folder)
    certificate.make(folder)
    record = Record(name, kind, str(folder / "kubeconfig"), f"127.0.0.1:{port or ports[0]}", namespace,
                    float(options.get("speed", 10)), options.get("gateway", "istio"), api_port=ports[1],
                    token=secrets.token_hex(16))
    _write_kubeconfig(record, folder)
    return record


def with_free_ports(record: Record, folder: Path, notify: Notify) -> Record:
    """Return the record of a stopped cluster, with a free port instead of each one that another program uses now."""
    ingress_port = int(record.ingress.rpartition(":")[2])
    changed = record
    if unavailable(ingress_port):
        changed = replace(changed, ingress=f"127.0.0.1:{free_ports(1)[0]}")
        notify(f"Another program uses port {ingress_port}: the ingress gateway is now at {changed.ingress}.")
    if unavailable(record.api_port):
        changed = replace(changed, api_port=free_ports(1)[0])
        notify(f"Another program uses port {record.api_port}: the API server is now at 127.0.0.1:{changed.api_port}. "
               "Notebooks that are open have to run connect() again.")
        _write_kubeconfig(changed, folder)
    return changed


def restore_kubeconfig(record: Record, folder: Path, notify: Notify) -> None:
    """Write the kubeconfig again if it was removed or damaged. Other changes of a user stay."""
    if not _leads_to(record, folder):
        _write_kubeconfig(record, folder)
        notify(f"The kubeconfig {record.kubeconfig} was missing or damaged. It was written again.")


def has_objects(folder: Path) -> bool:
    """Whether the folder has a store that is not empty. Only the API server finds out whether it can be read."""
    store = folder / STORE
    return store.exists() and store.stat().st_size > 0


def _leads_to(record: Record, folder: Path) -> bool:
    """Whether the kubeconfig has a context with the address, the certificate and the token of the cluster."""
    expected = _kubeconfig(record, folder)
    try:
        found = kubeconfig_files.read(Path(record.kubeconfig)).context(expected["current-context"])
    except (ClusterError, LookupError, TypeError, ValueError):
        return False
    cluster: dict[str, str] = expected["clusters"][0]["cluster"]
    user: dict[str, str] = expected["users"][0]["user"]
    return cluster.items() <= found.cluster.items() and user.items() <= found.user.items()


def _write_kubeconfig(record: Record, folder: Path) -> None:
    kubeconfig_files.save(_kubeconfig(record, folder), folder / "kubeconfig")


def _kubeconfig(record: Record, folder: Path) -> dict[str, Any]:
    return kubeconfig_files.document(record.name, f"https://127.0.0.1:{record.api_port}",
                                     (folder / "tls.crt").read_bytes(), record.token, record.namespace)
