"""A cluster without processes, for tests: the real store and reconcilers, with a fake node and a fake gateway.

The clock is virtual: it jumps to the next moment at which something is due.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from functools import cache, partial
from typing import Any

from kserve_nb.clusters.embedded import control
from kserve_nb.clusters.embedded.api.admission.chain import admit
from kserve_nb.clusters.embedded.api.initial_objects import initial_objects
from kserve_nb.clusters.embedded.api.store.store import Store
from kserve_nb.clusters.embedded.apimachinery.kinds import (
    CUSTOM_RESOURCE_DEFINITION,
    DEPLOYMENT,
    INFERENCE_SERVICE,
    INGRESS,
    KINDS,
    NAMESPACE,
    NODE,
    POD,
)
from kserve_nb.clusters.embedded.apimachinery.objects import Kind, Object, Settings, StatusError, copied, utc
from kserve_nb.clusters.embedded.control.framework.event_recorder import record
from kserve_nb.clusters.embedded.control.framework.reconciler import Moment, keys_to_queue
from kserve_nb.clusters.embedded.gateway import ingress_status as gateway_status

NAME, NS = "sklearn-iris", "kserve-test"
MODEL = "gs://kfserving-examples/models/sklearn/1.0/model"
MODEL_2 = f"{MODEL}-2"
BROKEN = "gs://kfserving-examples/models/sklearn/1.0/nope"
LONG_S = 200.0
STEP_S = {"gateway": 0.02, "node": 0.5}  # seconds from one state to the next
Key = tuple[str | None, str]


def isvc(uri: str | None = MODEL, percent: int | None = None, annotations: dict[str, str] | None = None,
         name: str = NAME, **predictor: Any) -> Object:
    """An InferenceService as a user writes it."""
    model: Object = {"modelFormat": {"name": "sklearn"}, **({"storageUri": uri} if uri else {})}
    spec: Object = {"model": model, **predictor}
    if percent is not None:
        spec["canaryTrafficPercent"] = percent
    return {"apiVersion": "serving.kserve.io/v1beta1", "kind": "InferenceService", "spec": {"predictor": spec},
            "metadata": {"name": name, "namespace": NS, **({"annotations": annotations} if annotations else {})}}


@cache
def objects_read(settings: Settings) -> tuple[tuple[Kind, Object], ...]:
    """The objects of a new cluster that reconcilers read."""
    return tuple((kind, body) for kind, body in initial_objects(settings)
                 if kind not in (CUSTOM_RESOURCE_DEFINITION, DEPLOYMENT))


def short(revision: str | None) -> str:
    """Shorten a revision's name: `r2` for `…-00002`."""
    return f"r{int(revision[-5:])}" if revision else ""


