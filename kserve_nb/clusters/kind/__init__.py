"""A real KServe in Knative mode, in a kind cluster of our own: Kubernetes in a container of the learner's Docker."""

from kserve_nb.clusters.kind.lifecycle import down, missing, up

__all__ = ["down", "missing", "up"]
