"""Knative's rules for the volumes of a revision and for their mounts.

Source: knative serving 1.21 pkg/apis/serving/{k8s_validation,fieldmask}.go.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Iterator
from typing import Any

from kserve_nb.clusters.embedded.api.admission.knative.field_problems import (
    Problem,
    disallowed,
    invalid_value,
    missing,
    one_of,
    via,
)
from kserve_nb.clusters.embedded.api.admission.knative.knative_config import Features
from kserve_nb.clusters.embedded.apimachinery import quantity
from kserve_nb.clusters.embedded.apimachinery.objects import Object
from kserve_nb.values import dns_names

_CLAIMS, _CLAIM_WRITES = "kubernetes.podspec-persistent-volume-claim", "kubernetes.podspec-persistent-volume-write"
_PROPAGATION = "kubernetes.podspec-volumes-mount-propagation"
_OPTIONAL_SOURCES = {  # source: its feature flag, and its name in messages
    "emptyDir": ("kubernetes.podspec-volumes-emptydir", "EmptyDir"),
    "hostPath": ("kubernetes.podspec-volumes-hostpath", "HostPath"),
    "csi": ("kubernetes.podspec-volumes-csi", "CSI"),
    "image": ("kubernetes.podspec-volumes-image", "Image")}
_FLAGS = {"persistentVolumeClaim": _CLAIMS} | {source: flag for source, (flag, _) in _OPTIONAL_SOURCES.items()}
_SOURCES = ("secret", "configMap", "projected", "emptyDir", "persistentVolumeClaim", "hostPath", "csi", "image")
_PROJECTIONS = ("secret", "configMap", "serviceAccountToken", "downwardAPI")
_RESERVED_PATHS = ("/", "/dev", "/dev/log")


def volume_problems(volumes: list[Object], mounted: Iterable[Any], features: Features) -> Iterator[Problem]:
    """The problems of a list of volumes (`ValidateVolumes`)."""
    names: set[Any] = set()
    for index, volume in enumerate(volumes):
        name, at = volume.get("name"), f"[{index}]"
        if name in names:
            yield Problem(f'duplicate volume name "{name}"', f"{at}.name")
        if name not in mounted:
            yield Problem(f'volume with name "{name}" not mounted', f"{at}.name")
        names.add(name)
        yield from via(at, _volume_problems(volume, features))


def mount_problems(mounts: list[Object], volumes: dict[Any, Object], features: Features) -> Iterator[Problem]:
    """The problems of a container's mounts (`validateVolumeMounts`)."""
    paths: set[str] = set()
    for index, mount in enumerate(mounts):
        yield from via(f"[{index}]", _mount_problems(mount, volumes, paths, features))


def _volume_problems(volume: Object, features: Features) -> Iterator[Problem]:
    name = volume.get("name")
    if not name:
        yield from missing("name")
    elif any(dns_names.label_errors(name)):
        yield invalid_value(name, "name")
    else:
        yield from _disabled_sources(volume, features)
    given = [source for source in _SOURCES if volume.get(source) is not None]
    yield from disallowed(*(source for source in given
                            if source in _FLAGS and not features.allowed(_FLAGS[source])))
    for source in ("secret", "configMap"):
        for index, item in enumerate((volume.get(source) or {}).get("items") or []):
            yield from via(f"items[{index}]", _item_problems(item))
    for index, projection in enumerate((volume.get("projected") or {}).get("sources") or []):
        yield from via(f"projected[{index}]", _projection_problems(projection))
    yield from via("emptyDir", _empty_dir_problems(volume.get("emptyDir") or {}))
    if volume.get("image") is not None:
        yield from via("image", _image_problems(volume["image"]))
    choices = [source for source in _SOURCES if source not in _FLAGS or features.enabled(_FLAGS[source])]
    yield from one_of(given, choices)


def _disabled_sources(volume: Object, features: Features) -> Iterator[Problem]:
    claim = volume.get("persistentVolumeClaim")
    if claim is not None:
        found = f"but found persistent volume claim {claim.get('claimName', '')}"
        if not features.enabled(_CLAIMS):
            yield Problem(f"Persistent volume claim support is disabled, {found}")
        if not claim.get("readOnly") and not features.enabled(_CLAIM_WRITES):
            yield Problem(f"Persistent volume write support is disabled, {found} that is not read-only")
    for source, (flag, title) in _OPTIONAL_SOURCES.items():
        if volume.get(source) is not None and not features.enabled(flag):
            yield Problem(f"{title} volume support is disabled, but found {title} volume {volume['name']}")


