"""An embedded cluster starts, survives faults, and leaves nothing behind."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
import requests

from kserve_nb import clusters
from kserve_nb.clusters import process_identity, state
from kserve_nb.clusters.state import ClusterError, Record
from tests import exposure
from tests.exposure import family

HOST = {"Host": "sklearn-iris-predictor.kserve-test.example.com"}
BODY = {"instances": [[6.8, 2.8, 4.8, 1.4], [6.0, 3.4, 4.5, 1.6]]}
MANIFEST = """
apiVersion: serving.kserve.io/v1beta1
kind: InferenceService
metadata: {name: sklearn-iris}
spec:
  predictor:
    model:
      modelFormat: {name: sklearn}
      storageUri: gs://kfserving-examples/models/sklearn/1.0/model
"""


def eventually(claim: Callable[[], bool], timeout_s: float = 30) -> bool:
    """Whether the condition becomes true before the deadline."""
    deadline = time.monotonic() + timeout_s
    while not (held := claim()) and time.monotonic() < deadline:
        time.sleep(0.02)
    return held


def part(record: Record, word: str) -> psutil.Process:
    return next(p for p in psutil.Process(record.pid).children() if any(word in arg for arg in p.cmdline()))


def kubectl(record: Record, *args: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["kubectl", "--kubeconfig", record.kubeconfig, *args], input=stdin, capture_output=True,
                          text=True, timeout=60)


def predicts(record: Record) -> bool:
    session = requests.Session()
    session.trust_env = False
    try:
        answer = session.post(f"http://{record.ingress}/v1/models/sklearn-iris:predict", json=BODY, headers=HOST,
                              timeout=30)
    except requests.ConnectionError:
        return False
    return answer.status_code == 200 and answer.json() == {"predictions": [1, 1]}


def serve(record: Record) -> Record:
    """The cluster, with a model that answers."""
    assert kubectl(record, "create", "namespace", "kserve-test").returncode == 0
    assert kubectl(record, "apply", "-f", "-", stdin=MANIFEST).returncode == 0
    assert eventually(lambda: predicts(record))
    return record


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The cache folder of the clusters that use it, which does not exist yet."""
    folder = tmp_path_factory.mktemp("cache") / "cache"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(folder))
        yield folder


@pytest.fixture(scope="module")
def record(cache: Path) -> Iterator[Record]:
    """A cluster for all tests that leave it running. It was started with a umask that lets anybody write new files."""
    umask = os.umask(0)
    record = clusters.start(f"life-{os.getpid()}", owner=os.getpid())
    os.umask(umask)
    yield record
    clusters.delete(record.name)


@pytest.fixture(scope="module")
def serving(record: Record) -> Record:
    return serve(record)


@pytest.fixture
def ending() -> Iterator[Record]:
    """A cluster with a model, for a test that ends it."""
    record = clusters.start(f"life-e-{os.getpid()}", owner=os.getpid())
    yield serve(record)
    clusters.delete(record.name)


def test_a_second_up_finds_the_first_ones_cluster(record: Record) -> None:
    assert clusters.start(record.name, speed=10, gateway="istio", owner=os.getpid()) == record


def test_other_flags_than_it_was_started_with_are_refused(record: Record) -> None:
    with pytest.raises(ClusterError, match=r"has --speed 10, not 1"):
        clusters.start(record.name, speed=1)


def test_two_clusters_run_side_by_side(record: Record) -> None:
    other = clusters.start(f"life-b-{os.getpid()}", gateway="kourier", owner=os.getpid())

    try:
        assert kubectl(other, "create", "namespace", "only-there").returncode == 0
        assert kubectl(record, "get", "namespace", "only-there").returncode == 1
    finally:
        clusters.delete(other.name)


def test_it_listens_only_on_two_ports_of_loopback(serving: Record) -> None:
    ingress = int(serving.ingress.rpartition(":")[2])

    assert exposure.listening(family(serving)) == {("127.0.0.1", ingress), ("127.0.0.1", serving.api_port)}
    assert exposure.abstract_sockets(family(serving)) == set()


def test_without_a_credential_its_api_server_answers_only_version_and_health(serving: Record) -> None:
    paths = {*exposure.PUBLIC, "/", "/api", "/apis", "/openapi/v2", "/openapi/v3", "/metrics", "/logs", "/debug/pprof",
             "/api/v1/secrets", "/apis/serving.kserve.io/v1beta1/inferenceservices", "/no/such/path",
             "/apis/metrics.k8s.io/v1beta1/pods"}

    assert exposure.answered_without_credential(serving, paths) == exposure.PUBLIC
    assert exposure.answered_without_credential(serving, paths, Authorization="Bearer wrong") <= exposure.PUBLIC
    assert exposure.answered_without_credential(serving, paths, Origin="https://evil.example") == set()
    assert exposure.answered_without_credential(serving, paths, Host="evil.example") == set()


