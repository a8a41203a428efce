"""How KServe provides models to pods: an init container that downloads them, or the volume of a claim.

Sources: kserve pkg/webhook/admission/pod/storage_initializer_injector.go (`GetStorageContainerSpec`,
`CommonStorageInitialization`), pkg/utils/storage.go, pkg/utils/container_merge.go.
"""

from __future__ import annotations

import copy
import os.path
import re
from collections.abc import Iterable, Mapping, Sequence

from kserve_nb.clusters.embedded.apimachinery import strategic_merge
from kserve_nb.clusters.embedded.apimachinery.objects import Object

SERVER, TRANSFORMER, INITIALIZER = "kserve-container", "transformer-container", "storage-initializer"
MODEL_PATH = "/mnt/models"
_MODEL_VOLUME, _CLAIM_VOLUME = "kserve-provision-location", "kserve-pvc-source"
_HUGGING_FACE = {"HF_HUB_ENABLE_HF_TRANSFER": "1", "HF_XET_HIGH_PERFORMANCE": "1",
                 "HF_XET_NUM_CONCURRENT_RANGE_GETS": "8"}


def merge_containers(base: Object, overlay: Object) -> Object:
    """The overlay merged into the base by strategic merge patch (`MergeContainerWithPatch`).

    An environment variable gets the overlay's `value` or `valueFrom`, never both.
    """
    merged = strategic_merge.merge(copy.deepcopy(base), copy.deepcopy(overlay))
    given = {variable["name"]: variable for variable in overlay.get("env") or []}
    for variable in merged.get("env") or []:
        if variable.get("value") and variable.get("valueFrom") and variable["name"] in given:
            variable.pop("value" if given[variable["name"]].get("valueFrom") else "valueFrom")
    return merged


def find_storage_container(uri: str, name: str | None, containers: Iterable[Object]) -> Object | None:
    """The spec of the ClusterStorageContainer with that name, or for that URI. Raises ValueError for an unusable name.

    >>> containers = [{"metadata": {"name": "s3"}, "spec": {"supportedUriFormats": [{"prefix": "s3://"}]}}]
    >>> find_storage_container("gs://bucket/model", None, containers) is None
    True
    """
    by_name = {c["metadata"]["name"]: c for c in containers}
    if name:
        return _named_container(uri, name, by_name.get(name))
    for container in by_name.values():
        if not container.get("disabled") and _kind_of_workload(container) and supports(container["spec"], uri):
            spec: Object = container["spec"]
            return spec
    return None


def _named_container(uri: str, name: str, container: Object | None) -> Object:
    if container is None:
        raise ValueError(f'ClusterStorageContainer "{name}" not found')
    if container.get("disabled"):
        raise ValueError(f'ClusterStorageContainer "{name}" is disabled')
    spec: Object = container["spec"]
    if not _kind_of_workload(container):
        raise ValueError(f'ClusterStorageContainer "{name}" has workloadType "{spec.get("workloadType")}"; '
                         'explicit selection requires "initContainer"')
    if not supports(spec, uri):
        raise ValueError(f'ClusterStorageContainer "{name}" does not support storageUri "{uri}"')
    return spec


def _kind_of_workload(container: Object) -> bool:
    return bool(container["spec"].get("workloadType", "initContainer") == "initContainer")


def supports(container_spec: Object, uri: str) -> bool:
    """Whether a ClusterStorageContainer supports a URI (`IsStorageUriSupported`)."""
    for known in container_spec.get("supportedUriFormats") or []:
        prefix, regex = known.get("prefix"), known.get("regex")
        if (prefix and uri.startswith(prefix)) or (not prefix and regex and re.search(regex, uri)):
            return True
    return False


def provide_model(spec: Object, uri: str, container_spec: Object | None, config: Mapping[str, str], *,
                  read_only: bool) -> None:
    """Add one model to a pod spec, at /mnt/models.

    Args:
        container_spec: the ClusterStorageContainer for the URI.
        config: `storageInitializer` of KServe's configuration.
        read_only: whether the model server may not write to the model.
    """
    if uri.startswith("pvc://"):
        claim, _, path = uri.removeprefix("pvc://").partition("/")
        volume: Object = {"name": _CLAIM_VOLUME, "persistentVolumeClaim": {"claimName": claim}}
        mount: Object = {"mountPath": MODEL_PATH, "name": _CLAIM_VOLUME} | ({"subPath": path} if path else {})
    else:
        volume = {"name": _MODEL_VOLUME, "emptyDir": {}}
        mount = {"mountPath": MODEL_PATH, "name": _MODEL_VOLUME}
        _add_initializer(spec, [uri, MODEL_PATH], mount, container_spec, config)
    _mount(spec, volume, mount, read_only=read_only)
    for container in spec["containers"]:
        if container["name"] == SERVER:
            for variable in container.get("env") or []:
                if variable["name"] == "STORAGE_URI" and variable.get("value"):
                    variable["value"] = MODEL_PATH


def provide_models(spec: Object, sources: Sequence[tuple[str, str]], container_spec: Object | None,
                   config: Mapping[str, str], *, read_only: bool) -> None:
    """Add several models to a pod spec, each URI at its own path (`spec.predictor.storageUris`)."""
    for uri, path in sources:
        if uri.startswith("pvc://"):
            volume: Object = {"name": _volume_name(path), "persistentVolumeClaim": {
                "claimName": uri.removeprefix("pvc://").partition("/")[0]}}
            _mount(spec, volume, {"mountPath": path, "name": volume["name"]}, read_only=read_only)
    downloads = [(uri, path) for uri, path in sources if not uri.startswith("pvc://")]
    if downloads:
        parent = os.path.commonpath([path for _, path in downloads])
        mount: Object = {"mountPath": parent, "name": _volume_name(parent)}
        _add_initializer(spec, [part for pair in downloads for part in pair], mount, container_spec, config)
        _mount(spec, {"name": mount["name"], "emptyDir": {}}, mount, read_only=read_only)


def _volume_name(path: str) -> str:
    return path.strip("/").replace("/", "-")


def _add_initializer(spec: Object, args: list[str], mount: Object, container_spec: Object | None,
                     config: Mapping[str, str]) -> None:
    initializer: Object = {
        "name": INITIALIZER, "image": config.get("image") or "kserve/storage-initializer:latest", "args": args,
        "terminationMessagePolicy": "FallbackToLogsOnError", "volumeMounts": [dict(mount)],
        "resources": {
            "limits": {"cpu": config.get("cpuLimit", "1"), "memory": config.get("memoryLimit", "1Gi")},
            "requests": {"cpu": config.get("cpuRequest", "100m"), "memory": config.get("memoryRequest", "100Mi")}}}
    if container_spec is not None:
        initializer = merge_containers(initializer, container_spec["container"])
    variables = initializer.setdefault("env", [])
    known = {variable["name"] for variable in variables}
    variables += [{"name": name, "value": value} for name, value in _HUGGING_FACE.items() if name not in known]
    spec["initContainers"] = [*(spec.get("initContainers") or []), initializer]


def _mount(spec: Object, volume: Object, mount: Object, *, read_only: bool) -> None:
    """Mount a volume into the model server and a transformer beside it (`AddModelMount`)."""
    for container in spec["containers"]:
        if container["name"] in (SERVER, TRANSFORMER):
            mounts = container.setdefault("volumeMounts", [])
            if all(known["name"] != mount["name"] for known in mounts):
                mounts.append(mount | ({"readOnly": True} if read_only else {}))
    volumes = spec.setdefault("volumes", [])
    if all(known["name"] != volume["name"] for known in volumes):
        volumes.append(volume)
