"""The node with real processes: how pods start, fail, restart and end."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from kserve_nb.clusters.embedded import log_rotation
from kserve_nb.clusters.embedded.api.store.store import Store
from kserve_nb.clusters.embedded.apimachinery.kinds import POD, SANDBOX
from kserve_nb.clusters.embedded.apimachinery.objects import Kind, WatchEvent, is_true
from kserve_nb.clusters.embedded.node.kubelet.volumes import claim_folder
from kserve_nb.clusters.embedded.node.runtime import iris_models, sandbox
from kserve_nb.clusters.embedded.node.runtime.iris_models import DISAGREEMENT, PAYLOAD
from tests.unit.node_lab import NAMESPACE_NAME, lab, pod, predict, runtime

pytestmark = pytest.mark.slow

MODEL = "gs://kfserving-examples/models/sklearn/1.0/model"


@pytest.fixture(scope="module")
def socket() -> Iterator[Path]:
    """The socket file of one runtime for all tests of this file."""
    with tempfile.TemporaryDirectory(prefix="kserve-nb-") as folder, runtime(Path(folder) / "r.sock"):
        yield Path(folder) / "r.sock"


def test_a_pod_starts_step_by_step_and_answers(socket: Path) -> None:
    async def play() -> None:
        async with lab(socket) as it, it.node():
            it.store.create(POD, pod("one"))

            address = await it.ready("one")

            await it.state("one", "2/2 Running")
            assert it.seen["one"] == [
                "0/2 ", "0/2 Init:0/1", "0/2 PodInitializing", "1/2 Running", "2/2 Running"]
            assert await asyncio.to_thread(predict, address, PAYLOAD) == [1, 1]
            assert it.events("one") != []

    asyncio.run(play())


def test_the_two_models_disagree_on_one_flower(socket: Path) -> None:
    async def play() -> None:
        async with lab(socket) as it, it.node():
            it.store.create(POD, pod("one"))
            it.store.create(POD, pod("two", MODEL + "-2"))

            addresses = await it.ready("one"), await it.ready("two")

            assert [predict(a, [DISAGREEMENT]) for a in addresses] == [[1], [2]]
            assert [predict(a, PAYLOAD) for a in addresses] == [[1, 1], [1, 1]]

    asyncio.run(play())


def test_events_are_a_kubelets(socket: Path) -> None:
    async def play() -> None:
        async with lab(socket) as it, it.node():
            it.store.create(POD, pod("one"))

            await it.ready("one")

            events = it.events("one")
            told = [e[0] for e in events if e[0] not in ("Unhealthy", "Sandbox")]  # a real kubelet has no Sandbox
            assert told == ["Pulled", "Created", "Started"] * 3
            assert ("Pulled", 'Container image "kserve/sklearnserver:v0.20.0" already present on machine and can be '
                              "accessed by the pod") in events

    asyncio.run(play())


def test_an_event_of_each_pod_names_the_level_of_its_sandbox_once(socket: Path) -> None:
    async def play() -> None:
        async with lab(socket) as it, it.node():
            it.store.create(POD, pod("one"))
            await it.ready("one")
            (process,) = it.sandbox("one")["containers"]["kserve-container"]["pids"]
            os.kill(process, signal.SIGKILL)
            await it.until(lambda: it.container("one")["restartCount"] == 1, "the server is restarted")
            await it.ready("one")

            named = [message for reason, message in it.events("one") if reason == "Sandbox"]
            assert named == [f"Sandbox of this pod's processes: {sandbox.level()}"]

    asyncio.run(play())


def test_a_missing_model_backs_off_with_the_real_message(socket: Path) -> None:
    async def play() -> None:
        async with lab(socket) as it, it.node():
            it.store.create(POD, pod("bad", MODEL + "-3"))

            await it.state("bad", "0/2 Init:CrashLoopBackOff")

            status = it.container("bad", "storage-initializer")
            terminated = status["lastState"]["terminated"]
            assert terminated["exitCode"] == 1 and terminated["reason"] == "Error"
            assert terminated["message"].endswith("Storage initialization failed: GCS resource "
                                                  "'kfserving-examples' not found.\n")
            assert status["restartCount"] >= 1
            assert status["state"]["waiting"]["message"].startswith("back-off 10s restarting failed container")
            assert it.seen["bad"][:4] == ["0/2 ", "0/2 Init:0/1", "0/2 Init:Error", "0/2 Init:0/1"]
            assert "BackOff" in [e[0] for e in it.events("bad")]

    asyncio.run(play())


def test_a_killed_server_is_started_again_in_place(socket: Path) -> None:
    async def play() -> None:
        async with lab(socket, speed=10) as it, it.node():
            it.store.create(POD, pod("one"))
            first = await it.ready("one")

            os.kill(it.sandbox("one")["containers"]["kserve-container"]["pids"][0], signal.SIGKILL)
            await it.until(lambda: not is_true(it.pod("one"), "Ready"), "the pod is not ready")
            assert "address" not in it.sandbox("one")
            second = await it.ready("one")

            status = it.container("one")
            assert status["restartCount"] == 1
            assert status["lastState"]["terminated"]["exitCode"] == 137
            assert status["lastState"]["terminated"]["reason"] == "Error"
            assert second != first and predict(second, PAYLOAD) == [1, 1]
            assert Path(it.sandbox("one")["containers"]["kserve-container"]["previousLog"]).exists()

    asyncio.run(play())


def test_a_deleted_pod_drains_terminates_and_disappears(socket: Path) -> None:
    async def play() -> None:
        async with lab(socket, speed=10) as it, it.node():
            it.store.create(POD, pod("one"))
            address = await it.ready("one")
            pid = it.sandbox("one")["containers"]["kserve-container"]["pids"][0]

            it.store.delete(POD, NAMESPACE_NAME, "one")
            await it.state("one", "2/2 Terminating Running")
            assert predict(address, PAYLOAD) == [1, 1]
            await it.state("one", "gone")

            assert it.seen["one"][-4:] == [
                "2/2 Terminating Running", "1/2 Terminating Running", "0/2 Terminating Completed", "gone"]
            states = dict(zip(it.seen["one"], it.times["one"], strict=False))
            began = states["2/2 Terminating Running"]
            assert 24 <= (states["1/2 Terminating Running"] - began) * 10 <= 45
            assert 28 <= (states["gone"] - began) * 10 <= 60
            assert ("Killing", "Stopping container queue-proxy") in it.events("one")
            assert not psutil.pid_exists(pid)
            assert it.sandbox("one") == {} and not list((it.folder / "pods").iterdir())

    asyncio.run(play())


@pytest.mark.parametrize(("grace_s", "speed"), [(0, 1), (1, 1)])
def test_a_short_grace_ends_a_pod_soon(socket: Path, grace_s: int, speed: float) -> None:
    async def play() -> None:
        async with lab(socket, speed) as it, it.node():
            it.store.create(POD, pod("one"))
            await it.ready("one")
            pid = it.sandbox("one")["containers"]["kserve-container"]["pids"][0]

            it.store.delete(POD, NAMESPACE_NAME, "one", grace_period_s=grace_s)
            await it.state("one", "gone")
            await it.until(lambda: not psutil.pid_exists(pid), "its process is gone")

            await it.until(lambda: it.sandbox("one") == {}, "its sandbox is gone")

    asyncio.run(play())


def test_a_failing_pod_is_gone_at_once_when_deleted(socket: Path) -> None:
    async def play() -> None:
        async with lab(socket, speed=1) as it, it.node():
            it.store.create(POD, pod("bad", MODEL + "-3"))
            await it.state("bad", "0/2 Init:Error")

            it.store.delete(POD, NAMESPACE_NAME, "bad")

            await it.state("bad", "gone")

    asyncio.run(play())


def test_an_image_that_the_node_lacks_is_an_image_pull_back_off(socket: Path) -> None:
    async def play() -> None:
        async with lab(socket) as it, it.node():
            it.store.create(POD, pod("xgb", kserve="kserve/xgbserver:v0.20.0"))

            await it.state("xgb", "0/2 ImagePullBackOff")

            assert it.seen["xgb"][-2:] == ["0/2 ErrImagePull", "0/2 ImagePullBackOff"]
            message = it.container("xgb")["state"]["waiting"]["message"]
            assert message.startswith('Back-off pulling image "kserve/xgbserver:v0.20.0": ErrImagePull: ')
            assert "KServe publishes its xgbserver as an image only, not as a Python package" in message
            assert message.endswith("Use a kind cluster: kserve-nb up --cluster kind")

    asyncio.run(play())


def test_a_gateways_pod_is_ready_and_leads_to_the_ingress(socket: Path) -> None:
    async def play() -> None:
        async with lab(socket) as it:
            gateway = pod("gateway", kserve="docker.io/istio/proxyv2:1.27.1")
            del gateway["spec"]["containers"][1:], gateway["spec"]["initContainers"]
            async with it.node():
                it.store.create(POD, gateway)
                assert await it.ready("gateway") == f"127.0.0.1:{it.settings.ingress_port}"
                (running,) = it.sandbox("gateway")["containers"].values()
                assert Path(running["log"]).read_text() == ""
            async with it.node():  # the next agent adopts it
                assert await it.ready("gateway") == f"127.0.0.1:{it.settings.ingress_port}"
                assert it.container("gateway")["restartCount"] == 0

                it.store.delete(POD, NAMESPACE_NAME, "gateway")

                await it.state("gateway", "gone")

    asyncio.run(play())


def test_a_pod_deleted_without_a_kubelet_starts_no_container_again(socket: Path) -> None:
    async def play() -> None:
        async with lab(socket, speed=1) as it:
            async with it.node():
                it.store.create(POD, pod("one"))
                await it.ready("one")
                os.kill(it.sandbox("one")["containers"]["kserve-container"]["pids"][0], signal.SIGKILL)
                await it.until(lambda: "terminated" in it.container("one")["state"], "its server has ended")
            before = it.created_containers()
            it.store.delete(POD, NAMESPACE_NAME, "one", grace_period_s=1)

            async with it.node():
                await it.state("one", "gone")
                assert it.created_containers() == before

    asyncio.run(play())


def test_a_late_event_of_a_pod_that_is_gone_starts_nothing(socket: Path) -> None:
    async def play() -> None:
        async with lab(socket) as it:
            it.store.create(POD, pod("one"))
            late = WatchEvent("MODIFIED", it.pod("one"))
            it.store.delete(POD, NAMESPACE_NAME, "one", grace_period_s=0)

            async def with_late_event(*kinds: Kind) -> AsyncIterator[WatchEvent]:
                yield late
                async for event in Store.watch(it.store, *kinds):
                    yield event

            it.store.watch = with_late_event  # type: ignore[method-assign]
            async with it.node():
                it.store.create(POD, pod("two"))
                await it.ready("two")
                assert [folder.name for folder in (it.folder / "pods").iterdir()] == [it.pod("two")["metadata"]["uid"]]

    asyncio.run(play())


def test_running_pods_are_adopted_by_the_next_agent(socket: Path) -> None:
    async def play() -> None:
        async with lab(socket) as it:
            async with it.node():
                it.store.create(POD, pod("one"))
                address = await it.ready("one")
            before = it.pod("one"), it.store.get(SANDBOX, NAMESPACE_NAME, "one")

            async with it.node():
                it.store.create(POD, pod("two"))
                await it.ready("two")

                assert (it.pod("one"), it.store.get(SANDBOX, NAMESPACE_NAME, "one")) == before
                assert predict(address, PAYLOAD) == [1, 1]
                os.kill(it.sandbox("one")["containers"]["kserve-container"]["pids"][0], signal.SIGKILL)
                await it.until(lambda: it.container("one")["restartCount"] == 1, "the adopted pod is restarted")

    asyncio.run(play())


def test_pods_of_a_dead_runtime_are_started_by_the_next() -> None:
    async def play(socket: Path) -> None:
        async with lab(socket) as it, it.node():
            with runtime(socket) as first:
                it.store.create(POD, pod("one"))
                await it.ready("one")
                pid = it.sandbox("one")["containers"]["kserve-container"]["pids"][0]
                first.kill()
                await it.until(lambda: not is_true(it.pod("one"), "Ready"), "the pod is not ready")
                await it.until(lambda: not psutil.pid_exists(pid), "its process died with the runtime")
            with runtime(socket):
                address = await it.ready("one")

                assert it.container("one")["restartCount"] == 1
                assert it.container("one")["lastState"]["terminated"]["reason"] == "Unknown"
                assert predict(address, PAYLOAD) == [1, 1]

    with tempfile.TemporaryDirectory(prefix="kserve-nb-") as folder:
        asyncio.run(play(Path(folder) / "r.sock"))


def test_after_a_restart_of_the_machine_pods_are_not_ready_until_they_run_again() -> None:
    async def play(socket: Path) -> None:
        async with lab(socket) as it:
            with runtime(socket):
                async with it.node():
                    it.store.create(POD, pod("one"))
                    await it.ready("one")
            socket.unlink()
            async with it.node():
                await it.until(lambda: not is_true(it.pod("one"), "Ready"), "the pod is not ready")
                assert "address" not in it.sandbox("one")
                with runtime(socket):
                    address = await it.ready("one")

                    assert predict(address, PAYLOAD) == [1, 1]
                    assert it.container("one")["restartCount"] == 1

    with tempfile.TemporaryDirectory(prefix="kserve-nb-") as folder:
        asyncio.run(play(Path(folder) / "r.sock"))


def test_logs_are_in_the_cri_format(socket: Path) -> None:
    async def play() -> None:
        async with lab(socket) as it, it.node():
            it.store.create(POD, pod("one"))
            await it.ready("one")

            containers = it.sandbox("one")["containers"]

            assert set(containers) == {"storage-initializer", "kserve-container", "queue-proxy"}
            for container in containers.values():
                lines = Path(container["log"]).read_text().splitlines()
                assert lines
                for line in lines:
                    stamp, stream, tag, _ = line.split(" ", 3)
                    assert stamp.endswith("Z") and stream == "stdout" and tag == "F"

    asyncio.run(play())


def test_a_log_that_grows_without_end_is_rotated(socket: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_rotation, "MAX_BYTES", 10_000)

    async def play() -> None:
        async with lab(socket) as it, it.node():
            it.store.create(POD, pod("one"))
            await it.ready("one")
            log = Path(it.sandbox("one")["containers"]["kserve-container"]["log"])

            with log.open("a") as file:
                file.write("x" * 20_000 + "\n")

            await it.until(lambda: log.stat().st_size == 0, "the log is rotated")
            assert "x" * 20_000 in log.with_name("0.log.1").read_text()

    asyncio.run(play())


def test_a_model_over_its_memory_limit_is_killed_for_it(socket: Path) -> None:
    async def play() -> None:
        async with lab(socket) as it, it.node():
            body = pod("small")
            body["spec"]["containers"][0]["resources"]["limits"]["memory"] = "20Mi"
            it.store.create(POD, body)

            await it.until(lambda: it.pod("small").get("status", {}).get("containerStatuses")
                           and it.container("small")["lastState"], "it was restarted")

            terminated = it.container("small")["lastState"]["terminated"]
            assert (terminated["reason"], terminated["exitCode"]) == ("OOMKilled", 137)

    asyncio.run(play())


def test_the_logs_of_a_listed_pod_can_always_be_read(socket: Path) -> None:
    async def play() -> None:
        async with lab(socket) as it, it.node():
            it.store.create(POD, pod("crashing", f"{MODEL}-that-is-not-there"))

            named: set[str] = set()
            while len(named) < 4:
                box = it.sandbox("crashing").get("containers", {}).get("storage-initializer", {})
                now = {log for log in (box.get("log"), box.get("previousLog")) if log}
                assert all(Path(log).exists() for log in now), (now, it.seen)
                named |= now
                await asyncio.sleep(0)

    asyncio.run(asyncio.wait_for(play(), 60))


def test_a_claim_is_a_folder_of_the_cluster(socket: Path) -> None:
    async def play() -> None:
        async with lab(socket) as it, it.node():
            folder = claim_folder(it.folder, NAMESPACE_NAME, "shelf") / "iris"
            folder.mkdir(parents=True)
            iris_models.save("model-2", folder / "own.joblib")
            body = pod("claimed")
            del body["spec"]["initContainers"]
            mount = next(m for m in body["spec"]["containers"][0]["volumeMounts"] if m["mountPath"] == "/mnt/models")
            mount |= {"name": "kserve-pvc-source", "subPath": "iris"}
            body["spec"]["volumes"].append(
                {"name": "kserve-pvc-source", "persistentVolumeClaim": {"claimName": "shelf"}})
            it.store.create(POD, body)

            address = await it.ready("claimed")

            assert predict(address, [iris_models.DISAGREEMENT]) == [2]
            assert it.seen["claimed"][:3] == ["0/2 ", "0/2 ContainerCreating", "1/2 Running"]

    asyncio.run(play())


def test_a_pod_deleted_while_it_starts_leaves_no_process(socket: Path) -> None:
    async def play() -> None:
        async with lab(socket) as it, it.node():
            for number in range(5):
                it.store.create(POD, pod(f"p{number}"))
                await asyncio.sleep(0.02 * number)
                it.store.delete(POD, NAMESPACE_NAME, f"p{number}", grace_period_s=0)

            await it.until(lambda: all(it.seen.get(f"p{n}", [])[-1:] == ["gone"] for n in range(5)), "all are gone")
            ours = [p for p in psutil.Process().children() if str(socket) in p.cmdline()]
            assert len(ours) == 1
            await it.until(lambda: not ours[0].children(), "nothing runs")
            await it.until(lambda: not list((it.folder / "pods").iterdir()), "no folder is left")

    asyncio.run(play())


def test_files_written_after_a_pods_end_are_removed(tmp_path: Path) -> None:
    """A slow runtime starts a process after the pod has gone, and the process writes into the folder."""
    async def play() -> None:
        asked: asyncio.Queue[tuple[dict[str, Any], asyncio.StreamWriter]] = asyncio.Queue()

        async def hear(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            while line := await reader.readline():
                asked.put_nowait((json.loads(line), writer))

        async def order(what: str) -> tuple[dict[str, Any], asyncio.StreamWriter]:
            while True:
                said, writer = await asyncio.wait_for(asked.get(), 10)
                if said["action"] == what:
                    return said, writer

        def tell(writer: asyncio.StreamWriter, **message: object) -> None:
            writer.write(json.dumps(message).encode() + b"\n")

        server = await asyncio.start_unix_server(hear, tmp_path / "r.sock")
        async with server, lab(tmp_path / "r.sock") as it, it.node():
            tell((await order("list"))[1], processes=[])
            it.store.create(POD, pod("late"))
            started, writer = await order("start")
            folder = Path(started["task"]["log"]).parents[2]

            it.store.delete(POD, NAMESPACE_NAME, "late", grace_period_s=0)
            await it.until(lambda: not folder.exists(), "the pod has ended")
            (folder / "rootfs").mkdir(parents=True)
            process = {"id": started["task"]["id"], "pid": 7, "started": 1.0}
            tell(writer, process=process)
            await order("signal")
            tell(writer, process={**process, "finished": 2.0, "exit_code": 137})

            await it.until(lambda: not folder.exists(), "nothing is left")

    asyncio.run(play())
