"""A cluster's reconcilers over a store in memory, with a virtual clock, a fake node and a fake gateway."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from kserve_nb.clusters.embedded.api.admission.chain import admit
from kserve_nb.clusters.embedded.api.store.store import Store
from kserve_nb.clusters.embedded.apimachinery.kinds import KINDS, NAMESPACE, NODE, POD, REVISION_TRAFFIC
from kserve_nb.clusters.embedded.apimachinery.objects import Kind, Object, Objects, Settings, StatusError, key_of, utc
from kserve_nb.clusters.embedded.control.framework.reconciler import Key, Moment, Reconciler, keys_to_queue

DATA = Path(__file__).parents[1] / "data" / "knative"
NS = "kserve-test"
START = 1_800_000_000.0
MOST_PASSES = 3000
RETRY_S = 0.01


def recorded(name: str) -> list[Object]:
    """The items of a list that was recorded on a real cluster."""
    items: list[Object] = json.loads((DATA / f"{name}.json").read_text())["items"]
    return items


def recorded_one(name: str, part: str) -> Object:
    """The recorded item whose name contains this text."""
    return next(item for item in recorded(name) if part in item["metadata"]["name"])


def conditions_of(status: Mapping[str, Any]) -> dict[str, tuple[str, str, str, str]]:
    """Conditions without their times: type → status, reason, message, severity."""
    return {c["type"]: (c["status"], c.get("reason", ""), c.get("message", ""), c.get("severity", ""))
            for c in status.get("conditions") or []}


class Watched(Objects):
    """A store that reports each change immediately."""

    def __init__(self, store: Store, tell: Callable[[Object], None]):
        self.store, self._tell, self.kinds = store, tell, store.kinds

    def get(self, kind: Kind, namespace: str | None, name: str) -> Object:
        return self.store.get(kind, namespace, name)

    def find(self, kind: Kind, namespace: str | None, name: str) -> Object | None:
        return self.store.find(kind, namespace, name)

    def list(self, kind: Kind, namespace: str | None = None, labels: Mapping[str, str] | None = None) -> list[Object]:
        return self.store.list(kind, namespace, labels)

    def create(self, kind: Kind, body: Object, *, dry_run: bool = False) -> Object:
        return self._told(self.store.create(kind, body, dry_run=dry_run), dry_run)

    def update(self, kind: Kind, body: Object, *, dry_run: bool = False) -> Object:
        return self._written(kind, body, lambda: self.store.update(kind, body, dry_run=dry_run))

    def update_status(self, kind: Kind, body: Object) -> Object:
        return self._written(kind, body, lambda: self.store.update_status(kind, body))

    def delete(self, kind: Kind, namespace: str | None, name: str, *, uid: str | None = None,
               grace_period_s: float | None = None) -> Object | None:
        before = self.store.get(kind, namespace, name)
        left = self.store.delete(kind, namespace, name, uid=uid, grace_period_s=grace_period_s)
        self._tell(left or before)
        return left

    def watch(self, *kinds: Kind) -> Any:
        return self.store.watch(*kinds)

    def _told(self, obj: Object, dry_run: bool) -> Object:
        if not dry_run:
            self._tell(obj)
        return obj

    def _written(self, kind: Kind, body: Object, write: Callable[[], Object]) -> Object:
        before = self.store.find(kind, *key_of(body))
        after = write()
        if self.store.find(kind, *key_of(body)) != before:
            self._tell(after)
        return after


class World:
    """Runs reconcilers as the real loop does, until no object has to be reconciled; then a test lets time pass."""

    def __init__(self, reconcilers: Iterable[Reconciler], *, settings: Settings | None = None, cpu: str = "2",
                 namespace: str = NS):
        self.settings = settings or Settings(speed=1, node="lab")
        self.now, self.events, self._reconcilers = START, list[tuple[str, ...]](), tuple(reconcilers)
        self.refused: list[str] = []  # writes that the store did not accept
        self._queue: dict[tuple[int, Key], None] = {}
        self._timers: dict[tuple[int, Key], float] = {}
        self.objects = Watched(Store(None, admission=admit), self._wake)
        self.passes = 0
        node: Object = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": self.settings.node}, "spec": {},
                        "status": {"allocatable": {"cpu": cpu, "memory": "4Gi", "pods": "110"}}}
        self.objects.create(NODE, node)
        for name in ("knative-serving", namespace):
            self.objects.create(NAMESPACE, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})

    # Time

    def settle(self) -> None:
        """Reconcile until nothing is left to do at this moment."""
        self.passes = 0
        while self._queue:
            entry = next(iter(self._queue))
            del self._queue[entry]
            self.passes += 1
            assert self.passes < MOST_PASSES, f"never settles: {self._reconcilers[entry[0]].name} {entry[1]}"
            self._pass(*entry)

    def pass_s(self, seconds: float) -> None:
        """Let time pass, and run each reconciler when it is due."""
        self.settle()
        until = self.now + seconds
        while self._timers and min(self._timers.values()) <= until:
            entry = min(self._timers, key=lambda e: self._timers[e])
            self.now = max(self.now, self._timers.pop(entry))
            self._queue[entry] = None
            self.settle()
        self.now = until

    def is_waiting(self) -> bool:
        """Whether a reconciler is due later."""
        return bool(self._timers)

    # Objects

    def find(self, kind: Kind, name: str, namespace: str | None = NS) -> Object:
        """The object of that name, or the only one whose name begins so."""
        found = self.objects.find(kind, namespace, name)
        return found or next(o for o in self.objects.list(kind, namespace) if o["metadata"]["name"].startswith(name))

    def names(self, kind: Kind, namespace: str | None = NS) -> list[str]:
        """The names of all objects of a kind."""
        return [o["metadata"]["name"] for o in self.objects.list(kind, namespace)]

    def adopt(self, kind: Kind, body: Object, **metadata: Any) -> Object:
        """Create a copy of a recorded object, without the status and the other fields that a server sets."""
        given = ("uid", "resourceVersion", "creationTimestamp", "generation", "managedFields", "deletionTimestamp")
        meta = {k: v for k, v in body["metadata"].items() if k not in given} | metadata
        return self.objects.create(kind, {**{k: v for k, v in body.items() if k != "status"}, "metadata": meta})

    # The fake node and gateway

    def run_pods(self, ready: bool = True) -> None:
        """Do the node's work at once: pods with a node are running and ready, deleted pods are gone."""
        self.settle()
        for pod in self.objects.list(POD):
            if "deletionTimestamp" in pod["metadata"]:
                self.objects.delete(POD, *key_of(pod), grace_period_s=0)
            elif pod["spec"].get("nodeName"):
                self.set_pod(pod, ready=ready)
        self.settle()

    def set_pod(self, pod: Object, *, ready: bool, containers: list[Object] | None = None) -> None:
        """Report a pod's state as a node would."""
        pod = self.objects.get(POD, *key_of(pod))
        kept = [c for c in (pod.get("status") or {}).get("conditions") or [] if c["type"] == "PodScheduled"]
        status = {"phase": "Running" if ready else "Pending", "podIP": "198.18.0.9", "conditions": [
            *kept, {"type": "Ready", "status": "True" if ready else "False", "lastTransitionTime": utc(self.now)}]}
        if containers is not None:
            status["containerStatuses"] = containers
        held = next((c for c in (pod.get("status") or {}).get("conditions") or [] if c["type"] == "Ready"), None)
        if held is None or (held["status"] == "True") != ready or containers is not None:
            self.objects.update_status(POD, {**pod, "status": status})

    def traffic(self, revision: str, **status: float) -> None:
        """Report a revision's traffic as the gateway would."""
        body: Object = {"apiVersion": REVISION_TRAFFIC.api_version, "kind": REVISION_TRAFFIC.kind,
                        "metadata": {"name": revision, "namespace": NS}}
        held = self.objects.find(REVISION_TRAFFIC, NS, revision) or self.objects.create(REVISION_TRAFFIC, body)
        empty = {"requests": 0, "concurrency": 0.0, "rps": 0.0, "waiting": 0}
        self.objects.update_status(
            REVISION_TRAFFIC, {**held, "status": {**empty, **(held.get("status") or {}), **status}})

    # As the real loop does it

    def _wake(self, obj: Object) -> None:
        kind = next(kind for kind in KINDS if (kind.api_version, kind.kind) == (obj["apiVersion"], obj["kind"]))
        for index, reconciler in enumerate(self._reconcilers):
            for key in keys_to_queue(reconciler, kind, obj, self.objects):
                self._queue[index, key] = None

    def _pass(self, index: int, key: Key) -> None:
        reconciler = self._reconcilers[index]
        obj = self.objects.find(reconciler.kind, *key)
        if obj is None:
            return
        changes = reconciler.reconcile(obj, self.objects, Moment(self.now, self.settings))
        try:
            for write in changes.writes:
                write(self.objects)
        except StatusError as error:
            self.refused.append(f"{reconciler.name} of {key}: {error.message}")
            self._timers[index, key] = self.now + RETRY_S
            return
        self.events += [(e[0]["kind"], *e[1:]) for e in changes.events]
        if changes.requeue_after_s is not None:
            due = self.now + changes.requeue_after_s
            self._timers[index, key] = min(due, self._timers.get((index, key), due))
