"""Faults in a cluster's surroundings: disks, limits, environments, files in its folder, and the installation."""

from __future__ import annotations

import contextlib
import json
import os
import pickle
import resource
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import joblib
import psutil
import pytest

from kserve_nb import clusters
from kserve_nb.clusters import ClusterError, Record
from kserve_nb.clusters.embedded import log_rotation
from tests.exposure import family
from tests.faults.conftest import (
    command,
    create_namespace,
    eventually,
    has_namespace,
    kubectl,
    part,
    processes_in,
)
from tests.faults.report import report

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
ISVC = """
apiVersion: serving.kserve.io/v1beta1
kind: InferenceService
metadata: {{name: {name}, namespace: default}}
spec: {{predictor: {{model: {{modelFormat: {{name: sklearn}}, storageUri: "{uri}"}}}}}}
"""
TUTORIAL = "gs://kfserving-examples/models/sklearn/1.0/model"


def serve(record: Record, name: str = "iris", uri: str = TUTORIAL) -> None:
    """Create an InferenceService."""
    done = kubectl(record, "apply", "-f", "-", stdin=ISVC.format(name=name, uri=uri))
    assert done.returncode == 0, done.stderr


def is_ready(record: Record, name: str = "iris") -> bool:
    ready = "jsonpath={.status.conditions[?(@.type=='Ready')].status}"
    return kubectl(record, "get", "isvc", name, "-n", "default", "-o", ready).stdout == "True"


def stop(name: str) -> None:
    """Stop a cluster, and merge the write-ahead log into its store, so that one file has all objects."""
    clusters.stop(name)
    with contextlib.closing(sqlite3.connect(clusters.folder(name) / "store.db")) as store:
        store.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def message(error: str) -> str:
    """The last line of an output, short enough for a table."""
    return (error.strip().splitlines() or [""])[-1].replace("|", "/")[:160]


@pytest.fixture
def record() -> Iterator[Record]:
    started = clusters.start("around")
    create_namespace(started, "precious")
    yield started
    clusters.delete("around")


def test_a_disk_that_is_full_refuses_writes_with_the_reason_and_loses_nothing(record: Record) -> None:
    """A limit on the size of files stands for the full disk: SQLite gets the same kind of error."""
    server = part(record, "server")
    assert server is not None
    server.rlimit(resource.RLIMIT_FSIZE, (1, resource.RLIM_INFINITY))

    refused = kubectl(record, "create", "namespace", "refused")
    assert refused.returncode == 1 and "Free disk space and try again" in refused.stderr
    assert has_namespace(record, "precious") and part(record, "server") == server

    began = time.monotonic()
    server.rlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    assert eventually(lambda: kubectl(record, "create", "namespace", "accepted").returncode == 0)
    assert has_namespace(record, "precious")
    report("full disk", lost="0", recovery=f"{time.monotonic() - began:.1f} s", message=message(refused.stderr))


def large(record: Record, number: int) -> subprocess.CompletedProcess[str]:
    """Create a ConfigMap of 900 KB."""
    document = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": f"large-{number}"},
                "data": {"a": "x" * 900_000}}
    return kubectl(record, "create", "-n", "default", "-f", "-", stdin=json.dumps(document))


