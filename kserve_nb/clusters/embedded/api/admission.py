"""What happens to an object on its way into the store: defaulting, the webhooks of KServe and Knative, validation."""

from __future__ import annotations

from typing import Literal

from kserve_nb.clusters.embedded.objects import Kind, Object, Objects


def admit(operation: Literal["CREATE", "UPDATE", "DELETE"], kind: Kind, new: Object, old: Object | None,
          objects: Objects) -> Object:
    """The object as it is stored. Raises StatusError where a real cluster would refuse it."""
    return new
