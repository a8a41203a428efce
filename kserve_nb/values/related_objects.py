"""Which Knative Service, and which events, belong to an InferenceService.

The name of the Service follows from the InferenceService's only in simple cases: KServe 0.10 appends `-default`,
`spec.predictor.name` takes part in it, and long names are shortened.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from kserve_nb.values.labels import INFERENCE_SERVICE_LABEL

Object = Mapping[str, Any]


def predictor_service(services: Iterable[Object], name: str) -> dict[str, Any] | None:
    """The Knative Service of an InferenceService's predictor: by owner, else by label; None if there is none.

    >>> owner = {"kind": "InferenceService", "name": "iris"}
    >>> blue = {"metadata": {"name": "iris-blue-predictor", "ownerReferences": [owner]}}
    >>> predictor_service([blue], "iris")["metadata"]["name"]
    'iris-blue-predictor'
    """
    predictors = [
        service for service in services if _labels(service).get("component", "predictor") == "predictor"
    ]
    owned = [service for service in predictors if _owned_by(service, name)]
    labelled = [service for service in predictors if _labels(service).get(INFERENCE_SERVICE_LABEL) == name]
    return next((dict(service) for service in (*owned, *labelled)), None)


def event_is_about(event: Object, name: str, service: Object | None) -> bool:
    """Whether an event is about the InferenceService, its Knative Service, or what belongs to that."""
    involved = (event.get("involvedObject") or {}).get("name") or ""
    prefix = service["metadata"]["name"] if service else f"{name}-predictor"
    return bool(involved == name or involved.startswith(prefix))


def _owned_by(service: Object, name: str) -> bool:
    owners = service["metadata"].get("ownerReferences") or []
    return any(owner.get("kind") == "InferenceService" and owner.get("name") == name for owner in owners)


def _labels(service: Object) -> Mapping[str, Any]:
    labels: Mapping[str, Any] = service["metadata"].get("labels") or {}
    return labels
