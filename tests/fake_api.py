"""A small API server over HTTP, for tests: it stores, patches and watches objects, and runs no controllers."""

from __future__ import annotations

import copy
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import yaml

from kserve_nb.values.cluster import Cluster

DATA = Path(__file__).parent / "data" / "rollout"
NAMESPACE = "/api/v1/namespaces/kserve-test"
PODS = f"{NAMESPACE}/pods"
ISVC = "/apis/serving.kserve.io/v1beta1/namespaces/kserve-test/inferenceservices"
EVENTS = f"{NAMESPACE}/events"
KNATIVE = "/apis/serving.knative.dev/v1/namespaces/kserve-test"
ROUTES, REVISIONS = f"{KNATIVE}/routes", f"{KNATIVE}/revisions"
COLLECTIONS = ("inferenceservices", "services", "routes", "revisions", "pods", "events", "nodes")
VERSIONED = ("configmaps", "leases")  # created with a resourceVersion, which patches of them name
REVIEWS = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
KSVC = "/apis/serving.knative.dev/v1/namespaces/kserve-test/services"


def recorded(step: str, file: str) -> dict[str, Any]:
    """The content of a recorded file of one step."""
    loaded: dict[str, Any] = json.loads((DATA / step / f"{file}.json").read_text(encoding="utf-8"))
    return loaded


def one(step: str, file: str) -> dict[str, Any]:
    """The only object of a recorded file."""
    loaded = recorded(step, file)
    only: dict[str, Any] = loaded["items"][0] if "items" in loaded else loaded
    return only


class FakeApi:
    """Objects by path. `writes` has each write: method, path and body."""

    def __init__(self, folder: Path, port: int = 0):
        self.objects: dict[str, dict[str, Any]] = {}
        self.writes: list[tuple[str, str, Any]] = []
        self.requests: list[str] = []  # all requests: "GET /version HTTP/1.1"
        self.watching = 0  # how many watches are open
        self.refuse = ""  # why pods may not be listed
        self.turned_down = ""  # why admission refuses a patch, a dry run too
        self.logs: dict[str, str] = {}  # by path
        self.denied: set[str] = set()  # verbs that RBAC does not allow
        self.users: set[str | None] = set()  # who was impersonated
        self.answering = threading.Event()  # a patch waits until it is set
        self.answering.set()
        self.patched = threading.Event()  # a patch has arrived
        self.mute: list[bool] = []  # a patch gets no response, whether it is stored or not
        self.break_off = 0  # the number of responses that end in the middle of their body
        self.frames: list[dict[str, dict[str, Any]]] = []  # each read of a Knative Service returns the next one
        self._events: list[tuple[str, str, dict[str, Any]]] = []
        self._changed = threading.Condition()
        self.closed = False
        self._server = ThreadingHTTPServer(("127.0.0.1", port), _handler(self))
        self._server.daemon_threads = True
        self.port = self._server.server_port
        threading.Thread(target=self._server.serve_forever, args=(0.005,), daemon=True).start()
        self.kubeconfig = folder / "kubeconfig"
        url = f"http://127.0.0.1:{self.port}"
        self.kubeconfig.write_text(yaml.safe_dump(kubeconfig_of(url)))

    def cluster(self, ingress: str = "127.0.0.1:9") -> Cluster:
        return Cluster(self.kubeconfig, ingress, "kserve-test", "attach", "fake")

    def close(self) -> None:
        """Stop, and close all connections, like a machine that is switched off."""
        with self._changed:
            self.closed = True
            self._changed.notify_all()
        self._server.shutdown()
        self._server.server_close()

    def until_watched(self, count: int, timeout_s: float) -> None:
        """Wait until this many watches are open. A client opens a watch after it has listed the objects."""
        with self._changed:
            assert self._changed.wait_for(lambda: self.watching == count, timeout_s), f"{self.watching} are open"

    def until_nobody_watches(self, timeout_s: float) -> None:
        """Wait until all watches have ended. Only a write shows that a client has disconnected."""
        deadline = time.monotonic() + timeout_s
        with self._changed:
            while not self._changed.wait_for(lambda: self.watching == 0, 0.1):
                assert time.monotonic() < deadline, f"{self.watching} watches are open"
                for path in (ISVC, KSVC, ROUTES, REVISIONS, PODS, EVENTS):
                    self._events.append(("BOOKMARK", f"{path}/x", {}))
                self._changed.notify_all()

    def count_watch(self, change: int) -> None:
        with self._changed:
            self.watching += change
            self._changed.notify_all()

    def put(self, path: str, obj: dict[str, Any], type_: str | None = None) -> None:
        """Store an object, or remove it if the event is DELETED, and notify the watches."""
        with self._changed:
            type_ = type_ or ("MODIFIED" if path in self.objects else "ADDED")
            self.objects.pop(path, None)
            if type_ != "DELETED":
                self.objects[path] = obj
            self._events.append((type_, path, obj))
            self._changed.notify_all()

    def load(self, step: str) -> None:
        """Replace all objects by those of a recorded step."""
        self.put(NAMESPACE, {"metadata": {"name": "kserve-test"}})
        self.put(f"{ISVC}/sklearn-iris", one(step, "isvc"))
        self.put(f"{KSVC}/sklearn-iris-predictor", one(step, "ksvc"))
        for pod in recorded(step, "pods")["items"]:
            self.put(f"{PODS}/{pod['metadata']['name']}", pod)

    def forget_pods(self) -> None:
        for path in [path for path in self.objects if path.startswith(PODS)]:
            self.put(path, self.objects[path], "DELETED")

    def snapshot(self, path: str) -> dict[str, Any]:
        with self._changed:
            items = [obj for known, obj in sorted(self.objects.items()) if known.rpartition("/")[0] == path]
            return {"items": items, "metadata": {"resourceVersion": str(len(self._events))}}

    def next_event(self, path: str, after: int, timeout_s: float) -> tuple[int, str, dict[str, Any]] | None:
        """The first event of a collection after a version; None if none arrives in time."""
        with self._changed:
            def find() -> tuple[int, str, dict[str, Any]] | None:
                for number, (type_, known, obj) in enumerate(self._events[after:], start=after + 1):
                    if known.rpartition("/")[0] == path:
                        return number, type_, obj
                return None

            self._changed.wait_for(lambda: self.closed or find(), timeout_s)
            return None if self.closed else find()


