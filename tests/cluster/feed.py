"""The revisions that may answer at each moment, from a watch of an InferenceService."""

from __future__ import annotations

import threading
import time
from types import TracebackType
from typing import Any, Self

import urllib3

from kserve_nb.access.api_client import INFERENCE_SERVICE, REVISION, RefusedError, events
from kserve_nb.rollout.rollout import Rollout
from kserve_nb.values.revisions import Revision
from kserve_nb.values.rollout_status import RolloutStatus

# The status and the gateway do not change at the same moment, so a request in between may meet either: Knative's Route
# reports its targets before the gateway has them, and KServe copies them afterwards.
OVERLAP_S = 1.0
_AGAIN_S = 0.1  # between two attempts at an API server that restarts


class Feed:
    """Watches an InferenceService during the context, and keeps each state of its traffic with its time."""

    def __init__(self, rollout: Rollout):
        self._rollout, self._stopped = rollout, threading.Event()
        self._states: list[tuple[float, frozenset[str]]] = []
        self._open: urllib3.HTTPResponse | None = None
        self._thread = threading.Thread(target=self._run, name=f"feed of {rollout.name}", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        self._stopped.set()
        if self._open is not None:
            self._open.shutdown()
        self._thread.join(10)

    def may_answer(self, sent: float, ended: float) -> frozenset[str]:
        """Revisions with traffic at any time between the two moments of time.monotonic, and a little around them."""
        begins = [moment - OVERLAP_S for moment, _ in self._states]
        ends = [moment + OVERLAP_S for moment, _ in self._states[1:]] + [float("inf")]
        return frozenset().union(*(
            names for (_, names), begin, end in zip(self._states, begins, ends, strict=True)
            if begin <= ended and sent <= end))

    def models(self) -> dict[str, str]:
        """The storageUri of each revision that existed."""
        found = self._rollout.client.find_all(REVISION, f"serving.kserve.io/inferenceservice={self._rollout.name}")
        return {revision.name: revision.model for revision in map(Revision.of, found)}

    def _run(self) -> None:
        client = self._rollout.client
        while not self._stopped.is_set():
            try:
                found, version = client.snapshot(INFERENCE_SERVICE, "")
                for item in found:
                    self._note(item)
                with client.watch(INFERENCE_SERVICE, "", version, 300) as self._open:
                    for type_, item in events(self._open):
                        if type_ in ("ADDED", "MODIFIED"):
                            self._note(item)
            except (RefusedError, urllib3.exceptions.HTTPError, OSError, ValueError):
                self._stopped.wait(_AGAIN_S)

    def _note(self, item: dict[str, Any]) -> None:
        if item["metadata"]["name"] == self._rollout.name:
            percents = RolloutStatus.of(item).percents
            names = frozenset(name for name, percent in percents.items() if percent)
            if names and (not self._states or self._states[-1][1] != names):
                self._states.append((time.monotonic(), names))
