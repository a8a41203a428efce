"""The log of a pod's queue-proxy. It is not a process here: Envoy and the kubelet do its work."""

from __future__ import annotations

import json
import time

from kserve_nb.clusters.embedded.node import container_logs
from kserve_nb.clusters.embedded.node.kubelet.pod_record import PodRecord
from kserve_nb.clusters.embedded.node.kubelet.pod_status import Container
from kserve_nb.values.labels import REVISION_LABEL

_STARTS = ("Starting queue-proxy", "Starting http server main0.0.0.0:8012", "Starting http server admin0.0.0.0:8022",
           "Starting http server metrics0.0.0.0:9090")
_DRAINS = ("Received TERM signal, attempting to gracefully shutdown servers.",
           "Sleeping 30s to allow K8s propagation of non-ready state")
_ENDS = ("Shutting down server: admin", "Shutting down server: metrics", "Shutdown complete, exiting...")


def log_start(record: PodRecord, container: Container) -> None:
    """Log that the queue-proxy has begun to listen."""
    _log(record, container, _STARTS)


def log_drain(record: PodRecord, container: Container) -> None:
    """Log that the queue-proxy was told to end, and waits for requests under way."""
    _log(record, container, _DRAINS)


def log_end(record: PodRecord, container: Container) -> None:
    """Log that the queue-proxy has ended."""
    _log(record, container, _ENDS)


def _log(record: PodRecord, container: Container, messages: tuple[str, ...]) -> None:
    path = record.log_of(container, container.restarts)
    path.parent.mkdir(parents=True, exist_ok=True)
    revision = record.pod["metadata"].get("labels", {}).get(REVISION_LABEL, record.name)
    for message in messages:
        container_logs.append(path, json.dumps({
            "severity": "INFO", "timestamp": container_logs.timestamp(time.time_ns()), "logger": "queueproxy",
            "caller": "sharedmain/main.go", "message": message, "knative.dev/key": f"{record.namespace}/{revision}",
            "knative.dev/pod": record.name}, separators=(",", ":")))
