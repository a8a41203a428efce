"""A container's files: a folder that stands for its `/`, in which each mount is a link to its volume."""

from __future__ import annotations

import contextlib
from pathlib import Path

from kserve_nb.clusters.embedded.objects import Object


def claim_folder(state: Path, namespace: str, claim: str) -> Path:
    """Where the files of a PersistentVolumeClaim are, below the cluster's state folder."""
    return state / "volumes" / namespace / claim


def root_of(container: Object, pod: Object, pod_folder: Path, state: Path) -> Path:
    """The container's root folder, made with its mounts if it is not there yet."""
    root = pod_folder / "root" / str(container["name"])
    volumes = {v["name"]: v for v in pod["spec"].get("volumes", [])}
    for mount in container.get("volumeMounts", []):
        volume = volumes.get(mount["name"])
        source = _source(volume, pod, pod_folder, state) if volume else None
        if source is not None:
            target = source / str(mount.get("subPath", "")).strip("/")
            with contextlib.suppress(OSError):  # a path of this machine that is not there: the container will say so
                target.mkdir(parents=True, exist_ok=True)
            _link(root / mount["mountPath"].strip("/"), target)
    root.mkdir(parents=True, exist_ok=True)
    return root


def _source(volume: Object, pod: Object, pod_folder: Path, state: Path) -> Path | None:
    """The folder of a volume; None for kinds that no process here reads (tokens, secrets, config maps)."""
    if "persistentVolumeClaim" in volume:
        return claim_folder(state, pod["metadata"]["namespace"], volume["persistentVolumeClaim"]["claimName"])
    if "emptyDir" in volume:
        return pod_folder / "volumes" / str(volume["name"])
    if "hostPath" in volume:
        return Path(volume["hostPath"]["path"])
    return None


def _link(at: Path, source: Path) -> None:
    at.parent.mkdir(parents=True, exist_ok=True)
    if not at.is_symlink():
        at.symlink_to(source, target_is_directory=True)
