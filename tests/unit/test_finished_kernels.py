"""The next notebook of the course stops the kernels of those before it."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from kserve_nb.magics import finished_kernels
from kserve_nb.magics.finished_kernels import stop_finished_kernels


class Jupyter:
    """The sessions API of a Jupyter server."""

    def __init__(self) -> None:
        self.sessions: list[dict[str, Any]] = []
        self.deleted: list[str] = []
        jupyter = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                assert self.headers["Authorization"] == "token secret"
                self._respond(200, json.dumps(jupyter.sessions).encode())

            def do_DELETE(self) -> None:
                jupyter.deleted.append(self.path.rpartition("/")[2])
                self._respond(204, b"")

            def _respond(self, code: int, body: bytes) -> None:
                self.send_response(code)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_args: Any) -> None:
                """Print nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()

    def opens(self, id_: str, path: str, state: str = "idle") -> None:
        self.sessions.append({"id": id_, "path": path, "kernel": {"execution_state": state}})


@pytest.fixture
def jupyter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Jupyter]:
    started = Jupyter()
    runtime = {"url": f"http://127.0.0.1:{started.server.server_port}/", "token": "secret"}
    (tmp_path / "jpserver-42.json").write_text(json.dumps(runtime))
    monkeypatch.setattr(finished_kernels, "jupyter_runtime_dir", lambda: str(tmp_path))
    yield started
    started.server.shutdown()
    started.server.server_close()


def environ(own: str, course: str = "1") -> dict[str, str]:
    return {"KSERVE_NB_COURSE": course, "JPY_PARENT_PID": "42", "JPY_SESSION_NAME": own}


def test_idle_kernels_of_earlier_notebooks_are_stopped(jupyter: Jupyter) -> None:
    jupyter.opens("a", "00_setup.ipynb")
    jupyter.opens("b", "01_first.ipynb", "busy")
    jupyter.opens("c", "02_ingress.ipynb")
    jupyter.opens("d", "03_canary.ipynb")
    jupyter.opens("e", "my-own.ipynb")

    stopped = stop_finished_kernels(environ("/home/me/course/02_ingress.ipynb"))

    assert stopped == ("00_setup.ipynb",)
    assert jupyter.deleted == ["a"]


def test_a_server_that_is_not_for_the_course_is_left_alone(jupyter: Jupyter) -> None:
    jupyter.opens("a", "00_setup.ipynb")

    assert stop_finished_kernels(environ("02_ingress.ipynb", course="")) == ()
    assert jupyter.deleted == []


def test_another_notebook_stops_nothing(jupyter: Jupyter) -> None:
    jupyter.opens("a", "00_setup.ipynb")

    assert stop_finished_kernels(environ("my-own.ipynb")) == ()
    assert jupyter.deleted == []


def test_a_server_that_is_gone_is_no_error(jupyter: Jupyter) -> None:
    jupyter.server.shutdown()
    jupyter.server.server_close()

    assert stop_finished_kernels(environ("02_ingress.ipynb")) == ()
