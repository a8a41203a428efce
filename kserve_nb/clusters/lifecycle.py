"""Start, stop and delete clusters of any kind. Each function holds the cluster's lock."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kserve_nb.clusters import state
from kserve_nb.clusters.backend import Notify, Option, Status
from kserve_nb.clusters.registry import DEFAULT, backend
from kserve_nb.clusters.state import ClusterError, Record


def start(name: str, kind: str | None = None, *, namespace: str = "kserve-test", notify: Notify = lambda _: None,
          **options: Any) -> Record:
    """Start the named cluster, resume it with its objects, or find it running; return when it can be used.

    Args:
        name: the cluster's name.
        kind: the kind of cluster; None for the kind that it has, or for an embedded one if there is none yet.
        namespace: the namespace of its kubeconfig's context.
        notify: receives lines about the progress.
        options: those of the backend's options that are given. None stands for the default.

    Raises:
        ClusterError: the cluster cannot be started, or it exists and has other settings.
    """
    given = {key: value for key, value in options.items() if value is not None}
    with state.lock(name):
        before = state.read(name)
        used = backend(kind or (before.cluster if before else DEFAULT))
        if before is not None:
            _must_be(before, used.name)
            _must_agree(name, {o.name: o for o in used.options}, used.settings(before), given)
        record = used.start(name, before, namespace, given, notify)
        state.note_use(name)
        return record


def stop(name: str) -> Record:
    """Stop the named cluster and keep its objects; `start` resumes it. Does nothing if it is stopped already."""
    with state.lock(name):
        record = existing(name)
        backend(record.cluster).stop(record)
        return record


def status(record: Record) -> Status:
    """Whether the cluster can be used now."""
    return backend(record.cluster).status(record)


def settings_for_copy(record: Record) -> dict[str, Any]:
    """The options that start another cluster like this one."""
    used = backend(record.cluster)
    unique = {option.name for option in used.options if option.unique}
    return {key: value for key, value in used.settings(record).items() if key not in unique}


def existing(name: str) -> Record:
    """The record of the named cluster. Raises ClusterError if there is none."""
    record = state.read(name)
    if record is None:
        raise ClusterError(f"cluster {name!r} is not running. Start it: kserve-nb up --name {name}")
    return record


def is_current(record: Record) -> bool:
    """Whether the cluster still has this record, after the command that changes it at this moment has ended."""
    with state.lock(record.name):
        return state.read(record.name) == record


def _must_be(record: Record, kind: str) -> None:
    if record.cluster != kind:
        raise ClusterError(
            f"Cannot start a cluster {record.name!r} of kind {kind}: there is one of kind {record.cluster}. "
            f"Choose another --name, or delete that cluster with its objects: kserve-nb down --name {record.name}")


def _must_agree(name: str, options: Mapping[str, Option], has: Mapping[str, Any], given: Mapping[str, Any]) -> None:
    for key, value in given.items():
        if key in has and has[key] != value:
            flag = options[key].flag
            raise ClusterError(
                f"Cluster {name!r} has {flag} {_text(has[key])}, not {_text(value)}. Leave {flag} out, choose another "
                f"--name, or delete that cluster with its objects: kserve-nb down --name {name}")


def _text(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
