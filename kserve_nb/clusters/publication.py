"""Publish a model: put its files where a cluster can read them, under a name and a version."""

from __future__ import annotations

import warnings
from typing import Any

from kserve_nb.clusters.lifecycle import existing
from kserve_nb.clusters.publishing.model_package import ModelWarning, package
from kserve_nb.clusters.registry import backend
from kserve_nb.clusters.state import ClusterError
from kserve_nb.values.cluster import Cluster


class ModelPublisher:
    """Publishes models for one namespace of a cluster: `lab.models`."""

    def __init__(self, cluster: Cluster):
        self._cluster = cluster

    def publish(self, model: Any, name: str) -> str:
        """Publish a model under a name and version, and return its storageUri. A published version never changes.

        To publish the same model again does nothing. The namespace is created if it does not exist.

        The model gets lists, so it must select columns by number: one that selects columns of a data frame by name
        fails. Text answers work in the v1 protocol only.

        >>> uri = lab.models.publish(classifier, "wine/v1")  # doctest: +SKIP
        >>> lab.rollout("wine").deploy(uri)  # doctest: +SKIP

        Args:
            model: a fitted scikit-learn estimator, or the path of its file (.joblib, .pkl, .pickle) or folder.
            name: NAME/VERSION, for example `wine/v1`.

        Raises:
            PublishError: the name is not valid, the model server could not load the model, another model has this
                name and version, or the cluster is attached, so that its storage is not known.
            ClusterError: the cluster is not running.

        Warns:
            ModelWarning: the model was saved with another scikit-learn version than the model server's, or needs
                modules that KServe's server does not have.
        """
        packed = package(model, name)
        record = existing(self._cluster.name)
        used = backend(record.cluster)
        if not used.usable(record):
            raise ClusterError(f"cluster {record.name!r} is not running. Start it: kserve-nb up --name {record.name}")
        uri = used.publish(record, self._cluster.namespace, packed)
        for doubt in packed.doubts(used.scikit_learn(record)):
            warnings.warn(doubt, ModelWarning, stacklevel=2)
        return uri
