"""Record the state of a cluster immediately after a notebook has failed, before the next one changes it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from kserve_nb.access.api_client import Client, RefusedError, Resource
from kserve_nb.runner.run_result import Diagnosis
from kserve_nb.values.cluster import Cluster

Diagnose = Callable[[Cluster, str], str]  # returns the doctor's report on a cluster and an error message
_EVENT = Resource("", "v1", "events")
_LAST = 30  # events


def record(cluster: Cluster, error: str, diagnose: Diagnose) -> Diagnosis:
    """The doctor's findings and the last events; if the cluster does not answer, the reason in place of the events."""
    try:
        events = Client(cluster).find_all(_EVENT)
    except (RefusedError, OSError, ValueError) as refused:
        return Diagnosis(diagnose(cluster, error), (f"Cannot read the events: {refused}",))
    return Diagnosis(diagnose(cluster, error), tuple(map(line, sorted(events, key=_when)[-_LAST:])))


def line(event: Mapping[str, Any]) -> str:
    """One event as `kubectl get events` prints it, with the time of day in place of the age."""
    about = event.get("involvedObject") or {}
    message = " ".join(str(event.get("message") or "").split())
    count = event.get("count") or 1
    often = f" (×{count})" if count > 1 else ""
    what = f"{str(about.get('kind', '')).lower()}/{about.get('name', '')}"
    return f"{_when(event)[11:19]}  {event.get('type', '')}  {event.get('reason', '')}  {what}  {message}{often}"


def _when(event: Mapping[str, Any]) -> str:
    created = (event.get("metadata") or {}).get("creationTimestamp")
    return str(event.get("lastTimestamp") or event.get("eventTime") or created or "")
