"""A node with a real store and a real runtime, for tests: no API server, no reconcilers, no gateway."""

from __future__ import annotations

import asyncio
import contextlib
import copy
import http.client
import json
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

from kserve_nb.clusters.embedded.api.store.store import Store
from kserve_nb.clusters.embedded.apimachinery.kinds import EVENT, NAMESPACE, POD, SANDBOX
from kserve_nb.clusters.embedded.apimachinery.objects import Settings, is_true
from kserve_nb.clusters.embedded.node.kubelet.agent import Kubelet

POD_FILE = Path(__file__).parents[1] / "data" / "node" / "pod-ready.json"
DEADLINE_S = 60.0
NAMESPACE_NAME = "kserve-test"


@contextmanager
def runtime(path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Start a model runtime on a new socket file."""
    process = subprocess.Popen(
        [sys.executable, "-m", "kserve_nb.clusters.embedded.node.runtime.zygote", "--socket", str(path)])
    try:
        deadline = time.monotonic() + DEADLINE_S
        while not path.exists() and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.02)
        yield process
    finally:
        process.terminate()
        process.wait(60)


def pod(name: str, uri: str | None = None, **changes: str) -> dict[str, Any]:
    """A new pod like the recorded one, bound to the node."""
    body = json.loads(POD_FILE.read_text())
    body.pop("status")
    meta = body["metadata"]
    for field in ("uid", "resourceVersion", "creationTimestamp", "ownerReferences", "generateName", "generation"):
        meta.pop(field)
    meta["name"] = name
    body["spec"]["nodeName"] = "embedded"
    if uri is not None:
        body["spec"]["initContainers"][0]["args"][0] = uri
    for container, image in changes.items():
        next(c for c in body["spec"]["containers"] if c["name"].startswith(container))["image"] = image
    return body  # type: ignore[no-any-return]


class UnixConnection(http.client.HTTPConnection):
    """HTTP over a socket file."""

    def __init__(self, path: str):
        super().__init__("localhost", timeout=60)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


def call(address: str, method: str, path: str, body: str | None = None,
         headers: dict[str, str] | None = None) -> tuple[int, Any]:
    """Send a request to a pod's server; the status and the decoded body of its response."""
    connection = UnixConnection(address.removeprefix("unix:"))
    with contextlib.closing(connection):
        connection.request(method, path, body, headers or {})
        response = connection.getresponse()
        return response.status, json.loads(response.read())


def predict(address: str, instances: object) -> object:
    """The predictions of the model `sklearn-iris` behind an address."""
    body = json.dumps({"instances": instances})
    return call(address, "POST", "/v1/models/sklearn-iris:predict", body,
                {"Content-Type": "application/json"})[1]["predictions"]


def word(pod: dict[str, Any]) -> str:
    """READY and STATUS of a pod, as `kubectl get` prints them."""
    status = pod.get("status", {})
    mains, inits = status.get("containerStatuses", []), status.get("initContainerStatuses", [])
    ready = f"{sum(c['ready'] for c in mains)}/{len(pod['spec']['containers'])}"
    text = status.get("phase", "")
    for container in [*mains, *inits]:
        state = container["state"]
        prefix = "Init:" if container in inits else ""
        reason = state.get("waiting", state.get("terminated", {})).get("reason")
        if (reason == "PodInitializing" and container in inits) or (prefix and "running" in state):
            text = "Init:0/1"
        elif reason and not (prefix and reason == "Completed"):
            text = prefix + reason
    return f"{ready} {'Terminating ' if 'deletionTimestamp' in pod['metadata'] else ''}{text}"


class Lab:
    """A running node, and everything that it has written to the store."""

    def __init__(self, store: Store, settings: Settings, folder: Path, socket: Path):
        self.store, self.settings, self.folder, self.socket = store, settings, folder, socket
        self.seen: dict[str, list[str]] = {}
        self.times: dict[str, list[float]] = {}

    async def watch(self) -> None:
        """Record the states of each pod, without repetitions."""
        async for event in self.store.watch(POD):
            name, now = event.object["metadata"]["name"], word(event.object)
            states = self.seen.setdefault(name, [])
            now = "gone" if event.type == "DELETED" else now
            if states[-1:] != [now]:
                states.append(now)
                self.times.setdefault(name, []).append(time.monotonic())

    async def until(self, true: Callable[[], object], what: str) -> None:
        """Wait until a condition holds; a failure shows the pods and events."""
        deadline = time.monotonic() + DEADLINE_S
        while not true():
            if time.monotonic() > deadline:
                events = [(e["reason"], e["message"]) for e in self.store.list(EVENT)]
                raise AssertionError(f"not in {DEADLINE_S:.0f} s: {what}\n{self.seen}\n{events}")
            await asyncio.sleep(0.01)

    def pod(self, name: str) -> dict[str, Any]:
        return self.store.find(POD, NAMESPACE_NAME, name) or {"spec": {"containers": []}, "metadata": {}}

    def sandbox(self, name: str) -> dict[str, Any]:
        return (self.store.find(SANDBOX, NAMESPACE_NAME, name) or {}).get("status", {})  # type: ignore[no-any-return]

    async def ready(self, name: str) -> str:
        """Wait until the pod is ready; its address."""
        await self.until(lambda: is_true(self.pod(name), "Ready"), f"{name} is ready")
        return str(self.sandbox(name)["address"])

    async def state(self, name: str, state: str) -> None:
        """Wait until the pod has been in that state."""
        await self.until(lambda: state in self.seen.get(name, []), f"{name} was {state}")

    def events(self, name: str) -> list[tuple[str, str]]:
        return [(e["reason"], e["message"]) for e in self.store.list(EVENT) if e["involvedObject"]["name"] == name]

    def created_containers(self) -> int:
        """How often a container was created, all pods together."""
        return sum(e.get("count", 1) for e in self.store.list(EVENT) if e["reason"] == "Created")

    def container(self, name: str, container: str = "kserve-container") -> dict[str, Any]:
        status = self.pod(name)["status"]
        return next(copy.deepcopy(c) for c in [*status["containerStatuses"], *status.get("initContainerStatuses", [])]
                    if c["name"] == container)

    def removed(self) -> bool:
        """Remove the folder. False if a container that was just starting has written to it meanwhile."""
        shutil.rmtree(self.folder, ignore_errors=True)
        return not self.folder.exists()

    @asynccontextmanager
    async def node(self) -> AsyncIterator[None]:
        """A node agent, until the end of the block."""
        task = asyncio.create_task(Kubelet(self.store, self.settings, self.folder, self.socket).run())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


@asynccontextmanager
async def lab(socket: Path, speed: float = 100) -> AsyncIterator[Lab]:
    """A store and a watcher; start a node in it with `node()`."""
    store = Store(None)
    store.create(NAMESPACE, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE_NAME}})
    it = Lab(store, Settings(speed=speed), Path(tempfile.mkdtemp(prefix="kserve-nb-")), socket)
    watching = asyncio.create_task(it.watch())
    try:
        yield it
    finally:
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
        await it.until(it.removed, "the folder is removed")