@pytest.mark.long
@pytest.mark.parametrize("option", ["size=1m", "ro"])
def test_a_real_disk_that_is_full_or_read_only(state_home: Path, option: str) -> None:
    """A small tmpfs is mounted over the state folder, which needs root."""
    state_home.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "none", state_home], check=False).returncode:
        pytest.skip("only root can mount a file system")
    try:
        record = clusters.start("disk")
        create_namespace(record, "precious")
        serve(record)
        assert eventually(lambda: is_ready(record))
        if option == "ro":
            clusters.stop("disk")
            subprocess.run(["mount", "-o", "remount,ro", state_home], check=True)
            refused = command("up", "--name", "disk")
            assert refused.returncode == 1 and "Traceback" not in refused.stderr
        else:
            filler = state_home / "filler"
            with open(filler, "wb") as file, pytest.raises(OSError, match="No space left"):
                while True:
                    file.write(b"x" * (1 << 16))
                    file.flush()
            stored = [large(record, number) for number in range(20)]  # the first ones fit into the store's own files
            refused = next(done for done in stored if done.returncode)
            assert refused.returncode == 1 and "Free disk space" in refused.stderr
            assert part(record, "server") is not None
            assert "DiskPressure" in command("doctor", "--name", "disk").stdout
            filler.unlink()
        subprocess.run(["mount", "-o", "remount,rw", state_home], check=True)
        began = time.monotonic()
        record = clusters.start("disk")
        assert has_namespace(record, "precious") and eventually(lambda: is_ready(record))
        if option != "ro":
            kept = set(kubectl(record, "get", "configmaps", "-n", "default", "-o", "name").stdout.split())
            assert {f"configmap/large-{n}" for n, done in enumerate(stored) if done.returncode == 0} <= kept
        report(f"tmpfs for the state folder, {option}", recovery=f"{time.monotonic() - began:.1f} s",
               message=message(refused.stderr))
        clusters.delete("disk")
    finally:
        clusters.delete("disk")
        subprocess.run(["umount", "-l", state_home], check=False)


def too_few(supervisor: psutil.Process, limit: int) -> int:
    """A limit with which the supervisor keeps running, but cannot start another process."""
    if limit == resource.RLIMIT_NPROC:
        return 1
    if limit == resource.RLIMIT_AS:  # a server needs more than its supervisor
        return supervisor.memory_info().vms + (4 << 20)
    used = {int(path.name) for path in Path(f"/proc/{supervisor.pid}/fd").iterdir()}
    return next(number for number in range(1000) if number not in used) + 1  # one is free, and soon a second one


@pytest.mark.parametrize("limit", [
    pytest.param(resource.RLIMIT_NOFILE, id="files", marks=pytest.mark.long),
    pytest.param(resource.RLIMIT_AS, id="memory", marks=pytest.mark.long),
    pytest.param(resource.RLIMIT_NPROC, id="processes", marks=pytest.mark.long)])
def test_a_server_that_cannot_be_restarted_is_reported_and_comes_back_with_all_objects(
    record: Record, limit: int
) -> None:
    supervisor, server = part(record, "supervisor"), part(record, "server")
    assert supervisor is not None and server is not None
    before = supervisor.rlimit(limit)
    supervisor.rlimit(limit, (too_few(supervisor, limit), before[1]))
    server.kill()
    if limit != resource.RLIMIT_NPROC:  # root may have any number of processes
        assert eventually(lambda: "server is crash-looping" in clusters.status(record).reason)
    why = clusters.status(record).reason

    began = time.monotonic()
    supervisor.rlimit(limit, before)

    assert eventually(lambda: clusters.status(record).ready) and has_namespace(record, "precious")
    name = {resource.RLIMIT_NOFILE: "open files", resource.RLIMIT_AS: "memory"}.get(limit, "processes")
    report(f"no {name} are left when the server is killed", recovery=f"{time.monotonic() - began:.1f} s",
           message=message(why))


@pytest.mark.long
def test_a_virtual_environment_that_is_rebuilt_under_a_cluster(state_home: Path, tmp_path: Path) -> None:
    link = tmp_path / "venv"
    link.symlink_to(Path(sys.prefix).resolve())
    up = [str(link / "bin/python"), "-c", "from kserve_nb.cli import main; main()", "up", "--name", "venv"]
    assert subprocess.run(up, capture_output=True, check=False).returncode == 0
    record = clusters.existing("venv")
    create_namespace(record, "precious")
    server = part(record, "server")
    assert server is not None

    link.unlink()
    server.kill()
    assert eventually(lambda: "server is crash-looping" in clusters.status(record).reason)
    why = clusters.status(record).reason
    began = time.monotonic()
    link.symlink_to(Path(sys.prefix).resolve())

    assert eventually(lambda: clusters.status(record).ready) and has_namespace(record, "precious")
    report("virtual environment removed and rebuilt", recovery=f"{time.monotonic() - began:.1f} s",
           message=message(why))
    clusters.delete("venv")


