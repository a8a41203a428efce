"""A runner that is killed before or after any of its writes neither repeats nor skips a step."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from kserve_nb import clusters
from kserve_nb.access.api_client import INFERENCE_SERVICE, Client, RefusedError, events
from kserve_nb.gates import plan_file
from kserve_nb.gates.criteria.request_gates import ErrorsGate
from kserve_nb.gates.plan import ProbeTraffic, RolloutPlan
from kserve_nb.lab import Lab
from kserve_nb.values.manifest import MODEL_2
from tests.faults.report import report

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
POINTS = tuple(f"{moment} {number} {kind}"
               for kind, most in (("leases", 4), ("configmaps", 5), ("inferenceservices", 2))
               for number in range(1, most + 1) for moment in ("before", "after"))
STEPS = tuple(range(1, 46))
LEASE_S = 1  # a killed runner's Lease keeps its successor waiting
RUNNER = f"""
import os, signal, sys
from kserve_nb.access.api_client import Client
from kserve_nb.gates.execution import run_store

moment, number, kind = sys.argv.pop(1).split()
left = int(number)

def killing(write):
    def call(self, resource, *args, **kwargs):
        global left
        left -= resource.plural == kind
        if left == 0 and moment == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        written = write(self, resource, *args, **kwargs)
        if left == 0 and moment == "after":
            os.kill(os.getpid(), signal.SIGKILL)
        return written
    return call

Client.create, Client.patch = killing(Client.create), killing(Client.patch)
run_store.LEASE_S = {LEASE_S}
from kserve_nb.cli import main
main(sys.argv[1:])
"""
NEVER = "never 0 nothing"
ENDS = {-signal.SIGKILL, 1, 5}  # killed; another runner is at work; another runner has taken over
PLAN = RolloutPlan(steps=(*STEPS, 100), model=MODEL_2, gates=(ErrorsGate(budget=0.9),), bake_s=0, minimum_exposure=1,
                   limit_s=1800, probe=ProbeTraffic(rate=20))  # about a second a step


def start(plan: Path, point: str = NEVER) -> subprocess.Popen[str]:
    """Start a runner that kills itself before or after its n-th write to a kind."""
    words = ["rollout", "sklearn-iris", "--name", "kills", "--plan", str(plan)]
    return subprocess.Popen([sys.executable, "-c", RUNNER, point, *words], stdout=subprocess.PIPE,
                            stderr=subprocess.STDOUT, text=True)


@pytest.fixture
def lab(state_home: Path) -> Iterator[Lab]:
    """A lab at the first step of the tutorial."""
    found = Lab(clusters.cluster_of(clusters.start("kills")))
    asyncio.run(found.ensure("first-model"))
    yield found
    clusters.delete("kills")


@contextmanager
def recorded_percents(client: Client) -> Iterator[list[int | None]]:
    """The percents that the InferenceService requests, one after the other."""
    found: list[int | None] = []
    _, version = client.snapshot(INFERENCE_SERVICE, "")
    with client.watch(INFERENCE_SERVICE, "", version, 900) as response:
        def read() -> None:
            generation = 0
            try:
                for _, isvc in events(response):
                    if isvc["metadata"]["generation"] != generation:
                        generation = isvc["metadata"]["generation"]
                        found.append(isvc["spec"]["predictor"].get("canaryTrafficPercent"))
            except RefusedError:  # the test ends the watch
                pass

        thread = threading.Thread(target=read, daemon=True)
        thread.start()
        try:
            yield found
        finally:
            response.shutdown()
            thread.join(10)


@pytest.mark.long
def test_kills_around_each_write_neither_repeat_nor_skip_a_step(lab: Lab, tmp_path: Path) -> None:
    """Every fifth time two runners start at once: one of them refuses, or takes over from the other one."""
    plan, kills = tmp_path / "plan.yaml", 0
    plan.write_text(plan_file.to_yaml(PLAN))

    with recorded_percents(lab.client) as percents:
        for number, point in enumerate(POINTS * 2):
            runners = [start(plan, point) for _ in range(2 if number % 5 == 0 else 1)]
            outputs = [runner.communicate(timeout=120)[0] for runner in runners]
            codes = [runner.returncode for runner in runners]
            assert -signal.SIGKILL in codes and set(codes) <= ENDS, (point, codes, outputs)
            kills += codes.count(-signal.SIGKILL)
        began = len(percents)
        last = start(plan)
        output, _ = last.communicate(timeout=600)
        deadline = time.monotonic() + 10
        while percents[-1:] != [None] and time.monotonic() < deadline:
            time.sleep(0.05)

    state = lab.rollout().run_state()
    assert last.returncode == 0 and state and state.phase == "promoted", output
    assert percents == [*STEPS, None]  # each step once, in order, and no other write between them
    assert lab.rollout().status().model == MODEL_2
    report(f"{kills} kills of a gated rollout's runner, each before or after a named write",
           objects=f"{len(STEPS) + 1} steps, each once and in order", message=f"{began} of the steps between the kills")


def test_a_write_by_hand_meanwhile_supersedes_the_runner(lab: Lab, tmp_path: Path) -> None:
    plan = tmp_path / "plan.yaml"
    plan.write_text(plan_file.to_yaml(PLAN))
    runner = start(plan)
    deadline = time.monotonic() + 60
    while lab.rollout().status().canary_percent is None and time.monotonic() < deadline:
        time.sleep(0.05)

    try:
        lab.rollout().canary(percent=33)
        output, _ = runner.communicate(timeout=60)
    finally:
        runner.kill()

    assert runner.returncode == 5, output
    assert "it requests 33 %" in output
    assert lab.rollout().status().requested_percent == 33
    assert lab.rollout().status().model == MODEL_2
