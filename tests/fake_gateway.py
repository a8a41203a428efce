"""A small ingress gateway with two models behind it that disagree on some rows."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import cycle
from typing import Any

MAIN = ("sklearn-iris.kserve-test.example.com", "sklearn-iris-predictor.kserve-test.example.com")


def old(row: list[float]) -> int:
    """The model of revision 00001."""
    return 0 if row[2] < 2 else 1 if row[2] < 5.6 else 2


def new(row: list[float]) -> int:
    """The model of revision 00002, with another boundary between two species."""
    return 0 if row[2] < 2 else 1 if row[2] < 5.2 else 2


def shares(percent: int) -> Iterator[bool]:
    """Whether the canary answers each request, spread evenly: `percent` of any hundred consecutive requests."""
    return cycle([(n * percent) % 100 < percent for n in range(100)])


class FakeGateway:
    """Routes by the Host header. `draws` decides whether the canary gets a request; `seen` has all requests."""

    def __init__(self, percent: int = 10):
        self.draws = shares(percent)
        self.tagged = False
        self.failing = False
        self.refusal = (503, b"no healthy upstream")  # its response while it fails
        self.seen: list[tuple[str, str, dict[str, str], bytes]] = []
        self._lock = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, args=(0.005,), daemon=True).start()
        self.address = f"127.0.0.1:{self._server.server_port}"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def model(self, host: str) -> Any:
        if host in MAIN:
            with self._lock:
                return new if next(self.draws) else old
        if host.startswith("latest-") and self.tagged:
            return new
        return old if host.startswith("prev-") else None


def _handler(gateway: FakeGateway) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_GET(self) -> None:
            self._answer(404, b"")

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"] or 0))
            gateway.seen.append((self.command, self.path, dict(self.headers), body))
            model = gateway.model(self.headers["Host"])
            if model is None:
                return self._answer(404, b"")
            if gateway.failing:
                return self._answer(*gateway.refusal)
            name = self.path.split("/")[3].partition(":")[0]
            if name != "sklearn-iris":
                return self._answer(404, json.dumps({"error": f"Model with name {name} does not exist."}).encode())
            asked = json.loads(body)
            if "instances" in asked:
                answer: dict[str, Any] = {"predictions": [model(row) for row in asked["instances"]]}
            else:
                (count, width), data = asked["inputs"][0]["shape"], asked["inputs"][0]["data"]
                rows = [data[n * width : (n + 1) * width] for n in range(count)]
                answer = {"outputs": [{"name": "output-0", "data": [model(row) for row in rows]}]}
            return self._answer(200, json.dumps(answer, separators=(",", ":")).encode())

        def _answer(self, code: int, data: bytes) -> None:
            self.send_response_only(code)
            self.send_header("server", "envoy")
            if data:
                self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_args: Any) -> None:
            """Print nothing."""

    return Handler
