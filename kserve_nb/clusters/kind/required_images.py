"""The container images that a kind cluster with KServe needs, and how to install them without a network."""

from __future__ import annotations

import json
import platform
import re
import tarfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import yaml

from kserve_nb.clusters.kind import tools
from kserve_nb.clusters.kind.versions import part
from kserve_nb.clusters.state import ClusterError
from kserve_nb.values.text.yaml_loader import YamlLoader

_AT_A_TIME = 8  # requests for image sizes
_DIGEST = re.compile(r"(:[\w.-]+)?@sha256:([0-9a-f]{12})[0-9a-f]{52}")
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64", "arm64": "arm64"}


def required(manifests: Iterable[str]) -> tuple[str, ...]:
    """All images: of the node, of everything that these manifests install, and of the model pods."""
    version = part("kserve").version
    found = {f"kserve/sklearnserver:v{version}": None, f"kserve/storage-initializer:v{version}": None}
    for text in manifests:
        for document in yaml.load_all(text, Loader=YamlLoader):
            found |= dict.fromkeys(_images(document or {}))
    return (part("node").image, *sorted(found))


def _images(document: Mapping[str, Any]) -> Iterator[str]:
    kind, name = document.get("kind"), (document.get("metadata") or {}).get("name")
    if kind in ("Deployment", "StatefulSet", "DaemonSet", "Job"):
        spec = document["spec"]["template"]["spec"]
        for container in [*spec.get("containers", []), *spec.get("initContainers", [])]:
            yield container["image"]
    elif kind == "ConfigMap" and name == "config-deployment":
        yield document["data"]["queue-sidecar-image"]


def tag_of(image: str) -> str:
    """The image's name with a tag in place of a digest: `docker save` and `kind load` keep tags, but no digests.

    >>> tag_of("gcr.io/knative/activator@sha256:" + "0123456789ab" + 52 * "c")
    'gcr.io/knative/activator:sha256-0123456789ab'
    """
    return _DIGEST.sub(r":sha256-\2", image)


def with_tags(text: str) -> str:
    """A manifest with tags in place of digests."""
    return _DIGEST.sub(r":sha256-\2", text)


def download_size(images: Sequence[str]) -> int | None:
    """How many bytes these images are, compressed, by the registries' answers; None if one of them gave none."""
    with ThreadPoolExecutor(_AT_A_TIME) as pool:
        sizes = list(pool.map(_size, images))
    return None if None in sizes else sum(size for size in sizes if size is not None)


def _size(image: str) -> int | None:
    done = tools.run_container_program("manifest", "inspect", "--verbose", image)
    if done.returncode:
        return None
    try:
        found = json.loads(done.stdout)
        entries = found if isinstance(found, list) else [found]
        wanted = _ARCHITECTURES.get(platform.machine(), "amd64")
        entry = next((e for e in entries if e["Descriptor"].get("platform", {}).get("architecture") == wanted),
                     entries[0])
        manifest = entry.get("OCIManifest") or entry["SchemaV2Manifest"]
        return int(manifest["config"]["size"]) + sum(int(layer["size"]) for layer in manifest["layers"])
    except (ValueError, LookupError, TypeError, AttributeError):
        return None


def save(images: Sequence[str], folder: Path) -> Iterator[str]:
    """Pull the images and save each as an archive in the folder; yield the name of each archive."""
    folder.mkdir(parents=True, exist_ok=True)
    for image in images:
        file = folder / (re.sub(r"[^\w.-]+", "_", tag_of(image)) + ".tar")
        for command in (("pull", image), ("tag", image, tag_of(image)), ("save", "-o", str(file), tag_of(image))):
            done = tools.run_container_program(*command, timeout_s=1800)
            if done.returncode:
                raise ClusterError(f"Cannot save the image {image}: `{tools.container_program()} {command[0]}`: "
                                   f"{tools.last_line(done)}")
        yield file.name


def archives(folder: Path) -> dict[Path, tuple[str, ...]]:
    """The archives of `docker save` in a folder, each with the tags in it. Raises ClusterError if there is none."""
    found = {file: _tags(file) for file in sorted(folder.glob("*.tar"))}
    if not found:
        raise ClusterError(f"There is no archive *.tar in {folder}. Create them on a machine with a network: "
                           "kserve-nb kind images --save DIR")
    return found


def missing_from(found: Mapping[Path, tuple[str, ...]], images: Iterable[str]) -> list[str]:
    """The images that are in none of the archives."""
    have = {_full(tag) for tags in found.values() for tag in tags}
    return [tag_of(image) for image in images if _full(tag_of(image)) not in have]


def _full(tag: str) -> str:
    """The tag with registry and namespace, which Docker leaves out for its own registry."""
    first, slash, _ = tag.partition("/")
    if not slash:
        return f"docker.io/library/{tag}"
    return tag if "." in first or ":" in first or first == "localhost" else f"docker.io/{tag}"


def _tags(file: Path) -> tuple[str, ...]:
    try:
        with tarfile.open(file) as archive:
            index = archive.extractfile("manifest.json")
            rows = json.load(index) if index is not None else []
        return tuple(tag for row in rows for tag in row.get("RepoTags") or ())
    except (tarfile.TarError, KeyError, ValueError, OSError) as error:
        raise ClusterError(f"Cannot read {file}, which should be an archive of `docker save`: {error}.") from None
