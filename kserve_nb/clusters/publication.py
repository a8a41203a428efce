"""Publish a model: put its files where a cluster can read them, under a name and a version."""

from __future__ import annotations

import warnings
from typing import Any

from kserve_nb.clusters.lifecycle import existing
from kserve_nb.clusters.publishing.model_package import ModelWarning, PublishError, package
from kserve_nb.clusters.registry import backend
from kserve_nb.clusters.state import ClusterError
from kserve_nb.values import dns_names
from kserve_nb.values.cluster import Cluster


class NamespaceWarning(UserWarning):
    """A model was published into a namespace that did not exist before."""


class ModelPublisher:
    """Publishes models for one namespace of a cluster: `lab.models`."""

    def __init__(self, cluster: Cluster):
        self._cluster = cluster

    def publish(self, model: Any, name: str) -> str:
        """Publish a model under a name and version, and return its storageUri. A published version never changes.

        To publish the same model again does nothing. A namespace that does not exist is created, with a warning.

        Use the address as it is: if its folder does not exist, KServe reports the InferenceService as ready, and each
        prediction is answered with 404. The doctor names that folder (L01).

        The model gets lists, so it must select columns by number: one that selects columns of a data frame by name
        fails. Text answers work in the v1 protocol only.

        >>> uri = lab.models.publish(classifier, "wine/v1")  # doctest: +SKIP
        >>> lab.rollout("wine").deploy(uri)  # doctest: +SKIP

        Args:
            model: a fitted scikit-learn estimator, or the path of its file (.joblib, .pkl, .pickle) or folder.
            name: NAME/VERSION, for example `wine/v1`.

        Raises:
            PublishError: the name or the namespace is not valid, the model server could not load the model, another
                model has this name and version, or the cluster is attached, so that its storage is not known.
            ClusterError: the cluster is not running.

        Warns:
            NamespaceWarning: the namespace did not exist, and was created.
            ModelWarning: the model was saved with another scikit-learn version than the model server's, or needs
                modules that KServe's server does not have.
        """
        namespace = check_namespace(self._cluster.namespace)
        packed = package(model, name)
        record = existing(self._cluster.name)
        used = backend(record.cluster)
        if not used.usable(record):
            raise ClusterError(f"cluster {record.name!r} is not running. Start it: kserve-nb up --name {record.name}")
        published = used.publish(record, namespace, packed)
        if published.new_namespace:
            warnings.warn(f"namespace {namespace} did not exist in cluster {record.name!r}, and was created for "
                          f"{name}. If its name is misspelled, delete it: kubectl delete namespace {namespace}",
                          NamespaceWarning, stacklevel=2)
        for doubt in packed.doubts(used.scikit_learn(record)):
            warnings.warn(doubt, ModelWarning, stacklevel=2)
        return published.uri


def check_namespace(name: Any) -> str:
    """Return the name of a namespace. Raises PublishError, with Kubernetes' reason, if it is not valid."""
    if problem := dns_names.problem("a namespace", name, dns_names.label_errors):
        raise PublishError(f"{problem}Use the namespace of your InferenceServices, for example kserve-test.")
    return str(name)