def merge_patch(target: Any, patch: Any) -> Any:
    """RFC 7396's MergePatch, after its pseudocode: the package's own function is not used, as this checks it."""
    if not isinstance(patch, dict):
        return patch
    result = copy.deepcopy(target) if isinstance(target, dict) else {}
    for name in patch:
        if patch[name] is None:
            result.pop(name, None)
        else:
            result[name] = merge_patch(result.get(name), patch[name])
    return result


def _patched(obj: dict[str, Any], patch: dict[str, Any]) -> dict[str, Any]:
    """The patched object. As on a real API server, a changed spec increases the generation."""
    changed = merge_patch(obj, patch)
    meta = changed["metadata"]
    counts = changed.get("spec") != obj.get("spec") and "generation" in meta
    generation = {"generation": meta["generation"] + 1} if counts else {}
    version = {"resourceVersion": f"{meta['resourceVersion']}1"} if "resourceVersion" in meta else {}
    return {**changed, "metadata": {**meta, **generation, **version}}


def kubeconfig_of(url: str) -> dict[str, Any]:
    """A kubeconfig for a server without credentials."""
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "c", "cluster": {"server": url}}],
        "users": [{"name": "u", "user": {}}],
        "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u", "namespace": "kserve-test"}}],
        "current-context": "x",
    }


