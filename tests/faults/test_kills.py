"""Each process killed or stopped at each step of the tutorial, and in the middle of every change of traffic."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import psutil
import pytest

from kserve_nb import clusters
from kserve_nb.clusters import Record
from kserve_nb.lab import STEPS, Lab
from kserve_nb.rollout.errors import NotReadyError
from kserve_nb.values.cluster import Cluster
from tests.cluster import shifts
from tests.cluster.load import RATE, Endpoint, Load, Shot
from tests.faults.conftest import eventually, kubectl, part
from tests.faults.report import report

pytestmark = [pytest.mark.slow, pytest.mark.long, pytest.mark.timeout(1800)]
PARTS = ("server", "envoy", "runtime", "model")
NOTICED_S = 0.25  # a client may use a connection that has just been cut
STOPPED_S = 2.0
ROWS = [[6.8, 2.8, 4.8, 1.4], [6.0, 3.4, 4.5, 1.6]]


@pytest.fixture
def record() -> Iterator[Record]:
    started = clusters.start("kills")
    yield started
    clusters.delete("kills")


def lab_of(record: Record, namespace: str = "kserve-test") -> Lab:
    return Lab(Cluster(Path(record.kubeconfig), record.ingress, namespace, speed=record.speed))


def objects(record: Record) -> set[str]:
    """The objects that the user and the controllers have created, without those that restarts replace."""
    kinds = "isvc,ksvc,configurations,revisions,routes,deployments,services.v1.,namespaces"
    return set(kubectl(record, "get", kinds, "-A", "-o", "name").stdout.split())


def in_flight(shots: list[Shot], *moments: float) -> list[Shot]:
    """The failed requests that were under way at a moment when a process was killed."""
    return [shot for shot in shots if shot.trouble
            and any(shot.sent <= moment + NOTICED_S and shot.ended >= moment for moment in moments)]


def runs(record: Record, name: str) -> bool:
    return part(record, name) is not None and clusters.status(record).ready


def answers(record: Record, host: str) -> bool:
    with Load(record.ingress, ROWS, Endpoint(host, "sklearn-iris")) as load:
        load.wait_for(1, 30)
    return any(not shot.trouble for shot in load.shots)


@pytest.mark.parametrize("step", list(STEPS))
def test_each_process_is_killed_and_stopped_at_each_step(record: Record, step: str) -> None:
    lab = lab_of(record)
    asyncio.run(lab.ensure(step))
    host, before = lab.rollout().host(), objects(record)
    for name in (*PARTS, "supervisor"):
        for number in (signal.SIGKILL, signal.SIGSTOP) if name in PARTS else (signal.SIGSTOP,):
            with Load(record.ingress, ROWS, Endpoint(host, "sklearn-iris")) as load:
                load.wait_for(20, 30)
                process, moment = part(record, name), time.monotonic()
                assert process is not None
                process.send_signal(number)
                if number == signal.SIGSTOP:
                    load.wait_for(20 + int(STOPPED_S * 200), 60)
                    process.send_signal(signal.SIGCONT)
                assert eventually(partial(runs, record, name))
                again = time.monotonic()
                load.wait_for(load.sent + 100, 60)
            failed = [shot for shot in load.shots if shot.trouble]
            if number == signal.SIGKILL:
                assert failed == in_flight(load.shots, moment), [(s.sent - moment, s.trouble) for s in failed]
            else:
                assert failed == []
            assert eventually(lambda: objects(record) == before), objects(record) ^ before
            report(f"{step}: {number.name} of the {name}", objects=f"{len(before)} of {len(before)}",
                   lost=f"{len(failed)} of {len(load.shots)}", recovery=f"{again - moment:.1f} s")


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
@pytest.mark.parametrize("step", list(STEPS))
def test_the_supervisor_is_killed_at_each_step(record: Record, step: str, number: signal.Signals) -> None:
    lab = lab_of(record)
    asyncio.run(lab.ensure(step))
    host, before = lab.rollout().host(), objects(record)
    supervisor = psutil.Process(record.pid)
    processes = [supervisor, *supervisor.children(recursive=True)]

    supervisor.send_signal(number)

    orphans = psutil.wait_procs(processes, timeout=60)[1]
    assert orphans == []
    why = clusters.status(record).reason
    began = time.monotonic()
    resumed = clusters.start("kills")
    assert eventually(lambda: answers(resumed, host)) and objects(resumed) == before
    report(f"{step}: {number.name} of the supervisor, then `kserve-nb up`", objects=f"{len(before)} of {len(before)}",
           lost="all until `up`", recovery=f"{time.monotonic() - began:.1f} s", message=why)


@pytest.mark.parametrize("name", PARTS)
def test_a_process_is_killed_in_the_middle_of_each_change_of_traffic(record: Record, name: str) -> None:
    """At 200 requests a second only those fail that are in flight through the killed process."""
    kubectl(record, "create", "namespace", "kserve-test")
    kills = []
    with shifts.stage(lab_of(record), record.kubeconfig) as stage:
        for shift in shifts.SHIFTS:
            count = stage.load.sent + int(10.5 * RATE)  # else the process counts as crash-looping, and restarts late
            shift.act(stage)
            stage.load.wait_for(stage.load.sent + 20, 60)
            kills.append(kill(record, name))
            settle(stage, shift)
            stage.load.wait_for(count, 120)
            # Requests wait while a container is in back-off. A later kill of the server would end them as well.
            assert eventually(lambda: stage.load.waiting < RATE // 10, 120), stage.load.waiting

    failed = [shot for shot in stage.load.shots if shot.trouble]
    lost = in_flight(failed, *kills, *stage.kills)
    by_kill = {shift.name: len(in_flight(failed, moment)) for shift, moment in zip(shifts.SHIFTS, kills, strict=True)}
    report(f"the {name} is killed in the middle of each of {len(kills)} changes of traffic, at {RATE} requests/s",
           lost=f"{len(lost)} in flight of {stage.load.sent}, {len(failed) - len(lost)} others",
           message=", ".join(f"{shift} {count}" for shift, count in by_kill.items()))
    others = [(shot, shot.sent - max(moment for moment in kills if moment <= shot.ended))
              for shot in failed if shot not in lost]
    assert others == [], (len(others), others[:5])


def test_a_killed_supervisor_costs_the_requests_until_the_next_up(record: Record) -> None:
    """All processes end with the supervisor. Once `up` has returned, no request fails."""
    kubectl(record, "create", "namespace", "kserve-test")
    with shifts.stage(lab_of(record), record.kubeconfig) as stage:
        shift = next(each for each in shifts.SHIFTS if each.name == "canary 10 %")
        shift.act(stage)
        stage.load.wait_for(stage.load.sent + 20, 60)
        before, family = objects(record), psutil.Process(record.pid).children(recursive=True)
        moment = kill(record, "supervisor")
        assert psutil.wait_procs(family, timeout=60)[1] == []
        resumed = clusters.start("kills")
        up = time.monotonic()
        shift.settle(stage)
        stage.load.wait_for(stage.load.sent + 5 * RATE, 120)

    assert objects(resumed) >= before
    failed = [shot for shot in stage.load.shots if shot.trouble]
    lost = [shot for shot in failed if shot.ended >= moment and shot.sent <= up]
    report(f"the supervisor is killed in the middle of a change of traffic, at {RATE} requests/s, then `kserve-nb up`",
           objects=f"{len(before)} of {len(before)}", recovery=f"{up - moment:.1f} s",
           lost=f"{len(lost)} until `up` had ended, of {stage.load.sent}, {len(failed) - len(lost)} others")
    assert lost == failed, [(shot.sent - up, shot.trouble) for shot in failed if shot not in lost][:5]


def settle(stage: shifts.Stage, shift: shifts.Shift) -> None:
    """Wait until the traffic is as requested. A canary whose process was killed may be reported as failed meanwhile."""
    deadline = time.monotonic() + shifts.SETTLES_S
    while True:
        try:
            with contextlib.suppress(AssertionError):  # a broken canary may be late when its server was killed
                shift.settle(stage)
            return
        except NotReadyError:
            if time.monotonic() > deadline:
                raise


def kill(record: Record, name: str) -> float:
    """Kill a process as soon as there is one, since it may just be restarting; return the moment."""
    assert eventually(lambda: part(record, name) is not None)
    process = part(record, name)
    assert process is not None
    moment = time.monotonic()
    process.kill()
    return moment
