"""The additional data in the record of a kind cluster: its container, and the installation steps that are done."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import replace

from kserve_nb.clusters import state
from kserve_nb.clusters.state import Record

CREATING = "creating"  # in place of the container's id while `kind create cluster` runs


def container(record: Record) -> str:
    """Docker's id of the container that is the node; it tells our cluster from another one of its name."""
    return str(record.details.get("container", ""))


def steps_done(record: Record) -> tuple[str, ...]:
    """The names of the installation steps that are done."""
    return tuple(record.details.get("steps", ()))


def save(record: Record, container: str, steps: Sequence[str] = ()) -> Record:
    """Store the record with this container and these steps; return it."""
    changed = replace(record, details={**record.details, "container": container, "steps": list(steps)})
    state.write(changed)
    return changed


def discard(record: Record) -> None:
    """Remove the record of a cluster that kind could not create: there is nothing to resume or to delete."""
    folder = state.folder(record.name)
    (folder / "kubeconfig").unlink(missing_ok=True)
    state.remove(record.name)
    with contextlib.suppress(OSError):  # it has other files
        folder.rmdir()
