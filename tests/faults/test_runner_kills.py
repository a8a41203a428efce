"""A runner that is killed at random moments never repeats or skips a step, and two runners never act at once."""

from __future__ import annotations

import asyncio
import random
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
from kserve_nb.gates.execution.run_store import LEASE, object_name
from kserve_nb.gates.plan import ProbeTraffic, RolloutPlan
from kserve_nb.lab import Lab
from kserve_nb.values.manifest import MODEL_2

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
KILLS = 50
STEPS = tuple(range(1, 31))
LEASE_S = 1  # a killed runner's Lease keeps its successor waiting
RUNNER = f"""
import sys
from kserve_nb.gates.execution import run_store
run_store.LEASE_S = {LEASE_S}
from kserve_nb.cli import main
main(sys.argv[1:])
"""
PLAN = RolloutPlan(steps=(*STEPS, 100), model=MODEL_2, gates=(ErrorsGate(budget=0.9),), bake_s=0, minimum_exposure=1,
                   limit_s=1800, probe=ProbeTraffic(rate=20))  # about a second a step


def start(plan: Path) -> subprocess.Popen[str]:
    words = ["rollout", "sklearn-iris", "--name", "kills", "--plan", str(plan)]
    return subprocess.Popen([sys.executable, "-c", RUNNER, *words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                            text=True)


def until_one_acts(client: Client, runners: list[subprocess.Popen[str]]) -> None:
    """Wait until one of these processes holds the Lease."""
    deadline, holder = time.monotonic() + 120, ""
    while time.monotonic() < deadline:
        lease = client.find(LEASE, object_name("sklearn-iris")) or {"spec": {}}
        holder = lease["spec"].get("holderIdentity") or ""
        if any(f"-{runner.pid}-" in holder for runner in runners):
            return
        if all(runner.poll() is not None for runner in runners):
            break
        time.sleep(0.1)
    output = [kill(runner) for runner in runners]
    raise TimeoutError(f"none of the runners took the Lease, which {holder or 'nobody'} holds: {output}")


def kill(runner: subprocess.Popen[str]) -> str:
    """Kill -9, and what it had printed."""
    runner.send_signal(signal.SIGKILL)
    return runner.communicate()[0]


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
def test_kills_at_random_moments_neither_repeat_nor_skip_a_step(lab: Lab, tmp_path: Path) -> None:
    plan = tmp_path / "plan.yaml"
    plan.write_text(plan_file.to_yaml(PLAN))
    draw, kills, output = random.Random(18), 0, ""

    with recorded_percents(lab.client) as percents:
        while kills < KILLS:
            runners = [start(plan) for _ in range(2 if kills % 5 == 0 else 1)]
            until_one_acts(lab.client, runners)
            time.sleep(draw.uniform(0, 4))  # the moment of the kill is what the test is about
            for runner in runners:
                kill(runner)
            kills += 1
        last = start(plan)
        output, _ = last.communicate(timeout=600)
        deadline = time.monotonic() + 10
        while percents[-1:] != [None] and time.monotonic() < deadline:
            time.sleep(0.05)

    state = lab.rollout().run_state()
    assert last.returncode == 0 and state and state.phase == "promoted", output
    assert percents == [*STEPS, None]  # each step once, in order, and nobody else's write between them
    assert lab.rollout().status().model == MODEL_2


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
