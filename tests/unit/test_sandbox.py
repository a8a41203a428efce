"""A model's code, run in a pod: what it can reach of the user's files, network and processes, and how it ends."""

from __future__ import annotations

import json
import os
import pickle
import signal
import socket
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest

from kserve_nb.clusters.embedded.node.protocol import Task
from kserve_nb.clusters.embedded.node.runtime import landlock, sandbox, seccomp
from tests.unit.node_lab import runtime
from tests.unit.test_node_runtime import Client, server_task, start, wait

pytestmark = pytest.mark.slow  # each test starts a model runtime or a process that enters the sandbox

SETUP = '''
import json, os, socket, subprocess, sys
found = {}
def attempt(name, action):
    try:
        action()
        found[name] = "allowed"
    except OSError as error:
        found[name] = type(error).__name__
'''
REPORT = "\njson.dump(found, open('draft', 'w')); os.rename('draft', 'found')\n"

has_landlock = pytest.mark.skipif(landlock.version() < 6, reason="this kernel has no Landlock, or an old one")
has_seccomp = pytest.mark.skipif(not seccomp.is_available(), reason="this system has no seccomp")
only_linux = pytest.mark.skipif(sys.platform != "linux", reason="only Linux hands orphans to an ancestor")


class Model:
    """A pickle that runs code when it is loaded, as any pickle may."""

    def __init__(self, code: str):
        self._code = code

    def __reduce__(self) -> tuple[Any, ...]:
        return exec, (self._code, {})


@pytest.fixture(scope="module")
def shared() -> Iterator[Path]:
    """The socket file of a runtime for the tests of this module."""
    with tempfile.TemporaryDirectory(prefix="kserve-nb-") as folder, runtime(Path(folder) / "r.sock"):
        yield Path(folder) / "r.sock"


def task_of(folder: Path, code: str, **changes: Any) -> Task:
    """A task whose model runs `code`, in a container below the folder."""
    root = folder / "pod"
    (root / "mnt/models").mkdir(parents=True, exist_ok=True)
    (root / "mnt/models/model.pkl").write_bytes(pickle.dumps(Model(code)))
    return replace(server_task(root, str(folder)), **changes)


def run(path: Path, task: Task) -> dict[str, Any]:
    """Start a task, and return its process once it listens."""
    return start(Client(path), task)


def attempts(path: Path, folder: Path, code: str, **changes: Any) -> dict[str, str]:
    """The result of each attempt that a model has made."""
    task = task_of(folder, SETUP + code + REPORT, **changes)
    run(path, task)
    found: dict[str, str] = json.loads((Path(task.root) / "found").read_text())
    return found


