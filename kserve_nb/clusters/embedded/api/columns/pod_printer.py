"""The cells of a pod's row in `kubectl get pods -o wide`."""

from __future__ import annotations

from typing import Any

from kserve_nb.clusters.embedded.api.columns.human_duration import since
from kserve_nb.clusters.embedded.apimachinery.objects import Object, is_true
from kserve_nb.values.pod_columns import PodColumns, pod_columns


def pod_cells(pod: Object, now: float) -> list[Any]:
    """The cells after the pod's name."""
    spec, status, columns = pod.get("spec") or {}, pod.get("status") or {}, pod_columns(pod)
    age = since(pod["metadata"].get("creationTimestamp"), now)
    return [f"{columns.ready}/{columns.total}", columns.status, _restarts(columns, now), age,
            status.get("podIP") or "<none>", spec.get("nodeName") or "<none>",
            status.get("nominatedNodeName") or "<none>", _gates(pod)]


def _restarts(columns: PodColumns, now: float) -> str:
    ended = columns.restarts and columns.restarted_at
    return f"{columns.restarts} ({since(columns.restarted_at, now)} ago)" if ended else str(columns.restarts)


def _gates(pod: Object) -> str:
    gates = (pod.get("spec") or {}).get("readinessGates") or []
    return f"{sum(is_true(pod, gate['conditionType']) for gate in gates)}/{len(gates)}" if gates else "<none>"
