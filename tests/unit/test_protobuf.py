"""Protobuf bodies as the real kubectl writes them."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from kserve_nb.clusters.embedded.api.wire.protobuf import decode
from kserve_nb.clusters.embedded.apimachinery.objects import Object, StatusError


class Recorder(ThreadingHTTPServer):
    """A server that stores the bodies of POST requests, and answers with an empty body."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.bodies: list[bytes] = []
        threading.Thread(target=self.serve_forever, args=(0.005,), daemon=True).start()


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self._answer(404)

    def do_POST(self) -> None:
        assert isinstance(self.server, Recorder)
        self.server.bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
        self._answer(201)

    def _answer(self, code: int) -> None:
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *words: Any) -> None:
        """Print nothing."""


@pytest.fixture
def recorder() -> Iterator[Recorder]:
    server = Recorder()
    yield server
    server.shutdown()
    server.server_close()


def sent_by(recorder: Recorder, *words: str) -> Object:
    program = Path(sys.executable).with_name("kubectl")
    server = f"http://127.0.0.1:{recorder.server_port}"
    subprocess.run([program, "--server", server, "--kubeconfig", "/dev/null", *words], capture_output=True, timeout=60)
    return decode(recorder.bodies[-1])


def meta(name: str, **more: object) -> Object:
    return {"name": name, "namespace": "d", **more}


@pytest.mark.parametrize(("words", "sent"), [
    ("create namespace demo", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "demo"}}),
    ("create configmap c -n d --from-literal=a=1",
     {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta("c"), "data": {"a": "1"}}),
    ("create secret generic s -n d --from-literal=a=1",
     {"apiVersion": "v1", "kind": "Secret", "metadata": meta("s"), "data": {"a": "MQ=="}}),
    ("create serviceaccount s -n d", {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": meta("s")}),
    ("create service clusterip s -n d --tcp=80:8080",
     {"apiVersion": "v1", "kind": "Service", "metadata": meta("s", labels={"app": "s"}),
      "spec": {"ports": [{"name": "80-8080", "port": 80, "protocol": "TCP", "targetPort": 8080}],
               "selector": {"app": "s"}, "type": "ClusterIP"}}),
    ("create token t -n d --duration=1h",
     {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"expirationSeconds": 3600}}),
    ("auth can-i --list -n d",
     {"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectRulesReview", "spec": {"namespace": "d"}}),
])
@pytest.mark.slow
def test_kubectls_protobuf_is_decoded(words: str, sent: Object, recorder: Recorder) -> None:
    assert sent_by(recorder, *words.split()) == sent


def test_a_deployment_keeps_the_zeroes_that_were_meant(recorder: Recorder) -> None:
    sent = sent_by(recorder, *["create", "deployment", "x", "-n", "d", "--image=nginx", "--port=80", "--replicas=0"])

    template = {"metadata": {"labels": {"app": "x"}},
                "spec": {"containers": [{"image": "nginx", "name": "nginx", "ports": [{"containerPort": 80}]}]}}
    assert sent["spec"] == {"replicas": 0, "selector": {"matchLabels": {"app": "x"}}, "template": template}


def test_a_kind_without_messages_is_an_unsupported_media_type() -> None:
    with pytest.raises(StatusError, match=r"cannot decode Event in version 'events.k8s.io/v1'") as refused:
        decode(b"k8s\x00\n\x19\n\x10events.k8s.io/v1\x12\x05Event")

    assert refused.value.code == 415


def test_of_a_kind_that_will_be_refused_the_name_is_read(recorder: Recorder) -> None:
    sent = sent_by(recorder, "create", "job", "x", "-n", "d", "--image=busybox")

    assert (sent["kind"], sent["metadata"]["name"], "spec" in sent) == ("Job", "x", False)


@pytest.mark.parametrize("body", [b"", b"{}", b"k8s\x00\xff\xff", b"k8s\x00\n\xff"])
def test_broken_bytes_are_a_bad_request(body: bytes) -> None:
    with pytest.raises(StatusError) as refused:
        decode(body)

    assert refused.value.code in (400, 415)