def _handler(api: FakeApi) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def parse_request(self) -> bool:
            self.close_connection = api.closed  # ends kept-alive connections as well
            if api.closed or not super().parse_request():
                return False
            api.requests.append(self.requestline)
            return True

        def do_GET(self) -> None:
            path, query = self._path()
            if "watch" in query:
                return self._watch(path, int(query["resourceVersion"][0]), float(query["timeoutSeconds"][0]))
            if path.startswith(KSVC) and api.frames:
                api.objects.update(api.frames.pop(0))
            if path in api.objects:
                return self._answer(200, api.objects[path])
            if path in api.logs:
                return self._answer(200, api.logs[path])
            if path == PODS and api.refuse:
                return self._answer(403, {"kind": "Status", "reason": "Forbidden", "message": api.refuse})
            if path.rpartition("/")[2] in COLLECTIONS:
                return self._answer(200, api.snapshot(path))
            return self._missing(path)

        def do_POST(self) -> None:
            path, body = self._path()[0], self._body()
            if path == REVIEWS:
                verb = body["spec"]["resourceAttributes"]["verb"]
                return self._answer(201, {**body, "status": {"allowed": verb not in api.denied}})
            target = f"{path}/{body['metadata']['name']}"
            if target in api.objects:
                return self._answer(409, {"kind": "Status", "reason": "AlreadyExists", "message": f"{target} exists"})
            api.writes.append(("POST", path, body))
            if path.rpartition("/")[2] in VERSIONED:
                body["metadata"]["resourceVersion"] = "1"
            api.put(target, body)
            return self._answer(201, body)

        def do_PATCH(self) -> None:
            path, query = self._path()
            body = self._body()
            assert self.headers["Content-Type"] == "application/merge-patch+json"
            if "dryRun" in query:
                return self._answer(*((200, merge_patch(api.objects[path], body)) if not api.turned_down else (
                    400, {"kind": "Status", "reason": "BadRequest", "message": api.turned_down})))
            api.writes.append(("PATCH", path, body))
            api.patched.set()
            api.answering.wait()
            if api.turned_down:
                return self._answer(400, {"kind": "Status", "reason": "BadRequest", "message": api.turned_down})
            muted = api.mute.pop(0) if api.mute else None
            if muted is False:
                return self._hang_up()
            if path not in api.objects:
                return self._missing(path)
            version = body.get("metadata", {}).get("resourceVersion")
            if version not in (None, api.objects[path]["metadata"].get("resourceVersion", "")):
                return self._answer(409, {"kind": "Status", "reason": "Conflict", "message": f"{path} was modified"})
            api.put(path, _patched(api.objects[path], body))
            return self._hang_up() if muted else self._answer(200, api.objects[path])

        def _hang_up(self) -> None:
            self.close_connection = True

        def do_DELETE(self) -> None:
            path = self._path()[0]
            self._body()
            api.writes.append(("DELETE", path, None))
            if path not in api.objects:
                return self._missing(path)
            api.put(path, api.objects[path], "DELETED")
            return self._answer(200, {"kind": "Status", "status": "Success"})

        def _watch(self, path: str, version: int, timeout_s: float) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            api.count_watch(1)
            try:
                while (event := api.next_event(path, version, timeout_s)) is not None:
                    version, type_, obj = event
                    line = json.dumps({"type": type_, "object": obj}).encode() + b"\n"
                    self.wfile.write(b"%x\r\n%s\r\n" % (len(line), line))
                self.wfile.write(b"0\r\n\r\n")
            except OSError:
                self.close_connection = True  # the client has disconnected
            finally:
                api.count_watch(-1)

        def _path(self) -> tuple[str, dict[str, list[str]]]:
            api.users.add(self.headers["Impersonate-User"])
            parts = urlsplit(self.path)
            return parts.path, parse_qs(parts.query)

        def _body(self) -> Any:
            return json.loads(self.rfile.read(int(self.headers["Content-Length"] or 0)) or b"null")

        def _missing(self, path: str) -> None:
            self._answer(404, {"kind": "Status", "reason": "NotFound", "message": f"{path} not found"})

        def _answer(self, code: int, body: Any) -> None:
            data = (body if isinstance(body, str) else json.dumps(body)).encode()
            length = len(data)
            if api.break_off:
                api.break_off -= 1
                data, self.close_connection = data[: length // 2], True
            self.send_response(code)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(length))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_args: Any) -> None:
            """Print nothing."""

    return Handler
