"""After any fault a cluster's objects are still there, or a message says why not, and no process is left."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import nbformat
import psutil
import pytest

from kserve_nb import clusters
from kserve_nb.clusters import ClusterError, Record
from kserve_nb.clusters.embedded.supervision import supervisor_control
from tests.exposure import family
from tests.faults.conftest import (
    KSERVE_NB,
    command,
    create_namespace,
    eventually,
    has_namespace,
    processes_in,
)

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


def test_a_step_of_the_clock_neither_ends_a_cluster_nor_hides_its_processes(
    state_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = clusters.start("clock")
    create_namespace(record, "precious")

    real = psutil.Process.create_time
    monkeypatch.setattr(psutil.Process, "create_time", lambda process: real(process) + 10)
    monkeypatch.setattr(time, "time", lambda now=time.time: now() + 10)

    assert clusters.status(record).ready
    assert clusters.start("clock") == record
    assert has_namespace(record, "precious")
    assert clusters.delete("clock") == "deleted"
    assert not clusters.folder("clock").exists() and processes_in(state_home) == []


def test_a_run_deletes_only_the_cluster_that_it_created(tmp_path: Path) -> None:
    notebook, started, goes_on = tmp_path / "wait.ipynb", tmp_path / "started", tmp_path / "goes-on"
    wait = f"import pathlib, time\npathlib.Path({str(started)!r}).touch()\n" \
           f"while not pathlib.Path({str(goes_on)!r}).exists():\n    time.sleep(0.1)"
    nbformat.write(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(wait)]), notebook)
    run = subprocess.Popen([*KSERVE_NB, "run", "--name", "mine", "--output", str(tmp_path / "out"), str(notebook)],
                           stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert eventually(started.exists, 120)

    assert clusters.delete("mine") == "deleted"  # the user thinks that the run hangs, and starts a cluster
    record = clusters.start("mine")
    create_namespace(record, "precious")
    goes_on.touch()
    output, _ = run.communicate(timeout=120)

    assert "1 passed" in output
    assert clusters.status(record).ready and has_namespace(record, "precious")
    clusters.delete("mine")


def test_starts_and_deletions_at_the_same_time_leave_nothing_that_no_command_finds(state_home: Path) -> None:
    words = [["up"]] * 3 + [["down"]] + [["up"]] * 3 + [["down"]]
    with ThreadPoolExecutor(len(words)) as pool:
        done = list(pool.map(lambda each: command(*each, "--name", "race"), words))
    assert [each.stderr for each in done if each.returncode] == []

    record = clusters.read("race")
    running = [process for process in processes_in(state_home) if "supervisor" in " ".join(process.cmdline())]
    assert [process.pid for process in running] == ([] if record is None else [record.pid])

    assert command("down", "--name", "race").returncode == 0
    assert processes_in(state_home) == [] and not clusters.folder("race").exists()


def test_a_supervisor_whose_folder_was_removed_ends_without_harm_to_a_newer_cluster(state_home: Path) -> None:
    old = clusters.start("again")
    processes = family(old)
    shutil.rmtree(clusters.folder("again"))

    new = clusters.start("again")
    create_namespace(new, "precious")

    assert psutil.wait_procs(processes, timeout=30)[1] == []
    assert clusters.status(new).ready and has_namespace(new, "precious")
    clusters.delete("again")


def test_a_supervisor_ends_by_itself_when_its_folder_is_removed(state_home: Path) -> None:
    processes = family(clusters.start("gone"))

    shutil.rmtree(clusters.folder("gone"))

    assert psutil.wait_procs(processes, timeout=60)[1] == []


@pytest.mark.parametrize("text", [None, "{", "[1]"])
def test_a_running_cluster_writes_a_lost_record_again(text: str | None) -> None:
    record = clusters.start("lost")
    files = [clusters.folder("lost") / name for name in ("cluster.json", "cluster.copy.json")]

    for file in files:
        file.unlink() if text is None else file.write_text(text)

    def is_back() -> bool:
        try:
            return clusters.read("lost") == record
        except ClusterError:
            return False

    assert eventually(is_back)
    assert clusters.status(record).ready
    clusters.delete("lost")


def test_a_cluster_without_a_readable_record_is_deleted_with_its_processes(state_home: Path) -> None:
    record = clusters.start("broken")
    psutil.Process(record.pid).suspend()  # it cannot write its record again
    for name in ("cluster.json", "cluster.copy.json"):
        (clusters.folder("broken") / name).write_text("{")

    refused = command("status", "--name", "broken")
    assert refused.returncode == 1 and "Cannot read" in refused.stderr and "down" not in refused.stderr
    assert command("down", "--name", "broken").stdout == "cluster 'broken' is deleted\n"

    assert processes_in(state_home) == [] and not clusters.folder("broken").exists()


def test_a_cluster_that_was_taken_over_outlives_its_owner() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as owner:
        record = clusters.start("owned", owner=owner.pid)
        create_namespace(record, "precious")

        taken = command("up", "--name", "owned")

    assert f"was going to stop with process {owner.pid}. Now it runs until you stop it" in taken.stderr
    assert not eventually(lambda: not clusters.status(record).ready, 6)  # three checks of the supervisor
    assert has_namespace(record, "precious")
    clusters.delete("owned")


def test_a_cluster_whose_owner_has_ended_is_resumed_with_objects_kubeconfig_and_ports() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as owner:
        record = clusters.start("resumed", owner=owner.pid)
        create_namespace(record, "precious")
        kubeconfig = Path(record.kubeconfig).read_text()
    assert eventually(lambda: clusters.status(record).state == "stopped")

    resumed = command("up", "--name", "resumed")

    assert f"was stopped (its owner, process {owner.pid}, has ended). Resuming it with its objects." in resumed.stderr
    assert Path(record.kubeconfig).read_text() == kubeconfig
    assert clusters.existing("resumed").ingress == record.ingress
    assert has_namespace(record, "precious")
    clusters.delete("resumed")


def test_a_stopped_cluster_resumes_on_other_ports_if_its_own_are_in_use() -> None:
    record = clusters.start("ports")
    create_namespace(record, "precious")
    clusters.stop("ports")
    host, port = record.ingress.split(":")
    with socket.create_server((host, int(port))), socket.create_server((host, record.api_port)):
        moved = command("up", "--name", "ports")

    assert moved.returncode == 0, moved.stderr
    assert f"Another program uses port {port}: the ingress gateway is now at" in moved.stderr
    assert f"Another program uses port {record.api_port}: the API server is now at" in moved.stderr
    assert has_namespace(clusters.existing("ports"), "precious")
    clusters.delete("ports")


def test_a_port_that_another_program_takes_during_the_start_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    launch, taken, lines = supervisor_control.launch, list[socket.socket](), list[str]()

    def late(record: Record, folder: Path) -> subprocess.Popen[bytes]:
        if not taken:
            taken.append(socket.create_server(("127.0.0.1", record.api_port)))
        return launch(record, folder)

    monkeypatch.setattr(supervisor_control, "launch", late)
    record = clusters.start("late", notify=lines.append)
    taken[0].close()

    assert clusters.status(record).ready
    assert any("the API server is now at" in line for line in lines)
    clusters.delete("late")


def test_a_store_that_is_gone_is_not_announced_as_objects() -> None:
    record = clusters.start("emptied")
    create_namespace(record, "precious")
    clusters.stop("emptied")
    for file in clusters.folder("emptied").glob("store.db*"):
        file.unlink()

    resumed = command("up", "--name", "emptied")

    assert "Resuming it without objects: its store is missing or empty." in resumed.stderr
    clusters.delete("emptied")


@pytest.mark.parametrize("part", ["node.runtime.zygote", "embedded.server"])
def test_a_part_that_cannot_start_ends_up_at_once_with_its_last_log_line(
    part: str, state_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "sitecustomize.py").write_text(
        f"import sys\nif {part!r} in ' '.join(sys.orig_argv): sys.exit('broken on purpose')\n")
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")

    with pytest.raises(ClusterError, match=r"(runtime|server) ends again and again, .*\| .*broken on purpose.*\.log"):
        clusters.start("crash")

    assert processes_in(state_home) == []
    record = clusters.existing("crash")
    monkeypatch.undo()
    monkeypatch.setenv("XDG_STATE_HOME", str(state_home))
    assert clusters.start("crash").id == record.id
    clusters.delete("crash")


def test_processes_that_a_killed_cluster_has_left_end_with_its_deletion(state_home: Path) -> None:
    record = clusters.start("left")
    stray = subprocess.Popen(["sleep", "1000"], env={**os.environ, "KSERVE_NB_CLUSTER_ID": record.id},
                             start_new_session=True)
    psutil.Process(record.pid).kill()

    clusters.delete("left")

    assert eventually(lambda: stray.poll() is not None, 10)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_the_workers_of_a_parallel_run_end_with_it(number: signal.Signals, state_home: Path, tmp_path: Path) -> None:
    notebooks = []
    for name in ("a", "b"):
        cell = nbformat.v4.new_code_cell(f"import pathlib, time\npathlib.Path({str(tmp_path / name)!r}).touch()\n"
                                         "time.sleep(250)")
        notebooks.append(tmp_path / f"{name}.ipynb")
        nbformat.write(nbformat.v4.new_notebook(cells=[cell]), notebooks[-1])
    run = subprocess.Popen([*KSERVE_NB, "run", "--parallel", "2", "--output", str(tmp_path / "out"),
                            *map(str, notebooks)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    assert eventually(lambda: (tmp_path / "a").exists() and (tmp_path / "b").exists(), 200)
    assert len(clusters.names()) == 2

    run.send_signal(number)
    run.wait()

    assert eventually(lambda: processes_in(state_home) == [], 60), [p.cmdline() for p in processes_in(state_home)]
    assert clusters.names() == []


def test_a_forgotten_temporary_cluster_is_deleted_by_the_next_command(state_home: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as owner:
        record = clusters.start("run-1-0", owner=owner.pid, temporary=True)
    assert eventually(lambda: clusters.status(record).state == "stopped")

    clusters.delete_abandoned()

    assert clusters.names() == [] and list(state_home.rglob("*.lock")) == []


@pytest.mark.long
def test_a_stored_object_that_cannot_be_read_is_named_by_up_and_by_status() -> None:
    record = clusters.start("row")
    create_namespace(record, "precious")
    create_namespace(record, "damaged")
    clusters.stop("row")
    with contextlib.closing(sqlite3.connect(clusters.folder("row") / "store.db")) as store:
        store.execute("UPDATE objects SET data = '{' WHERE resource LIKE 'namespaces%' AND name = 'damaged'")
        store.commit()

    resumed, shown = command("up", "--name", "row"), command("status", "--name", "row")

    line = "problem     Cannot read namespaces damaged from the store: "
    assert resumed.returncode == 0 and line in resumed.stderr
    assert shown.returncode == 0 and line in shown.stdout
    assert "The object is missing until you apply it again" in shown.stdout
    assert has_namespace(record, "precious") and not has_namespace(record, "damaged")
    create_namespace(record, "damaged")
    clusters.stop("row")
    assert "problem" not in command("up", "--name", "row").stderr
    clusters.delete("row")