def _projection_problems(projection: Object) -> Iterator[Problem]:
    given = [source for source in _PROJECTIONS if projection.get(source) is not None]
    yield from disallowed(*(source for source in projection if source not in _PROJECTIONS))
    for source in ("secret", "configMap"):
        if source in given:
            if not projection[source].get("name"):
                yield from via(source, missing("name"))
            for index, item in enumerate(projection[source].get("items") or []):
                yield from via(f"{source}.items[{index}]", _item_problems(item))
    if "serviceAccountToken" in given and not projection["serviceAccountToken"].get("path"):
        yield from via("serviceAccountToken", missing("path"))
    for index, item in enumerate((projection.get("downwardAPI") or {}).get("items") or []):
        yield from via(f"downwardAPI.items[{index}]", _downward_problems(item))
    yield from one_of(given, _PROJECTIONS)


def _downward_problems(item: Object) -> Iterator[Problem]:
    references = [field for field in ("fieldRef", "resourceFieldRef") if item.get(field) is not None]
    if not references:
        yield from one_of((), ("fieldRef", "resourceFieldRef"))
    if len(references) > 1:
        yield from (Problem("Within a single item, cannot set both", field) for field in references)
    if not item.get("path"):
        yield from missing("path")


def _item_problems(item: Object) -> Iterator[Problem]:
    yield from missing(*(field for field in ("key", "path") if not item.get(field)))


def _empty_dir_problems(source: Object) -> Iterator[Problem]:
    if source.get("medium") not in (None, "", "Memory"):
        yield invalid_value(source["medium"], "medium")
    size = source.get("sizeLimit")
    if size is not None and quantity.parse(size) < 0:
        yield invalid_value(size, "sizeLimit")


def _image_problems(source: Object) -> Iterator[Problem]:
    if not source.get("reference"):
        yield from missing("reference")
    if source.get("pullPolicy") not in (None, "", "IfNotPresent", "Always", "Never"):
        yield invalid_value(source["pullPolicy"], "pullPolicy")


def _mount_problems(mount: Object, volumes: dict[Any, Object], paths: set[str],
                    features: Features) -> Iterator[Problem]:
    volume = volumes.get(mount.get("name"))
    if mount.get("mountPropagation") is not None and not features.allowed(_PROPAGATION):
        yield from disallowed("mountPropagation")
    if volume is None:
        yield Problem("volumeMount has no matching volume", "name")
    yield from _path_problems(mount.get("mountPath") or "", paths)
    claim = (volume or {}).get("persistentVolumeClaim")
    if (volume or {}).get("emptyDir") is None and claim is None and not mount.get("readOnly"):
        yield Problem("volume mount should be readOnly for this type of volume", "readOnly")
    yield from _propagation_problems(mount, features)
    if (claim or {}).get("readOnly") and not mount.get("readOnly"):
        yield Problem("volume is readOnly but volume mount is not", "readOnly")


def _path_problems(path: str, paths: set[str]) -> Iterator[Problem]:
    clean = posixpath.normpath(path) if path else "."
    if not path:
        yield from missing("mountPath")
    elif clean in _RESERVED_PATHS:
        yield Problem(f'mountPath "{clean}" is a reserved path', "mountPath")
    elif not path.startswith("/"):
        yield invalid_value(path, "mountPath")
    elif clean in paths:
        yield invalid_value(f'"{path}" must be unique', "mountPath")
    paths.add(clean)


def _propagation_problems(mount: Object, features: Features) -> Iterator[Problem]:
    propagation = mount.get("mountPropagation")
    if propagation is None:
        return
    if not features.enabled(_PROPAGATION):
        yield Problem("Volume Mount Propagation support is disabled, but found volume mount "
                      f"{mount.get('name', '')} with mount propagation")
    if propagation not in ("None", "HostToContainer"):
        yield Problem("mount propagation should be set to None or HostToContainer", "mountPropagation")
