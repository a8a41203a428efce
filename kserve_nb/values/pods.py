"""Pods of an InferenceService."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from kserve_nb.values.labels import REVISION_LABEL
from kserve_nb.values.pod_columns import pod_columns


@dataclass(frozen=True)
class Pod:
    """One pod of an InferenceService, with the words that `kubectl get pods` prints.

    >>> rollout.pods()[0].revision
    'sklearn-iris-predictor-00001'
    """

    name: str
    revision: str
    ready: int  # containers that are ready
    containers: int
    status: str  # Pending, Init:0/1, PodInitializing, Running, Terminating, CrashLoopBackOff …
    restarts: int = 0
    message: str = ""  # why it waits or failed, if the node reports it
    deleting: bool = False  # its deletion was requested, whatever STATUS shows

    @property
    def terminating(self) -> bool:
        """Whether the pod is being deleted."""
        return self.deleting or self.status == "Terminating"

    @property
    def is_ready(self) -> bool:
        """Whether every container is ready and the pod is not being deleted."""
        return not self.terminating and 0 < self.containers == self.ready

    @property
    def failing(self) -> bool:
        """Whether a container has failed, rather than not started yet."""
        return "BackOff" in self.status or "Err" in self.status or self.status in ("Failed", "OOMKilled")

    @classmethod
    def of(cls, obj: Mapping[str, Any]) -> Pod:
        """Read a Pod object."""
        meta, columns = obj["metadata"], pod_columns(obj)
        return cls(
            name=meta["name"],
            revision=(meta.get("labels") or {}).get(REVISION_LABEL, ""),
            ready=columns.ready,
            containers=columns.total,
            status=columns.status,
            restarts=columns.restarts,
            message=columns.message,
            deleting=bool(meta.get("deletionTimestamp")),
        )
