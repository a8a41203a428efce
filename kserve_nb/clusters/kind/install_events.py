"""Which event explains why the pods of a namespace are not ready. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

Object = Mapping[str, Any]


def newest_warning(events: Iterable[Object], pods: Iterable[Object], since: datetime) -> str:
    """`NAME: MESSAGE` of the newest warning that still matters; empty if there is none.

    Args:
        events: the events of the namespace.
        pods: its pods. Warnings about a pod that is ready or gone are resolved.
        since: warnings before this time are left out.
    """
    names = {pod["metadata"]["name"]: _is_ready(pod) for pod in pods}
    found = [event for event in events if event.get("type") == "Warning" and _time(event) >= since
             and _is_unresolved(event.get("involvedObject") or {}, names)]
    if not found:
        return ""
    newest = max(found, key=_time)
    return f"{newest['involvedObject'].get('name')}: {' '.join(str(newest.get('message', '')).split())}"


def _is_unresolved(about: Object, pods: Mapping[str, bool]) -> bool:
    """Whether the object of an event still has a problem. An owner of pods has one until all of them are ready."""
    name = str(about.get("name", ""))
    if about.get("kind") == "Pod":
        return name in pods and not pods[name]
    own = [ready for pod, ready in pods.items() if pod.startswith(f"{name}-")]
    return not own or not all(own)


def _is_ready(pod: Object) -> bool:
    status = pod.get("status") or {}
    conditions = {row["type"]: row["status"] for row in status.get("conditions") or []}
    return conditions.get("Ready") == "True" or status.get("phase") == "Succeeded"


def _time(event: Object) -> datetime:
    series = (event.get("series") or {}).get("lastObservedTime")
    text = series or event.get("lastTimestamp") or event.get("eventTime") or event["metadata"]["creationTimestamp"]
    return datetime.fromisoformat(str(text)).astimezone(UTC)
