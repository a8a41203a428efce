"""Kubeconfig files: the one we write for an embedded cluster, and a copy of one context of somebody else's."""

from __future__ import annotations

import base64
import os
from pathlib import Path
from typing import Any

import yaml

from kserve_nb.clusters.state import ClusterError

_EMBEDDED = ("certificate-authority", "client-certificate", "client-key")


def save(document: dict[str, Any], file: Path) -> None:
    """Write a kubeconfig that its owner alone can read."""
    draft = file.with_suffix(".tmp")
    with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as stream:
        yaml.safe_dump(document, stream, sort_keys=False)
    draft.replace(file)


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
    """One context of a kubeconfig, by itself: files it names are taken in, so that the copy stands alone.

    Raises:
        ClusterError: the file, the context, or what the context names is not there.
    """
    config = _read(source)
    wanted = context or config.get("current-context")
    chosen = _named(config, "contexts", "context", wanted, source)
    cluster = _named(config, "clusters", "cluster", chosen.get("cluster"), source)
    user = _named(config, "users", "user", chosen.get("user"), source) if chosen.get("user") else {}
    for part in (cluster, user):
        _take_files_in(part, source)
    return {
        "apiVersion": "v1", "kind": "Config", "current-context": wanted,
        "clusters": [{"name": chosen["cluster"], "cluster": cluster}],
        "users": [{"name": chosen["user"], "user": user}] if user else [],
        "contexts": [{"name": wanted, "context": {**chosen, "namespace": namespace}}],
    }


def contexts(source: Path) -> list[str]:
    """The names of the contexts in a kubeconfig; none where the file is not there."""
    config = _read(source) if source.exists() else {}
    return [str(entry.get("name")) for entry in config.get("contexts") or []]


def current_context(source: Path) -> str | None:
    """The context that a kubeconfig says is the current one."""
    return (_read(source) if source.exists() else {}).get("current-context")


def _read(source: Path) -> dict[str, Any]:
    try:
        config = yaml.safe_load(source.read_text())
    except (OSError, yaml.YAMLError) as error:
        raise ClusterError(f"kubeconfig {source} cannot be read: {error}") from None
    if not isinstance(config, dict):
        raise ClusterError(f"{source} is not a kubeconfig: it holds no mapping at its top level.")
    return config


def _named(config: dict[str, Any], many: str, one: str, name: str | None, source: Path) -> dict[str, Any]:
    entries = config.get(many) or []
    for entry in entries:
        if entry.get("name") == name:
            return dict(entry.get(one) or {})
    have = ", ".join(str(entry.get("name")) for entry in entries) or "none"
    raise ClusterError(f"kubeconfig {source} has no {one} {name!r}; it has: {have}.")


def _take_files_in(part: dict[str, Any], source: Path) -> None:
    for field in _EMBEDDED:
        if field in part:
            file = source.parent / part.pop(field)
            try:
                part[f"{field}-data"] = base64.b64encode(file.read_bytes()).decode()
            except OSError as error:
                raise ClusterError(
                    f"kubeconfig {source} names {file}, which cannot be read: {error.strerror}.") from None
    if "tokenFile" in part:
        part["tokenFile"] = str(source.parent / part["tokenFile"])
