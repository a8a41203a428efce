"""Clusters to learn on: embedded, in kind, or already there. Each is a kubeconfig and an ingress address."""

from __future__ import annotations

import os
from pathlib import Path

from kserve_nb.clusters import attach, state
from kserve_nb.clusters.state import ClusterError, Record
from kserve_nb.values.cluster import Cluster

__all__ = ["ClusterError", "connect"]


def connect(cluster: str | None = None, *, name: str | None = None, kubeconfig: str | Path | None = None,
            context: str | None = None, ingress: str | None = None, namespace: str = "kserve-test") -> Cluster:
    """The cluster of that name, started or attached where it is not up yet.

    Args:
        cluster: `embedded`, `kind` or `attach`; None or `auto` takes the named cluster as it is, attaches where a
            kubeconfig or context is given, and starts an embedded one otherwise.
        name: which of the clusters on this machine; $KSERVE_NB_NAME or `default` where not given.
        kubeconfig: attach: the file that tells how to reach it.
        context: attach: a context in that file, its current one where not given; one that looks like production must
            be named.
        ingress: attach: HOST:PORT of its gateway; found when it is used where not given.
        namespace: where the InferenceServices are.

    Raises:
        ClusterError: it cannot be reached; the message says why and what to do.
    """
    name = name or os.environ.get("KSERVE_NB_NAME") or "default"
    record = state.read(name)
    wanted = None if cluster in (None, "auto") else cluster
    if wanted is None:
        given = kubeconfig or context
        wanted = record.cluster if record and not given else "attach" if given else "embedded"
    if wanted == "attach":
        if record is None or any(given is not None for given in (kubeconfig, context, ingress)):
            source = Path(kubeconfig).expanduser() if kubeconfig else None
            record = attach.up(name, source=source, context=context, ingress=ingress, namespace=namespace)
        elif record.cluster != "attach":
            raise ClusterError(f"cluster {name!r} is up and is {record.cluster}, not attached: "
                               f"kserve-nb down --name {name} ends it.")
    elif wanted == "embedded":
        from kserve_nb.clusters.embedded import lifecycle  # an attached cluster needs none of it

        record = lifecycle.up(name, namespace=namespace)
    elif wanted == "kind":
        from kserve_nb.clusters import kind

        if record is None or record.cluster != "kind" or kind.missing(record):
            record = kind.up(name, namespace=namespace)
    else:
        raise ClusterError(
            f"there is no kind of cluster named {cluster!r}: say 'embedded', 'kind' or 'attach', or nothing.")
    return of(record, namespace)


def of(record: Record, namespace: str | None = None) -> Cluster:
    """What the learner's side gets of a record."""
    return Cluster(kubeconfig=Path(record.kubeconfig), ingress=record.ingress, namespace=namespace or record.namespace,
                   kind=record.cluster, name=record.name, speed=record.speed, gateway=record.gateway)
