"""What is to be seen on a cluster right after a notebook has failed, before the next one changes it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from kserve_nb.access.api_client import Client, RefusedError, Resource
from kserve_nb.runner.result import Aftermath
from kserve_nb.values.cluster import Cluster

Diagnose = Callable[[Cluster, str], str]  # what the doctor says of a cluster and of what a cell raised
_EVENT = Resource("", "v1", "events")
_LAST = 30  # events


def look(cluster: Cluster, error: str, diagnose: Diagnose) -> Aftermath:
    """The doctor's finding and the last events; a cluster that does not answer says so in their place."""
    try:
        events = Client(cluster).find_all(_EVENT)
    except (RefusedError, OSError, ValueError) as refused:
        return Aftermath(diagnose(cluster, error), (f"the events cannot be read: {refused}",))
    return Aftermath(diagnose(cluster, error), tuple(map(line, sorted(events, key=_when)[-_LAST:])))


def line(event: Mapping[str, Any]) -> str:
    """One event as `kubectl get events` shows it, with its time of day for its age."""
    about = event.get("involvedObject") or {}
    message = " ".join(str(event.get("message") or "").split())
    count = event.get("count") or 1
    often = f" (×{count})" if count > 1 else ""
    what = f"{str(about.get('kind', '')).lower()}/{about.get('name', '')}"
    return f"{_when(event)[11:19]}  {event.get('type', '')}  {event.get('reason', '')}  {what}  {message}{often}"


def _when(event: Mapping[str, Any]) -> str:
    created = (event.get("metadata") or {}).get("creationTimestamp")
    return str(event.get("lastTimestamp") or event.get("eventTime") or created or "")
