"""`connect`: the named cluster as notebooks use it, started or attached if necessary."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from kserve_nb.clusters import lifecycle, state
from kserve_nb.clusters.registry import DEFAULT, backend, kinds
from kserve_nb.clusters.state import Record
from kserve_nb.values.cluster import Cluster


def connect(kind: str | None = None, *, name: str | None = None, namespace: str = "kserve-test",
            **options: Any) -> Cluster:
    """The cluster of that name, started or attached if it is not in use yet.

    Args:
        kind: `embedded`, `kind` or `attach`. None or `auto`: the kind that takes the given options; without options
            the kind that the cluster has, or an embedded one if there is none.
        name: the cluster's name; $KSERVE_NB_NAME or `default` if not given.
        namespace: where the InferenceServices are.
        options: options of that kind of cluster, for example kubeconfig, context and ingress. None is not given.

    Raises:
        ClusterError: the cluster cannot be used; the message says why and what to do.
    """
    name = name or os.environ.get("KSERVE_NB_NAME") or "default"
    given = {key: value for key, value in options.items() if value is not None}
    record = state.read(name)
    wanted = _kind_for(given, record) if kind in (None, "auto") else str(kind)
    if record is None or record.cluster != wanted or given or not backend(wanted).usable(record):
        record = lifecycle.start(name, wanted, namespace=namespace, **given)
    state.note_use(name)
    return cluster_of(record, namespace)


def cluster_of(record: Record, namespace: str | None = None) -> Cluster:
    """The cluster as the rest of the package uses it: kubeconfig, ingress address, and facts for display."""
    return Cluster(kubeconfig=Path(record.kubeconfig), ingress=record.ingress, namespace=namespace or record.namespace,
                   kind=record.cluster, name=record.name, speed=record.speed, gateway=record.gateway)


def _kind_for(given: dict[str, Any], record: Record | None) -> str:
    """The first kind that takes all given options; the cluster's own kind and the default one come first."""
    candidates = ([record.cluster] if record else []) + [DEFAULT, *kinds()]
    takes = ((kind, {option.name for option in backend(kind).options}) for kind in candidates)
    return next((kind for kind, names in takes if names.issuperset(given)), candidates[0])