class Simulator:
    """Runs all reconcilers, one after another, until no object has to be reconciled."""

    def __init__(self, gateway: str = "kourier", speed: float = 1.0, store: Store | None = None) -> None:
        self.settings = Settings(speed=speed, gateway=gateway)  # type: ignore[arg-type]
        self.store = store or Store(None, admission=admit)
        if store is None:
            self._create_initial_objects()
        self.now = time.time()
        self.seen: list[Object] = []  # every version of every InferenceService
        self.on_change: Callable[[Kind, Object], None] = lambda kind, obj: None
        self.broken = {BROKEN}
        self.restart()

    def _create_initial_objects(self) -> None:
        """Create the objects of a new cluster."""
        for kind, body in objects_read(self.settings):
            stored = self.store.create(kind, body)
            if kind is NODE:
                room = {"allocatable": {"cpu": "64", "memory": "256Gi", "pods": "110"}}
                self.store.update_status(NODE, {**stored, "status": room})
        self.store.create(NAMESPACE, {"metadata": {"name": NS}})

    def restart(self) -> None:
        """Forget everything except the stored objects, as after a crash of the server process."""
        self.reconcilers = control.reconcilers()
        self._queue: dict[tuple[int, Key], None] = {}
        self._timers: dict[tuple[int, Key], float] = {}
        self._failures: dict[tuple[int, Key], int] = {}
        self._version = self.store.version
        for kind in KINDS:
            for obj in self.store.list(kind):
                self._wake(kind, obj)

    # Actions of a user

    def apply(self, body: Object) -> Object:
        """Store an InferenceService as `kubectl apply` does. An empty annotation is removed."""
        meta = body["metadata"]
        existing = self.store.find(INFERENCE_SERVICE, meta["namespace"], meta["name"])
        if existing is None:
            return self.store.create(INFERENCE_SERVICE, copied(body))
        annotations = {**(existing["metadata"].get("annotations") or {}), **(meta.get("annotations") or {})}
        existing["metadata"]["annotations"] = {k: v for k, v in annotations.items() if v}
        return self.store.update(INFERENCE_SERVICE, {**existing, "spec": copied(body["spec"])})

    def annotate(self, **annotations: str | None) -> None:
        """Set annotations of `serving.kserve.io/`, or remove those that are None."""
        obj = self.isvc()
        held = dict(obj["metadata"].get("annotations") or {})
        for key, value in annotations.items():
            held.pop(f"serving.kserve.io/{key}", None)
            if value is not None:
                held[f"serving.kserve.io/{key}"] = value
        obj["metadata"]["annotations"] = held
        self.store.update(INFERENCE_SERVICE, obj)

    def isvc(self, name: str = NAME) -> Object:
        return self.store.get(INFERENCE_SERVICE, NS, name)

    # Actions of the cluster

    def settle(self, for_s: float = LONG_S, *, node: bool = True, gateway: bool = True) -> None:
        """Let so many seconds pass. With `node=False` or `gateway=False`, the fake node or gateway does nothing."""
        end = self.now + for_s
        others = {key: at for key, at in (("gateway", gateway), ("node", node)) if at}
        due: dict[str, float] = {}
        while True:
            self._pass_all()
            for name in others:
                if not self._work(name):
                    due.pop(name, None)
                elif name not in due:
                    due[name] = self.now + STEP_S[name]
            moment = min([*self._timers.values(), *due.values()], default=end + 1)
            if moment > end:
                return
            self.now = max(self.now, moment)
            for entry in [e for e, at in self._timers.items() if at <= self.now]:
                del self._timers[entry]
                self._queue[entry] = None
            for name in [n for n, at in due.items() if at <= self.now]:
                del due[name]
                for write in self._work(name):
                    write()

    def _work(self, name: str) -> list[Callable[[], object]]:
        return self._program() if name == "gateway" else self._run_pods()

    def _pass_all(self) -> None:
        self._read_changes()
        for _ in range(5000):
            if not self._queue:
                return
            entry = next(iter(self._queue))
            del self._queue[entry]
            self._pass(entry)
            self._read_changes()
        raise AssertionError(f"the reconcilers never finish: {[self.reconcilers[i].name for i, _ in self._queue]}")

    def _pass(self, entry: tuple[int, Key]) -> None:
        index, key = entry
        reconciler = self.reconcilers[index]
        obj = self.store.find(reconciler.kind, *key)
        if obj is None:
            return
        moment = Moment(self.now, self.settings)
        before = copied(obj)
        try:
            changes = reconciler.reconcile(obj, self.store, moment)
            if reconciler.name in PURE:
                assert obj == before, f"{reconciler.name} changes its arguments"
            for write in changes.writes:
                write(self.store)
                self._read_changes()
            for event in changes.events:
                record(self.store, moment, event)
        except StatusError:
            self._retry(entry)
            return
        if changes.failed:
            self._retry(entry)
        if changes.requeue_after_s is not None:
            self._later(entry, changes.requeue_after_s)

    def _retry(self, entry: tuple[int, Key]) -> None:
        count = self._failures[entry] = self._failures.get(entry, 0) + 1
        self._later(entry, min(0.005 * 2 ** min(count, 30), 1000))

    def _later(self, entry: tuple[int, Key], delay_s: float) -> None:
        self._timers[entry] = min(self._timers.get(entry, self.now + delay_s), self.now + delay_s)

    def _read_changes(self) -> None:
        if self.store.version == self._version:
            return
        changes = [change for kind in KINDS for change in self.store.history.since(kind, self._version)]
        self._version = self.store.version
        for change in sorted(changes, key=lambda c: c.entry.version):
            obj = change.entry.copy()
            if change.kind is INFERENCE_SERVICE:
                self.seen.append(obj)
            self.on_change(change.kind, obj)
            self._wake(change.kind, obj)

    def _wake(self, kind: Kind, obj: Object) -> None:
        for index, reconciler in enumerate(self.reconcilers):
            for key in keys_to_queue(reconciler, kind, obj, self.store):
                if kind in reconciler.delays_s:
                    self._later((index, key), reconciler.delays_s[kind])
                else:
                    self._queue[index, key] = None

    def _program(self) -> list[Callable[[], object]]:
        """The writes of the gateway: an Ingress first waits for Envoy, and then is programmed."""
        work: list[Callable[[], object]] = []
        for ingress in self.store.list(INGRESS):
            if "deletionTimestamp" in ingress["metadata"]:
                freed = {**ingress, "metadata": {**ingress["metadata"], "finalizers": []}}
                work.append(partial(self.store.update, INGRESS, freed))
            elif not gateway_status.is_programmed(ingress):
                waits = gateway_status.waiting(ingress, self.now)
                done = waits["conditions"] == (ingress.get("status") or {}).get("conditions")
                status = gateway_status.programmed(ingress, self.now, self.settings) if done else waits
                work.append(partial(self.store.update_status, INGRESS, {**ingress, "status": status}))
        return work

    def _run_pods(self) -> list[Callable[[], object]]:
        """The writes of the node: each pod enters its next state."""
        work: list[Callable[[], object]] = []
        for pod in self.store.list(POD):
            if "deletionTimestamp" in pod["metadata"]:
                work.append(partial(self.store.delete, POD, NS, pod["metadata"]["name"], grace_period_s=0))
            elif pod["spec"].get("nodeName"):
                status = next_pod_status(pod, self.now, self.broken)
                if status != pod.get("status"):
                    work.append(partial(self.store.update_status, POD, {**pod, "status": status}))
        return work

    # Values that a test reads

    def brief(self, obj: Object | None = None) -> str:
        """`True c2 r2 L1 P- r2:10 r1:90 prev`: Ready, latest created, ready, rolled out and previous, traffic."""
        status = (obj or self.isvc()).get("status") or {}
        part = (status.get("components") or {}).get("predictor") or {}
        ready = next((c["status"] for c in status.get("conditions") or [] if c["type"] == "Ready"), "-")
        names = [short(part.get(f"{key}Revision"))[1:] or "-"
                 for key in ("latestCreated", "latestReady", "latestRolledout", "previousRolledout")]
        traffic = [f"{short(t['revisionName'])}:{t['percent']}" + (f" {t['tag']}" if "tag" in t else "")
                   for t in part.get("traffic") or []]
        return " ".join([ready, *(f"{k}{v}" for k, v in zip("crLP", names, strict=True)), *traffic])

    def path(self) -> list[str]:
        """The distinct states since the last call, in order."""
        states: list[str] = []
        for obj in self.seen:
            state = self.brief(obj)
            if states[-1:] != [state]:
                states.append(state)
        self.seen.clear()
        return states


