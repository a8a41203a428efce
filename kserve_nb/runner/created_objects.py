"""Delete what a run of notebooks has created on a cluster that is kept, so that its models use no memory there."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from kserve_nb.access.api_client import INFERENCE_SERVICE, Client, RefusedError
from kserve_nb.values.cluster import Cluster


@contextmanager
def deleting_created(cluster: Cluster, echo: Callable[[str], object]) -> Iterator[None]:
    """After the block, delete the InferenceServices of the cluster's namespace that did not exist before it.

    Args:
        cluster: the cluster, with the namespace that the notebooks use.
        echo: receives the reason if they cannot be deleted.
    """
    try:
        before = _names(Client(cluster))
    except (RefusedError, OSError, ValueError):  # the notebooks will report it; what exists is unknown
        yield
        return
    try:
        yield
    finally:
        try:
            client = Client(cluster)
            for name in sorted(_names(client) - before):
                client.delete(INFERENCE_SERVICE, name)
        except (RefusedError, OSError, ValueError) as error:
            echo(f"Cannot delete the InferenceServices that the notebooks created in {cluster.namespace}: {error}")


def _names(client: Client) -> set[str]:
    return {str(item["metadata"]["name"]) for item in client.find_all(INFERENCE_SERVICE)}
