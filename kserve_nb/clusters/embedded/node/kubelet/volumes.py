"""A container's files: a folder that represents its `/`, with a link for each mount to the folder of its volume."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from pathlib import Path

from kserve_nb.clusters.embedded.apimachinery.objects import Object


class VolumeError(Exception):
    """A mount of a container cannot be prepared; the message is the kubelet's."""


@dataclass(frozen=True)
class Mount:
    """A folder outside of the container's root that its process may read, or also write."""

    source: Path
    read_only: bool


def claim_folder(state: Path, namespace: str, claim: str) -> Path:
    """Return the folder with the files of a PersistentVolumeClaim. Raises VolumeError if the name leaves its parent."""
    return _inside(state / "volumes" / namespace, claim, f'persistentvolumeclaim "{claim}" not found')


def prepare(container: Object, pod: Object, pod_folder: Path, state: Path) -> tuple[Path, list[Mount]]:
    """Create the container's root folder with its mounts, if necessary. Returns the folder and the mounts.

    Raises VolumeError if a path leaves the container's root or its volume. `state` is the cluster's state folder.
    """
    root = _inside(pod_folder / "root", str(container["name"]), f'invalid container name "{container["name"]}"')
    root.mkdir(mode=0o700, parents=True, exist_ok=True)
    volumes = {v["name"]: v for v in pod["spec"].get("volumes", [])}
    mounts = []
    for mount in container.get("volumeMounts", []):
        volume = volumes.get(mount["name"])
        source = _source(volume, pod, pod_folder, state) if volume else None
        if source is None:
            continue
        problem = f'failed to prepare subPath for volumeMount "{mount["name"]}" of container "{container["name"]}"'
        target = _inside(source, str(mount.get("subPath", "")).strip("/"), problem)
        if not target.resolve().is_relative_to(source.resolve()):  # a link in the volume
            raise VolumeError(problem)
        with contextlib.suppress(OSError):  # for example a file where a folder should be: the container reports it
            target.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = str(mount["mountPath"])
        problem = f'invalid mount path "{path}" of container "{container["name"]}"'
        _link(_inside(root, path.strip("/"), problem), target, pod_folder, problem)
        mounts.append(Mount(target, bool(mount.get("readOnly"))))
    return root, mounts


def _source(volume: Object, pod: Object, pod_folder: Path, state: Path) -> Path | None:
    """The folder of a volume; None for kinds that no process reads here (tokens, secrets, config maps)."""
    if "persistentVolumeClaim" in volume:
        claim = str(volume["persistentVolumeClaim"]["claimName"])
        return claim_folder(state, str(pod["metadata"]["namespace"]), claim)
    if "emptyDir" in volume:
        name = str(volume["name"])
        return _inside(pod_folder / "volumes", name, f'invalid volume name "{name}"')
    if "hostPath" in volume:
        raise VolumeError(f'volume "{volume["name"]}" is a hostPath: pods of an embedded cluster do not read files of '
                          "this machine. Use a persistentVolumeClaim")
    return None


def _inside(folder: Path, path: str, problem: str) -> Path:
    """Return `path` below `folder`. Raises VolumeError with `problem` if it is not below, or no path at all."""
    if ".." in Path(path).parts or Path(path).is_absolute() or "\0" in path:
        raise VolumeError(problem)
    return folder / path


def _link(at: Path, source: Path, pod_folder: Path, problem: str) -> None:
    """Link a mount to its volume. Raises VolumeError with `problem` if the place is outside of the pod's folder."""
    if not at.parent.resolve().is_relative_to(pod_folder.resolve()):
        raise VolumeError(problem)
    at.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if at.is_symlink() and at.readlink() != source:  # the container has replaced it
        at.unlink()
    if not at.is_symlink():
        at.symlink_to(source, target_is_directory=True)


def local_models(pod: Object, state: Path) -> list[Path]:
    """Return the files and folders of this machine that the pod's storage URIs name.

    Pods may read them, unless they contain the cluster's state folder or are part of it: it holds credentials.
    """
    uris = [uri for container in pod["spec"].get("initContainers", []) for uri in container.get("args", [])[::2]]
    paths = [Path(uri.removeprefix("file://")) for uri in uris if uri.startswith("file://") or "://" not in uri]
    own = state.resolve()
    return [path for path in paths if path.is_absolute() and not own.is_relative_to(path.resolve())
            and not path.resolve().is_relative_to(own)]