def test_its_files_are_readable_only_by_their_owner_whatever_the_umask_is(serving: Record, cache: Path) -> None:
    assert exposure.readable_by_others(state.folder(serving.name)) == {}
    assert any(cache.rglob("model.joblib")) and exposure.readable_by_others(cache) == {}
    assert (state.folder(serving.name).parent / f".{serving.name}.lock").stat().st_mode & 0o777 == 0o600


def test_its_token_is_only_in_its_record_and_its_kubeconfig(serving: Record) -> None:
    for words in (["status"], ["status", "-o", "json"], ["env"], ["doctor"]):
        done = subprocess.run([Path(sys.executable).parent / "kserve-nb", *words, "--name", serving.name],
                              capture_output=True, text=True, timeout=60)
        assert done.stdout and serving.token not in done.stdout + done.stderr

    assert list(exposure.command_lines_with(serving.token)) == []
    assert exposure.files_with(serving.token, state.folder(serving.name)) == {
        "cluster.json", "cluster.copy.json", "kubeconfig"}


def test_a_killed_server_comes_back_and_users_do_not_notice(serving: Record) -> None:
    server = part(serving, "embedded.server")

    server.send_signal(signal.SIGKILL)

    assert predicts(serving)
    assert "sklearn-iris" in kubectl(serving, "get", "isvc").stdout
    assert part(serving, "embedded.server").pid != server.pid
    assert predicts(serving)


def test_a_killed_envoy_comes_back(serving: Record) -> None:
    part(serving, "envoy").send_signal(signal.SIGKILL)

    assert eventually(lambda: predicts(serving))


def test_a_killed_model_server_is_started_again_in_its_pod(serving: Record) -> None:
    restarts = ("get", "pods", "-o", "jsonpath={.items[*].status.containerStatuses[0].restartCount}")
    before = int(kubectl(serving, *restarts).stdout)

    part(serving, "node.runtime").children()[0].send_signal(signal.SIGKILL)

    assert eventually(lambda: predicts(serving))
    assert eventually(lambda: kubectl(serving, *restarts).stdout == str(before + 1))


def test_after_a_crash_nothing_is_left_and_up_resumes(ending: Record) -> None:
    processes = family(ending)

    processes[0].send_signal(signal.SIGKILL)

    assert psutil.wait_procs(processes, timeout=60)[1] == []
    assert kubectl(ending, "get", "pods").returncode == 1
    resumed = clusters.start(ending.name, owner=os.getpid())
    assert (resumed.kubeconfig, resumed.ingress) == (ending.kubeconfig, ending.ingress)
    assert eventually(lambda: predicts(resumed))


def test_down_leaves_no_process_and_no_file_and_can_be_repeated(ending: Record) -> None:
    processes = family(ending)

    clusters.delete(ending.name)
    clusters.delete(ending.name)

    assert not any(process.is_running() for process in processes)
    assert not state.folder(ending.name).exists()


def test_after_down_the_next_up_is_empty_and_may_have_other_flags(ending: Record) -> None:
    clusters.delete(ending.name)

    fresh = clusters.start(ending.name, gateway="kourier", speed=20, owner=os.getpid())

    assert kubectl(fresh, "get", "namespace", "kserve-test").returncode == 1
    clusters.delete(fresh.name)


def test_it_stops_with_its_owner_and_keeps_its_objects() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as owner:
        record = clusters.start(f"life-o-{os.getpid()}", owner=owner.pid)
        processes = family(record)

    assert psutil.wait_procs(processes, timeout=60)[1] == []
    assert (state.folder(record.name) / "store.db").exists()
    clusters.delete(record.name)


def test_an_owner_that_is_not_there_is_named() -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as gone:
        gone.wait()

    with pytest.raises(ClusterError, match=f"There is no process {gone.pid} that could own"):
        clusters.start(f"life-n-{os.getpid()}", owner=gone.pid)

    assert not state.folder(f"life-n-{os.getpid()}").exists()


def test_an_unused_cluster_stops_and_keeps_its_objects() -> None:
    record = clusters.start(f"life-i-{os.getpid()}", idle_hours=15 / 3600, owner=os.getpid())
    assert record.pid is not None

    assert eventually(lambda: not process_identity.is_running(record.pid or 0, record.started), timeout_s=90)
    assert (state.folder(record.name) / "store.db").exists()
    clusters.delete(record.name)


def test_a_port_that_is_taken_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]

        with pytest.raises(ClusterError, match=f"Cannot use port {port} on 127.0.0.1"):
            clusters.start(f"life-p-{os.getpid()}", ingress_port=port)

    assert state.read(f"life-p-{os.getpid()}") is None


def test_a_proxy_in_the_environment_and_a_path_with_spaces_do_no_harm(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "a folder with spaces"))
    record = clusters.start("spaced", owner=os.getpid())

    try:
        assert kubectl(record, "create", "namespace", "kserve-test").returncode == 0
        assert kubectl(record, "apply", "-f", "-", stdin=MANIFEST).returncode == 0
        assert eventually(lambda: predicts(record))
    finally:
        clusters.delete(record.name)