@has_landlock
def test_a_model_reads_and_writes_its_own_files_only(shared: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("")
    (tmp_path / "mounted").mkdir()
    (tmp_path / "mounted/model").write_text("")
    (tmp_path / "scratch").mkdir()

    found = attempts(shared, tmp_path, f'''
attempt("secret", lambda: open({str(tmp_path / "secret")!r}))
attempt("a list of the user's files", lambda: os.listdir({str(tmp_path)!r}))
attempt("a new file outside", lambda: open({str(tmp_path / "new")!r}, "w"))
attempt("a link to a secret", lambda: (os.symlink({str(tmp_path / "secret")!r}, "link"), open("link")))
attempt("another process", lambda: open("/proc/{os.getpid()}/environ"))
attempt("the mounted model", lambda: open({str(tmp_path / "mounted/model")!r}))
attempt("a change of the mounted model", lambda: open({str(tmp_path / "mounted/model")!r}, "w"))
attempt("a writable mount", lambda: open({str(tmp_path / "scratch/new")!r}, "w"))
attempt("its own folder", lambda: open("own", "w"))
attempt("its own temporary folder", lambda: open(os.environ["TMPDIR"] + "/own", "w"))
attempt("a program", lambda: subprocess.run(["true"], check=True))
''', readable=[str(tmp_path / "mounted")], writable=[str(tmp_path / "scratch")])

    allowed = {name for name, result in found.items() if result == "allowed"}
    assert allowed == {"the mounted model", "a writable mount", "its own folder", "its own temporary folder",
                       "a program"}
    assert {result for name, result in found.items() if name not in allowed} == {"PermissionError"}


@has_landlock
@has_seccomp
def test_a_model_reaches_no_network_and_no_other_process(shared: Path, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        found = attempts(shared, tmp_path, f'''
attempt("a port of this machine", lambda: socket.create_connection({server.getsockname()!r}))
attempt("a name server", lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
attempt("the runtime", lambda: socket.socket(socket.AF_UNIX).connect({str(shared)!r}))
attempt("a signal to the user's process", lambda: os.kill({os.getpid()}, 0))
attempt("a signal to itself", lambda: os.kill(os.getpid(), 0))
attempt("a pair of sockets", socket.socketpair)
''')

    assert {name for name, result in found.items() if result == "allowed"} == {
        "a signal to itself", "a pair of sockets"}


def test_a_model_has_its_own_home_and_a_clean_environment(
        shared: Path, tmp_path: Path) -> None:
    code = "import json, os\njson.dump(dict(os.environ), open('found', 'w'))"
    task = task_of(tmp_path, code, env={"K_REVISION": "r1"})

    run(shared, task)

    found = json.loads((Path(task.root) / "found").read_text())
    assert found["HOME"] == task.root and found["TMPDIR"] == f"{task.root}/tmp" and found["K_REVISION"] == "r1"
    assert set(found) <= {"HOME", "TMPDIR", "K_REVISION", "TZ", "PATH", "LANG", "LC_CTYPE", "KSERVE_NB_CLUSTER_ID"}


@has_landlock
def test_a_sandbox_that_cannot_be_entered_starts_no_model(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    from kserve_nb.clusters.embedded.node.runtime import child

    def refuse(task: Task) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(sandbox, "enter", refuse)

    assert child._run_restricted(task_of(tmp_path, ""), -1, None) == child.SANDBOX_FAILED
    assert "start the cluster with KSERVE_NB_SANDBOX=off" in capsys.readouterr().err


def test_without_a_sandbox_models_run_and_the_level_is_stated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(sandbox.SWITCH, "off")
    (tmp_path / "secret").write_text("")
    with runtime(tmp_path / "r.sock"):
        found = attempts(tmp_path / "r.sock", tmp_path,
                         f"attempt('secret', lambda: open({str(tmp_path / 'secret')!r}))\n")

    assert found == {"secret": "allowed"}
    assert sandbox.level() == "none: KSERVE_NB_SANDBOX=off. Models run with your rights"


@pytest.mark.parametrize(("files", "calls", "level"), [
    (7, True, "full: models can read their own files only, and cannot open network connections"),
    (5, True, "partial: models can read their own files only, and cannot open network connections or inspect other "
              "processes, but they can send signals to your processes, since Landlock is older than version 6"),
    (0, True, "partial: models cannot open network connections or inspect other processes, but can read and write"),
    (0, False, "none: this system has neither Landlock nor seccomp. Models run with your rights"),
])
def test_the_level_depends_on_the_kernel(
        files: int, calls: bool, level: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(landlock, "version", lambda: files)
    monkeypatch.setattr(seccomp, "is_available", lambda: calls)

    assert sandbox.level().startswith(level)


SPAWN = '''
import os, subprocess
child = subprocess.Popen(["sleep", "3333"], start_new_session={new_session})
open("draft", "w").write(str(child.pid)); os.rename("draft", "child")
'''


@pytest.mark.parametrize("new_session", [False, pytest.param(True, marks=only_linux)])
def test_children_of_a_model_end_with_its_container(new_session: bool, shared: Path, tmp_path: Path) -> None:
    task = task_of(tmp_path, SPAWN.format(new_session=new_session))
    process = run(shared, task)
    child = psutil.Process(int((Path(task.root) / "child").read_text()))
    assert child.is_running()

    os.kill(process["pid"], signal.SIGKILL)

    wait(lambda: not child.is_running())


@only_linux
def test_children_of_a_model_outlive_other_containers(shared: Path, tmp_path: Path) -> None:
    task = task_of(tmp_path, "import os\nif os.fork() == 0:\n    if os.fork() == 0:\n        open('child', 'w').write("
                             "str(os.getpid()))\n        os.execvp('sleep', ['sleep', '3333'])\n    os._exit(0)\n")
    run(shared, task)
    wait(lambda: (Path(task.root) / "child").exists() and (Path(task.root) / "child").read_text() != "")
    child = psutil.Process(int((Path(task.root) / "child").read_text()))
    (tmp_path / "other").mkdir()
    other = run(shared, task_of(tmp_path / "other", ""))

    os.kill(other["pid"], signal.SIGKILL)

    client = Client(shared)
    wait(lambda: any(p["id"] == other["id"] and p["finished"] for p in client.list()))
    assert child.is_running()


@only_linux
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_children_of_a_model_end_with_the_runtime(number: signal.Signals, tmp_path: Path) -> None:
    task = task_of(tmp_path, SPAWN.format(new_session=number == signal.SIGTERM))
    with runtime(tmp_path / "r.sock") as process:
        run(tmp_path / "r.sock", task)
        child = psutil.Process(int((Path(task.root) / "child").read_text()))

        process.send_signal(number)
        process.wait(60)

        if number == signal.SIGTERM:  # after SIGKILL the supervisor ends the remaining processes
            wait(lambda: not child.is_running())
        else:
            child.kill()


@only_linux
@pytest.mark.parametrize("code", ["x = bytearray(3 << 30)", "x = [bytearray(1 << 20) for _ in range(4000)]"])
def test_a_model_that_allocates_more_than_its_limit_is_out_of_memory(code: str, shared: Path, tmp_path: Path) -> None:
    client = Client(shared)

    client.send(action="start", task={**task_of(tmp_path, code).__dict__, "memory_bytes": 1 << 30})

    process = client.hear("finished")
    assert (process["out_of_memory"], process["signal"]) == (True, signal.SIGKILL)


def test_a_container_writes_no_core_file_and_no_endless_file(shared: Path, tmp_path: Path) -> None:
    task = task_of(tmp_path, "import json, resource\njson.dump([resource.getrlimit(resource.RLIMIT_CORE), "
                             "resource.getrlimit(resource.RLIMIT_FSIZE)], open('found', 'w'))")

    run(shared, task)

    core, size = json.loads((Path(task.root) / "found").read_text())
    assert core == [0, 0] and size[0] == size[1] == sandbox.MAX_FILE_BYTES