PURE = ("inference service", "knative service", "configuration", "route", "labeler", "knative ingress", "revision gc")


def next_pod_status(pod: Object, now: float, broken: set[str]) -> Object:
    """The status of a pod one state later; the same once it is ready, or has failed to load its model."""
    status = pod.get("status") or {}
    uri = next((c["args"][0] for c in pod["spec"].get("initContainers") or []), "")
    state = _state_of(status)
    if state in ("failed", "crashing"):
        return status
    if state == "loaded" and broken & set(pod["spec"]["containers"][0].get("args") or []):
        return _crashing(_pod_status(pod, status, "loaded", now))
    following = {"": "loading", "loading": "failed" if uri in broken else "loaded", "loaded": "running",
                 "running": "ready", "ready": "ready"}[state]
    return status if following == state else _pod_status(pod, status, following, now)


def _state_of(status: Object) -> str:
    init = next(iter(status.get("initContainerStatuses") or []), None)
    if init is None:
        return ""
    if "running" in init["state"]:
        return "loading"
    if init["state"].get("terminated", {}).get("reason") == "Error":
        return "failed"
    ready = sum(c["ready"] for c in status.get("containerStatuses") or [])
    if any("terminated" in c["lastState"] for c in status.get("containerStatuses") or []):
        return "crashing"
    return {0: "loaded", 1: "running"}.get(ready, "ready")


def _pod_status(pod: Object, status: Object, state: str, now: float) -> Object:
    moment = utc(now)
    init = {
        "loading": {"running": {"startedAt": moment}},
        "failed": {"terminated": {"exitCode": 1, "reason": "Error", "message": "no such model",
                                  "startedAt": moment, "finishedAt": moment}},
    }.get(state, {"terminated": {"exitCode": 0, "reason": "Completed", "startedAt": moment, "finishedAt": moment}})
    waiting: Object = {"waiting": {"reason": "PodInitializing"}}
    is_up = state in ("running", "ready")
    containers = [
        {"name": c["name"], "ready": is_up and (index == 0 or state == "ready"), "restartCount": 0, "image": c["image"],
         "imageID": "", "lastState": {}, "state": {"running": {"startedAt": moment}} if is_up else waiting}
        for index, c in enumerate(pod["spec"]["containers"])]
    conditions = [c for c in status.get("conditions") or [] if c["type"] not in ("Ready", "ContainersReady")]
    for type_ in ("Ready", "ContainersReady"):
        conditions.append({"type": type_, "status": "True" if state == "ready" else "False",
                           "lastTransitionTime": moment})
    return {**status, "phase": "Running" if is_up else "Pending", "conditions": conditions,
            "initContainerStatuses": [{"name": "storage-initializer", "ready": is_up, "restartCount": 0, "image": "",
                                       "imageID": "", "lastState": {}, "state": init}],
            "containerStatuses": containers, "podIP": "127.0.0.1"}


CRASHED = "server: error: argument --workers: invalid int value: 'two'"


def _crashing(status: Object) -> Object:
    """The status after the model server has exited with an error."""
    first, *others = status["containerStatuses"]
    crashed = {**first, "restartCount": 1, "state": {"waiting": {"reason": "CrashLoopBackOff"}},
               "lastState": {"terminated": {"exitCode": 2, "reason": "Error", "message": CRASHED}}}
    return {**status, "containerStatuses": [crashed, *others]}


def objects_of(simulator: Simulator, kind: Kind) -> Iterator[Object]:
    """The objects of a kind in the test's namespace."""
    yield from simulator.store.list(kind, NS)
