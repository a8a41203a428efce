"""Kubeconfig files on disk: the one written for an embedded cluster, and a copy of one context of another file."""

from __future__ import annotations

import base64
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from kserve_nb.clusters import private_files
from kserve_nb.clusters.state import ClusterError
from kserve_nb.values import kubeconfig
from kserve_nb.values.kubeconfig import Kubeconfig

_FILE_FIELDS = ("certificate-authority", "client-certificate", "client-key")  # each has a twin that ends in -data


def save(document: dict[str, Any], file: Path) -> None:
    """Write a kubeconfig that only its owner can read."""
    private_files.write(file, yaml.safe_dump(document, sort_keys=False))


def document(name: str, server: str, certificate: bytes, token: str, namespace: str) -> dict[str, Any]:
    """The kubeconfig of an embedded cluster: one context, with the tutorial's namespace."""
    title = f"kserve-nb-{name}"
    cluster = {"server": server, "certificate-authority-data": base64.b64encode(certificate).decode()}
    return {
        "apiVersion": "v1", "kind": "Config", "current-context": title,
        "clusters": [{"name": title, "cluster": cluster}],
        "users": [{"name": title, "user": {"token": token}}],
        "contexts": [{"name": title, "context": {"cluster": title, "user": title, "namespace": namespace}}],
    }


def copy(source: Path, context: str | None, namespace: str) -> dict[str, Any]:
    """Return a kubeconfig document that contains one context of a kubeconfig file.

    The content of the certificate and key files that it names is included. Other relative paths become absolute.

    Args:
        source: the kubeconfig file.
        context: the name of the context; None for the current one.
        namespace: the namespace of the context in the copy.

    Raises:
        ClusterError: the file cannot be read, or it lacks the context or something that the context refers to.
    """
    config = read(source)
    try:
        chosen = config.context(context)
    except LookupError as error:
        raise ClusterError(f"Cannot use the kubeconfig {source}: {error.args[0]}") from None
    cluster, user = _with_file_contents(chosen.cluster, source), _with_file_contents(chosen.user, source)
    return {
        "apiVersion": "v1", "kind": "Config", "current-context": chosen.name,
        "clusters": [{"name": chosen.entry["cluster"], "cluster": cluster}],
        "users": [{"name": chosen.entry["user"], "user": user}] if chosen.entry.get("user") else [],
        "contexts": [{"name": chosen.name, "context": {**chosen.entry, "namespace": namespace}}],
    }


def read(source: Path) -> Kubeconfig:
    """The parsed file. Raises ClusterError if it cannot be read or is not a kubeconfig."""
    try:
        return kubeconfig.parse(source.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise ClusterError(f"Cannot read the kubeconfig {source}: {reason}.") from None


def read_if_present(source: Path) -> Kubeconfig:
    """The parsed file; an empty kubeconfig if there is no such file."""
    return read(source) if source.exists() else Kubeconfig({})


def _with_file_contents(entry: Mapping[str, Any], source: Path) -> dict[str, Any]:
    """A cluster or user entry that no longer depends on the folder of its kubeconfig."""
    copied, folder = dict(entry), source.absolute().parent
    for field in _FILE_FIELDS:
        if field in copied:
            file = folder / copied.pop(field)
            try:
                copied[f"{field}-data"] = base64.b64encode(file.read_bytes()).decode()
            except OSError as error:
                raise ClusterError(
                    f"Cannot read {file}, which the kubeconfig {source} names: {error.strerror}.") from None
    if "tokenFile" in copied:
        copied["tokenFile"] = str(folder / copied["tokenFile"])
    command = (copied.get("exec") or {}).get("command") or ""
    if os.sep in command:  # kubectl resolves it from the folder of the kubeconfig
        copied["exec"] = {**copied["exec"], "command": str(folder / command)}
    return copied
