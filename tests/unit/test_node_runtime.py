"""The runtime: it has one thread, its table outlives its clients, and its children end with it."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import psutil
import pytest

from kserve_nb.clusters.embedded.node.kubelet.runtime_client import RuntimeClient
from kserve_nb.clusters.embedded.node.protocol import Task
from kserve_nb.clusters.embedded.node.runtime import iris_models
from tests.unit.node_lab import call, runtime

pytestmark = pytest.mark.slow

DEADLINE_S = 60.0


class Client:
    """One connection to the runtime."""

    def __init__(self, path: Path):
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.connect(str(path))
        self._socket.settimeout(DEADLINE_S)
        self._lines = self._socket.makefile("r")

    def send(self, **order: Any) -> None:
        self._socket.sendall(json.dumps(order).encode() + b"\n")

    def hear(self, field: str) -> dict[str, Any]:
        """The next notification about a process that has this value."""
        while True:
            process = json.loads(self._lines.readline()).get("process")
            if process and process[field] is not None:
                return process  # type: ignore[no-any-return]

    def list(self) -> list[dict[str, Any]]:
        self.send(action="list")
        while "processes" not in (message := json.loads(self._lines.readline())):
            pass
        return message["processes"]  # type: ignore[no-any-return]

    def close(self) -> None:
        self._socket.close()


@pytest.fixture(scope="module")
def shared() -> Iterator[tuple[psutil.Process, Path]]:
    """A runtime for the tests that leave it running."""
    with tempfile.TemporaryDirectory(prefix="kserve-nb-") as folder, runtime(Path(folder) / "r.sock") as process:
        yield psutil.Process(process.pid), Path(folder) / "r.sock"


def server_task(folder: Path, id_: str, name: str = "model", **env: str) -> Task:
    models_folder = folder / "mnt/models"
    if not models_folder.exists():
        models_folder.mkdir(parents=True)
        iris_models.save(name, models_folder / "model.joblib")
    args = ["--model_name=sklearn-iris", "--model_dir=/mnt/models", "--http_port=8080"]
    return Task(id_, "server", args, str(folder), str(folder / "log"), 0, env)


def start(client: Client, task: Task) -> dict[str, Any]:
    client.send(action="start", task=asdict(task))
    return client.hear("address")


def wait(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_it_has_one_thread_so_that_forks_are_safe(shared: tuple[psutil.Process, Path], tmp_path: Path) -> None:
    process, path = shared

    start(Client(path), server_task(tmp_path, "one/thread/0"))

    assert process.num_threads() == 1


def test_a_server_listens_on_a_file_that_only_its_owner_can_open(
        shared: tuple[psutil.Process, Path], tmp_path: Path) -> None:
    child = start(Client(shared[1]), server_task(tmp_path, "loop/back/0"))

    file = Path(child["address"].removeprefix("unix:"))

    assert file.is_socket() and file.stat().st_mode & 0o777 == 0o600
    assert psutil.Process(child["pid"]).connections("inet") == []


def test_the_access_log_names_a_client_as_behind_a_port(
        shared: tuple[psutil.Process, Path], tmp_path: Path) -> None:
    child = start(Client(shared[1]), server_task(tmp_path, "ac/cess/0"))

    call(child["address"], "GET", "/v1/models", headers={"X-Forwarded-For": "10.1.2.3"})

    wait(lambda: f'10.1.2.3:0 {child["pid"]} - "GET /v1/models HTTP/1.1" 200 OK' in (tmp_path / "log").read_text())
    assert "Uvicorn running on http://0.0.0.0:8080 (Press CTRL+C to quit)" in (tmp_path / "log").read_text()


def test_the_socket_of_an_ended_server_is_removed(shared: tuple[psutil.Process, Path], tmp_path: Path) -> None:
    child = start(Client(shared[1]), server_task(tmp_path, "so/cket/0"))

    os.kill(child["pid"], signal.SIGKILL)

    wait(lambda: not Path(child["address"].removeprefix("unix:")).exists())


def test_the_table_outlives_a_client(shared: tuple[psutil.Process, Path], tmp_path: Path) -> None:
    first = Client(shared[1])
    child = start(first, server_task(tmp_path, "out/lives/0"))
    first.close()

    os.kill(child["pid"], signal.SIGKILL)
    second = Client(shared[1])
    wait(lambda: any(p["id"] == "out/lives/0" and p["finished"] for p in second.list()))

    row = next(p for p in second.list() if p["id"] == "out/lives/0")
    assert (row["exit_code"], row["signal"], row["out_of_memory"]) == (137, signal.SIGKILL, False)
    second.send(action="forget", id="out/lives/0")
    assert "out/lives/0" not in [p["id"] for p in second.list()]


def test_starting_the_same_twice_starts_one(shared: tuple[psutil.Process, Path], tmp_path: Path) -> None:
    client, task = Client(shared[1]), server_task(tmp_path, "sa/me/0")

    first, second = start(client, task), start(client, task)

    assert first["pid"] == second["pid"]


def test_the_holder_of_an_abandoned_process_is_notified_of_its_end(
        shared: tuple[psutil.Process, Path], tmp_path: Path) -> None:
    async def play() -> None:
        client = RuntimeClient(shared[1], lambda _: None)
        connected = asyncio.create_task(client.run())
        running = await client.start(server_task(tmp_path, "abandoned"))

        client.abandon("abandoned")

        async with asyncio.timeout(DEADLINE_S):
            await running.ended.wait()
        connected.cancel()

    asyncio.run(play())


def test_a_client_that_disconnects_in_the_middle_of_a_line_affects_no_other_client(
    shared: tuple[psutil.Process, Path]
) -> None:
    client = Client(shared[1])
    client._socket.sendall(b'{"do": "li')
    client.close()

    assert isinstance(Client(shared[1]).list(), list)


def test_a_container_sees_only_its_own_environment(shared: tuple[psutil.Process, Path], tmp_path: Path) -> None:
    os.environ["NOT_FOR_PODS"] = "1"
    folder = tmp_path / "mnt/models"
    folder.mkdir(parents=True)
    (folder / "model.pkl").write_bytes(
        b"cos\nsystem\n(S'env > seen'\ntR.")  # a pickle may run any code; this one reports its surroundings

    start(Client(shared[1]), server_task(tmp_path, "en/v/0", K_REVISION="r1"))

    seen = (tmp_path / "seen").read_text()
    assert "K_REVISION=r1" in seen and "TZ=UTC" in seen and "NOT_FOR_PODS" not in seen


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_children_end_with_the_runtime(number: signal.Signals, tmp_path: Path) -> None:
    path = tmp_path / "r.sock"
    with runtime(path) as process:
        child = start(Client(path), server_task(tmp_path, "ends/with/0"))

        process.send_signal(number)

        process.wait(DEADLINE_S)
        wait(lambda: not psutil.pid_exists(child["pid"]))


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a process that its parent died")
def test_all_ends_with_the_runtimes_parent(tmp_path: Path) -> None:
    path = tmp_path / "r.sock"
    code = ("import subprocess, sys\n"
            "child = subprocess.Popen([sys.executable, '-m', 'kserve_nb.clusters.embedded.node.runtime.zygote', "
            f"'--socket', {str(path)!r}])\nprint(child.pid, flush=True)\nchild.wait()")
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    pid = int(parent.stdout.readline())
    wait(path.exists)
    child = start(Client(path), server_task(tmp_path, "ends/too/0"))

    parent.kill()
    parent.wait()

    wait(lambda: not psutil.pid_exists(child["pid"]) and not _alive(pid))


def _alive(pid: int) -> bool:
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE


def post(address: str, method: str, path: str, body: object = None, content_type: str = "application/json"
         ) -> tuple[int, Any]:
    text = body if isinstance(body, str) else json.dumps(body) if body is not None else None
    return call(address, method, path, text, {"Content-Type": content_type})


PREDICT = "/v1/models/sklearn-iris:predict"
ROWS = {"instances": iris_models.PAYLOAD}


@pytest.fixture(scope="module")
def address(shared: tuple[psutil.Process, Path], tmp_path_factory: pytest.TempPathFactory) -> str:
    """A model server, as a pod runs it."""
    task = server_task(tmp_path_factory.mktemp("pod"), "an/swers/0")
    return str(start(Client(shared[1]), task)["address"])


@pytest.mark.parametrize(("method", "path", "body", "code", "answer"), [
    ("GET", "/", None, 200, {"status": "alive"}),
    ("GET", "/v1/models", None, 200, {"models": ["sklearn-iris"]}),
    ("GET", "/v1/models/sklearn-iris", None, 200, {"name": "sklearn-iris", "ready": True}),
    ("GET", "/v1/models/nope", None, 404, {"error": "Model with name nope does not exist."}),
    ("POST", PREDICT, ROWS, 200, {"predictions": [1, 1]}),
    ("POST", PREDICT, {"inputs": iris_models.PAYLOAD}, 200, {"predictions": [1, 1]}),
    ("POST", PREDICT, "{nope", 400, {"error": "Unrecognized request format: unexpected character, expected a string "
                                              "key: line 1 column 2 (char 1)"}),
    ("POST", PREDICT, {"instances": "x"}, 400, {"error": 'Expected "instances" to be a list'}),
    ("POST", PREDICT, {"nope": 1}, 500, {"error": "'instances'"}),
    ("POST", PREDICT, {"instances": [[1, 2]]}, 500,
     {"error": "X has 2 features, but SVC is expecting 4 features as input."}),
    ("GET", PREDICT, None, 404, {"error": "Model with name sklearn-iris:predict does not exist."}),
    ("POST", "/v1/models/sklearn-iris:explain", ROWS, 501, {"error": "Could not find explainer_host."}),
    ("GET", "/nowhere", None, 404, {"detail": "Not Found"}),
    ("GET", "/v2/health/ready", None, 200, {"ready": True}),
    ("GET", "/v2/models/sklearn-iris/ready", None, 200, {"name": "sklearn-iris", "ready": True}),
])
def test_a_server_answers_as_kserves_does(
        address: str, method: str, path: str, body: object, code: int, answer: object) -> None:
    assert post(address, method, path, body) == (code, answer)


def test_a_form_content_type_is_the_known_500(address: str) -> None:
    status, answer = post(address, "POST", PREDICT, ROWS, "application/x-www-form-urlencoded")

    assert status == 500
    assert answer["error"].startswith("Expected 2D array, got scalar array instead")


def test_two_model_files_are_one_too_many(shared: tuple[psutil.Process, Path], tmp_path: Path) -> None:
    client, task = Client(shared[1]), server_task(tmp_path, "two/files/0")
    iris_models.save("model-2", tmp_path / "mnt/models/other.pkl")

    client.send(action="start", task=asdict(task))

    assert client.hear("finished")["exit_code"] == 1
    assert "RuntimeError: More than one model file is detected" in (tmp_path / "log").read_text()


def test_a_crash_shows_paths_of_the_container_and_none_of_the_machine(
        shared: tuple[psutil.Process, Path], tmp_path: Path) -> None:
    client, task = Client(shared[1]), server_task(tmp_path, "no/folder/0")
    (tmp_path / "mnt/models/model.joblib").unlink()
    (tmp_path / "mnt/models").rmdir()

    client.send(action="start", task=asdict(task))

    assert client.hear("finished")["exit_code"] == 1
    log = (tmp_path / "log").read_text()
    assert "FileNotFoundError: [Errno 2] No such file or directory: '/mnt/models'" in log
    assert str(tmp_path) not in log
    assert "kserve_nb" not in log


def test_without_a_model_file_the_server_starts_without_a_model(
        shared: tuple[psutil.Process, Path], tmp_path: Path) -> None:
    task = server_task(tmp_path, "no/model/0")
    (tmp_path / "mnt/models/model.joblib").unlink()

    child = start(Client(shared[1]), task)

    assert post(child["address"], "GET", "/v1/models") == (200, {"models": []})
    assert "fail to locate model file for model sklearn-iris under dir /mnt/models" in (tmp_path / "log").read_text()