VARIANTS: dict[str, dict[str, str | None]] = {
    "TMPDIR of 150 characters": {"TMPDIR": "{tmp}/" + "t" * 150}, "TMPDIR missing": {"TMPDIR": "/no/such/folder"},
    "TMPDIR with blanks": {"TMPDIR": "{tmp}/a b"}, "no HOME": {"HOME": None}, "HOME missing": {"HOME": "{tmp}/no/home"},
    "LANG=C": {"LANG": "C", "LC_ALL": "C"}, "an unknown locale": {"LC_ALL": "xx_YY.UTF-8"},
    "TZ=Pacific/Apia": {"TZ": "Pacific/Apia"}, "an unknown TZ": {"TZ": "No/Where"},
    "a proxy": {"HTTPS_PROXY": "http://127.0.0.1:9", "http_proxy": "http://127.0.0.1:9"},
    "a state path with a quote, a blank, a newline and an umlaut": {"XDG_STATE_HOME": "{tmp}/st 'ä\n\"x"},
    "a state path of 200 characters": {"XDG_STATE_HOME": "{tmp}/" + "s" * 120},
    "a broken KUBECONFIG": {"KUBECONFIG": "/dev/null"}, "python -O": {"PYTHONOPTIMIZE": "2"},
}


@pytest.mark.long
@pytest.mark.parametrize("name", list(VARIANTS))
def test_unusual_environments(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for key, value in VARIANTS[name].items():
        if value is None:
            monkeypatch.delenv(key, raising=False)
        else:
            monkeypatch.setenv(key, value.format(tmp=tmp_path))
            if value.startswith("{tmp}") and key == "TMPDIR":
                Path(os.environ[key]).mkdir()
    started = command("up", "--name", "odd")
    assert started.returncode == 0, started.stderr
    record = clusters.existing("odd")
    began = time.monotonic()
    serve(record)
    assert eventually(lambda: is_ready(record)), kubectl(record, "get", "pods", "-A").stdout
    ready_s = time.monotonic() - began
    processes = family(record)
    assert command("down", "--name", "odd").returncode == 0
    assert psutil.wait_procs(processes, timeout=60)[1] == [] and not clusters.folder("odd").exists()
    report(name, objects="all served", recovery=f"model ready in {ready_s:.1f} s")


@pytest.mark.long
@pytest.mark.parametrize("umask", [0o000, 0o077, 0o777])
def test_unusual_umasks(umask: int) -> None:
    before = os.umask(umask)
    try:
        started = command("up", "--name", "mask")
    finally:
        os.umask(before)
    if started.returncode:  # with 0777 only root can read the created files
        report(f"umask {umask:03o}", objects="none", message=message(started.stderr))
        assert umask == 0o777 and "Traceback" not in started.stderr
        return
    serve(record := clusters.existing("mask"))
    assert eventually(lambda: is_ready(record))
    clusters.delete("mask")
    report(f"umask {umask:03o}", objects="all served")


FILES = ("cluster.json", "cluster.copy.json", "health.json", "used", "supervisor.lock", "kubeconfig", "tls.crt",
         "tls.key", "envoy/bootstrap.json", "envoy/clusters.json", "envoy/routes.json", "store.db-wal", "store.db")


DAMAGES: dict[str, bytes | None] = {"empty": b"", "garbage": b"\x00garbage\xff{", "gone": None}


@pytest.mark.long
@pytest.mark.parametrize("file", FILES)
def test_damaged_files_of_a_stopped_cluster(record: Record, file: str) -> None:
    path, store = clusters.folder("around") / file, clusters.folder("around") / "store.db"
    for damage, content in DAMAGES.items():
        stop("around")
        kept = path.read_bytes() if path.exists() else None
        path.unlink(missing_ok=True)
        if content is not None:
            path.write_bytes(content)
        before, began = store.read_bytes() if store.exists() else b"", time.monotonic()

        up = command("up", "--name", "around")

        took_s, objects = time.monotonic() - began, "all kept"
        assert "Traceback" not in up.stderr, up.stderr
        if up.returncode:
            assert message(up.stderr).startswith("kserve-nb: Cannot ") and store.read_bytes() == before
            path.unlink(missing_ok=True)
            if kept is not None:
                path.write_bytes(kept)
            assert has_namespace(clusters.start("around"), "precious")
        elif path == store:
            assert damage != "garbage" and "without objects" in up.stderr
            objects = "none, as announced"
            clusters.stop("around")
            for each in (path, *path.parent.glob("store.db-*")):
                each.unlink(missing_ok=True)
            path.write_bytes(kept or b"")
            clusters.start("around")
        assert has_namespace(clusters.existing("around"), "precious")
        report(f"{file} {damage}", objects=objects, recovery=f"{took_s:.1f} s",
               message=message(up.stderr) if up.returncode else "–")


class Flood:
    """A model that prints 100 MB while it is loaded, when unpickled."""

    def __reduce__(self) -> tuple[object, ...]:
        code = "print('\\n'.join(['flood ' * 20] * 8000)) or 'x' * 0"
        return eval, (f"[{code} for _ in range(105)]",)


@pytest.mark.long
def test_a_model_that_writes_without_end_neither_fills_the_disk_nor_blocks_the_cluster(
    record: Record, tmp_path: Path
) -> None:
    (tmp_path / "flood").mkdir()
    joblib.dump(Flood(), tmp_path / "flood/model.joblib", protocol=pickle.HIGHEST_PROTOCOL)
    serve(record, "flood", f"file://{tmp_path}/flood")
    logs = clusters.folder("around") / "pods"

    assert eventually(lambda: any(logs.rglob("kserve-container/*.log.1")), 120)
    assert has_namespace(record, "precious")

    def sizes() -> list[int]:
        return [path.stat().st_size for path in logs.rglob("kserve-container/*.log*") if path.exists()]

    assert eventually(lambda: max(sizes(), default=0) < 11 * log_rotation.MAX_BYTES)
    report("a model prints 100 MB whenever it is loaded", message=f"largest log {max(sizes()) >> 20} MiB")


@pytest.mark.long
def test_up_down_and_run_at_the_same_time(state_home: Path, tmp_path: Path) -> None:
    notebook = Path(__file__).parents[2] / "notebooks" / "00_setup.ipynb"
    shutil.copy(notebook, tmp_path)
    words = [["up"], ["run", "--output", str(tmp_path / "out"), str(tmp_path / notebook.name)], ["down"], ["up"],
             ["stop"], ["down"], ["up"]]
    code = "from kserve_nb.cli import main; main()"
    started = [subprocess.Popen([sys.executable, "-c", code, *each, "--name", "race"], stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, text=True) for each in words]
    outputs = [process.communicate(timeout=300) for process in started]

    assert not any("Traceback" in error for _, error in outputs), [error for _, error in outputs]
    record = clusters.read("race")
    supervisors = [process for process in processes_in(state_home) if "supervisor" in " ".join(process.cmdline())]
    assert len(supervisors) <= (record is not None)
    clusters.delete("race")
    assert eventually(lambda: processes_in(state_home) == [], 30)
    codes = {" ".join(each[:1]): process.returncode for each, process in zip(words, started, strict=True)}
    report("up, down, stop and run of one name at the same time", message=f"exit codes {codes}")


@pytest.mark.long
def test_a_cluster_that_cannot_be_resumed_is_kept(record: Record) -> None:
    stop("around")
    store = clusters.folder("around") / "store.db"
    before = store.read_bytes()
    store.write_bytes(b"no database" * 100)

    with pytest.raises(ClusterError, match=r"Cannot open the cluster's store .*: file is not a database"):
        clusters.start("around")

    assert store.read_bytes() == b"no database" * 100
    for extra in store.parent.glob("store.db-*"):
        extra.unlink()
    store.write_bytes(before)
    assert has_namespace(clusters.start("around"), "precious")
