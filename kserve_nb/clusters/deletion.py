"""Delete a cluster: the only code that removes a cluster's folder."""

from __future__ import annotations

import contextlib
import secrets
import shutil
from pathlib import Path

from kserve_nb.clusters import process_identity, state
from kserve_nb.clusters.registry import backend, kinds
from kserve_nb.clusters.state import ClusterError, Record, RecordError


def delete(name: str, only: str | None = None) -> str:
    """Delete the named cluster with its objects; return the result in one word, or an empty text if there was none.

    Its processes and containers end first. If one of them is left, nothing is removed.

    Args:
        name: the cluster's name.
        only: the id of the cluster that is meant. Another cluster that has the name by now is left alone.

    Raises:
        ClusterError: something of the cluster is left; the message says what and why.
    """
    place = state.folder(name)
    with state.lock(name):
        _remove_remains(place)
        record = _read(name)
        if only is not None and (record is None or record.id != only):
            return ""
        there = place.exists() or place.is_symlink()
        for kind in [record.cluster] if record is not None else kinds():
            backend(kind).release(name, record)
        if not there:
            return ""
        _remove(place, record)
    return backend(record.cluster).deleted if record is not None else "deleted"


def delete_abandoned() -> None:
    """Delete the remains of killed commands: temporary clusters whose owner has ended, and unused lock files."""
    for name in state.names():
        with contextlib.suppress(ClusterError):  # another process deletes it too, or its record cannot be read
            record = state.read(name)
            if record is not None and record.temporary and record.owner is not None \
                    and not process_identity.is_running(record.owner, record.owner_started):
                delete(name, only=record.id)
    state.remove_unused_locks()


def _read(name: str) -> Record | None:
    """The record; None if it is damaged or lost. Raises RecordError if a newer version wrote it."""
    try:
        return state.read(name)
    except RecordError as error:
        if error.newer:
            raise
        return None


def _remove(place: Path, record: Record | None) -> None:
    """Remove the folder: rename it first, so that the name is free at once, then delete its files."""
    if place.is_symlink() and record is None:
        raise ClusterError(f"Cannot delete {place}: it is a symbolic link to {place.resolve()}, and there is no record "
                           "that says that a cluster is in it. Remove the link or that folder yourself.")
    with contextlib.suppress(OSError):  # a mount point cannot be renamed: it is emptied where it is
        place = place.rename(place.with_name(f".{place.name}.deleted-{secrets.token_hex(4)}"))
    _remove_tree(place)


def _remove_remains(place: Path) -> None:
    """Remove what an earlier deletion of a cluster of this name could not remove."""
    for path in place.parent.glob(f".{place.name}.deleted-*"):
        _remove_tree(path)


def _remove_tree(place: Path) -> None:
    """Remove the folder, or the link and the folder that it leads to. Raises ClusterError if something is left."""
    target = place.resolve()
    try:
        if target.exists():
            shutil.rmtree(target)
        if place.is_symlink():
            place.unlink()
    except OSError as error:
        raise ClusterError(
            f"Cannot delete {error.filename}: {error.strerror}. The cluster has stopped, and what is left of it is in "
            f"{target}. Make that file removable, then run `kserve-nb down` again.") from None
