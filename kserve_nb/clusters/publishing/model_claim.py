"""The PersistentVolumeClaim that keeps a namespace's published models, and the outcome of writing one into it."""

from __future__ import annotations

from collections.abc import Collection
from itertools import count
from typing import Any, NamedTuple

import yaml

from kserve_nb.clusters.publishing import model_volume
from kserve_nb.clusters.publishing.model_package import MOST_BYTES, ModelPackage, PublishError

CLAIM = "models"
_SIZE = f"{MOST_BYTES >> 30}Gi"
_MOST_LENGTH, _MOST_DIGITS = 63, 10  # characters of a version, and digits of the number at its end


class PublishedModel(NamedTuple):
    """The address of a published model."""

    uri: str
    new_namespace: bool = False  # whether its namespace did not exist and was created


class VersionTakenError(PublishError):
    """Another model has this name and version; `free` is the next version that does not exist."""

    def __init__(self, reason: str, free: str):
        super().__init__(f'{reason}lab.models.publish(model, "{free}").')
        self.reason, self.free = reason, free


def manifest(namespace: str, *more: dict[str, Any]) -> str:
    """The namespace and the claim as YAML, for a server-side apply, with further objects."""
    claim = {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": CLAIM, "namespace": namespace},
             "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": _SIZE}}}}
    objects = [{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}, claim, *more]
    return yaml.safe_dump_all(objects, sort_keys=False)


def published(package: ModelPackage, outcome: str) -> str:
    """The storageUri of a model that was written with this outcome.

    Raises:
        PublishError: another model has that name and version.
    """
    what, *taken = outcome.split()
    if what == model_volume.DIFFERENT:
        model, _, version = package.name.partition("/")
        raise VersionTakenError(
            f"Cannot publish {package.name}: another model was published under this name. A version never changes, "
            f"because pods that start later would silently get another model than those that run. Publish yours under "
            "a new version: ", f"{model}/{_free(version, taken)}")
    return f"pvc://{CLAIM}/{package.name}"


def _free(version: str, taken: Collection[str]) -> str:
    """The next version that does not exist: v3 after v1 if there is a v2, and best-2 after best."""
    stem = version.rstrip("0123456789")
    counted = 0 < len(version) - len(stem) < _MOST_DIGITS
    number, start = (int(version[len(stem):]), stem) if counted else (1, f"{version}-")
    names = (f"{start[:_MOST_LENGTH - len(str(n))]}{n}" for n in count(number + 1))
    return next(name for name in names if name not in taken)
