"""A cluster that is already there: a copy of one context of its kubeconfig, and the address of its ingress gateway."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kserve_nb.clusters import kubeconfig_files, state
from kserve_nb.clusters.state import ClusterError, Record
from kserve_nb.values.rollout_status import looks_like_production


def up(name: str, *, source: Path | None, context: str | None, ingress: str | None, namespace: str) -> Record:
    """Remember a cluster that somebody else runs. Idempotent; nothing is written to that cluster.

    Args:
        source: its kubeconfig; None for $KUBECONFIG, or ~/.kube/config.
        context: the context in it; None for its current one, unless that looks like production.
        ingress: HOST:PORT of the gateway that serves its InferenceServices; None to find it when it is used.

    Raises:
        ClusterError: there is no such context, it looks like production and was not named, or the name is taken.
    """
    found = source or default_source(os.environ, context)
    document = kubeconfig_files.copy(found, context, namespace)
    if context is None:
        _refuse_production(document, found)
    with state.lock(name):
        before = state.read(name)
        if before is not None and before.cluster != "attach":
            raise ClusterError(f"cluster {name!r} is up and {before.cluster}, not attached. "
                               f"End it first: kserve-nb down --name {name}; or use another --name.")
        place = state.folder(name)
        place.mkdir(parents=True, exist_ok=True, mode=0o700)
        kubeconfig_files.save(document, place / "kubeconfig")
        record = Record(name, "attach", str(place / "kubeconfig"), check_address(ingress) if ingress else "", namespace)
        state.write(record)
    return record


def default_source(environ: Mapping[str, str], context: str | None) -> Path:
    """The kubeconfig that kubectl would use: of several in $KUBECONFIG the one that has the context."""
    listed = [Path(entry).expanduser() for entry in environ.get("KUBECONFIG", "").split(os.pathsep) if entry]
    files = listed or [Path.home() / ".kube" / "config"]
    configs = {file: kubeconfig_files.read_if_present(file) for file in files}
    wanted = context or next(filter(None, (config.current_context for config in configs.values())), None)
    return next((file for file, config in configs.items() if wanted in config.context_names), files[0])


def check_address(text: str) -> str:
    """`HOST:PORT`, as it is. Raises ClusterError where it is anything else."""
    host, colon, port = text.rpartition(":")
    if not colon or not host or "/" in text or not port.isdigit() or not 0 < int(port) < 65536:
        raise ClusterError(f"--ingress {text!r} is not HOST:PORT (without a scheme), for example 127.0.0.1:8080.")
    return text


def _refuse_production(document: dict[str, Any], source: Path) -> None:
    """A current context is there by chance, an option by intent."""
    context = document["current-context"]
    names = {"context": context, "cluster": document["clusters"][0]["name"],
             "server": str(document["clusters"][0]["cluster"].get("server", ""))}
    for what, text in names.items():
        if looks_like_production(text):
            raise ClusterError(
                f"{context}: the current context of {source} looks like production (its {what} is {text!r}), and a "
                f"tutorial changes what users get. If you mean it, name it: --context {context}, or connect(context=…)")
