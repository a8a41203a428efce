"""A learner on a simulated cluster: the course's states, the learner's changes, and the snapshots that a task sees."""

from __future__ import annotations

import copy
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from kserve_nb.clusters.embedded.api.admission.chain import admit
from kserve_nb.clusters.embedded.api.store.store import Store
from kserve_nb.clusters.embedded.apimachinery.kinds import INFERENCE_SERVICE, KINDS, PERSISTENT_VOLUME_CLAIM
from kserve_nb.observe.snapshot import KINDS as SEEN_KINDS
from kserve_nb.observe.snapshot import Snapshot, belongs_to, snapshot_of
from kserve_nb.tasks.task import SolutionStep
from kserve_nb.tasks.task_attempt import TaskAttempt
from kserve_nb.values import manifest
from kserve_nb.values.manifest import MODEL, MODEL_2, inference_service
from tests.fake_api import merge_patch
from tests.unit.simulator import NAME, NS, Simulator

DELETE = "delete"
SEEN_EVERY_S = 0.5
FOR_S = 8.0  # as long as a change takes at most
Change = Mapping[str, Any] | SolutionStep | str


@dataclass
class Learner:
    """Changes a simulated cluster, and sees it as a notebook does."""

    cluster: Simulator
    name: str = NAME

    def do(self, change: Change) -> None:
        """Make one change: a merge patch, a document to apply, or the deletion."""
        if isinstance(change, str):
            self.cluster.store.delete(INFERENCE_SERVICE, NS, self.name)
        elif isinstance(change, SolutionStep):
            self.do(change.document or change.patch)
        elif "kind" in change:
            self._apply(change)
        else:
            self.cluster.store.update(INFERENCE_SERVICE, merge_patch(self.cluster.isvc(self.name), dict(change)))

    def _apply(self, document: Mapping[str, Any]) -> None:
        live = self.cluster.store.find(INFERENCE_SERVICE, NS, str(document["metadata"]["name"]))
        if live is None:
            self.cluster.store.create(INFERENCE_SERVICE, manifest.applied(document, NS))
            return
        patch = manifest.apply_patch(document, live)
        self.cluster.store.update(INFERENCE_SERVICE, merge_patch(copy.deepcopy(live), patch))

    def snapshot(self) -> Snapshot:
        """The snapshot of the present state."""
        objects = {}
        for kind in SEEN_KINDS:
            stored = next(k for k in KINDS if (k.group, k.plural) == (kind.group, kind.plural))
            found = self.cluster.store.list(stored, NS)
            objects[kind] = [obj for obj in found if belongs_to(self.name, kind, obj)]
        return snapshot_of(self.name, objects)

    def play(self, attempt: TaskAttempt) -> None:
        """Let the cluster do what was requested, and show each state on the way to the attempt."""
        end, seen = self.cluster.now + FOR_S, -1
        while self.cluster.now < end:
            before = self.cluster.now
            if self.cluster.store.version != seen:
                seen, snapshot = self.cluster.store.version, self.snapshot()
            attempt.observe(snapshot, before)
            self.cluster.settle(SEEN_EVERY_S)
            self.cluster.now = before + SEEN_EVERY_S
        attempt.observe(self.snapshot(), self.cluster.now)


FIRST = inference_service(NAME, MODEL)
CANARY = inference_service(NAME, MODEL_2, percent=10)
BOTH = inference_service(NAME, MODEL, percent=10)
BOTH["spec"]["predictor"]["sklearn"] = {"storageUri": MODEL_2}
PROMOTED = inference_service(NAME, MODEL_2)
PINNED = inference_service(NAME, MODEL_2, percent=0)
SLEEPY = {"spec": {"predictor": {"minReplicas": 0}}}
MODELS = {"metadata": {"name": "models", "namespace": NS}, "spec": {
    "accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}}
WINE_1, WINE_2 = "pvc://models/wine/v1", "pvc://models/wine/v2"
TAGGED = inference_service(NAME, MODEL_2, percent=10, tag_routing=True)


def percent(value: int | None) -> dict[str, Any]:
    """A merge patch of the percent."""
    return {"spec": {"predictor": {"canaryTrafficPercent": value}}}


# The changes that the notebook makes before each task.
BEFORE: dict[str, Sequence[Change]] = {
    "all-at-once": [FIRST],
    "second-service": [FIRST],
    "canary-percent": [FIRST, CANARY, percent(20)],
    "dark-launch": [FIRST, CANARY, percent(35)],
    "old-schema": [FIRST, CANARY, BOTH],
    "see-in-ten": [FIRST, CANARY],
    "measure-the-share": [FIRST, CANARY, percent(26)],
    "raise": [FIRST, CANARY, percent(50)],
    "promote": [FIRST, CANARY, percent(75)],
    "roll-back": [FIRST, CANARY, PROMOTED],
    "leave-pin": [FIRST, CANARY, PROMOTED, PINNED],
    "hidden-host": [FIRST, CANARY, PROMOTED, PINNED, TAGGED],
    "smaller-canary": [FIRST, CANARY],
    "limit-harm": [FIRST, CANARY],
    "act-on-evidence": [FIRST, CANARY, PROMOTED, PINNED, TAGGED],
    "stay-awake": [FIRST, SLEEPY],
    "back-under-load": [FIRST, CANARY, PROMOTED, PINNED],
    "bring-back": [inference_service("wine", WINE_1), inference_service("wine", WINE_2)],
}


def learner_at(id_: str) -> Learner:
    """A learner at the beginning of a task. The steps before it are played once, then loaded from stored objects."""
    stored, now = _stored(id_)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "objects"
        file.write_bytes(stored)
        cluster = Simulator(gateway="istio", store=Store(file, admission=admit))
    cluster.now = now
    return Learner(cluster)


@cache
def _stored(id_: str) -> tuple[bytes, float]:
    learner = Learner(Simulator(gateway="istio"))
    learner.cluster.store.create(PERSISTENT_VOLUME_CLAIM, MODELS)
    for change in BEFORE[id_]:
        learner.do(change)
        learner.cluster.settle(FOR_S)
        learner.cluster.now += FOR_S
    return learner.cluster.store._database._connection.serialize(), learner.cluster.now
