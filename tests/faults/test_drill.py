"""The drill on a real embedded cluster: for every seed the doctor names the fault, and the scripted repair ends it."""

from __future__ import annotations

import asyncio
import os
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from kserve_nb import clusters
from kserve_nb.clusters import cluster_of
from kserve_nb.doctor import examine
from kserve_nb.lab import Lab
from kserve_nb.tasks.drill_faults import FAULTS, correct_command
from kserve_nb.tasks.learner_progress import LearnerProgress
from tests.faults.conftest import KSERVE_NB, eventually

SEEDS = {fault.id: seed for seed, fault in enumerate(FAULTS)}


@pytest.fixture
def lab(state_home: Path, tmp_path: Path) -> Iterator[Lab]:
    record = clusters.start(f"drill-{os.getpid()}", owner=os.getpid(), temporary=True)
    started = Lab(cluster_of(record))
    started.progress = LearnerProgress(tmp_path / "progress.json")
    yield started
    clusters.delete(record.name)


def problem(lab: Lab, seed: int) -> str:
    """The problem in the drill of a seed; empty if there is none."""
    card = asyncio.run(lab.drill(seed))
    fault, line = card.fault, card._command or None
    if "locked" not in lab.doctor().text:
        return f"{fault.id}: the doctor is not locked"

    def first_line() -> str:
        return examine(lab.cluster, namespace=lab.cluster.namespace, curl=line).text.splitlines()[0]

    if not eventually(lambda: f"✖ {fault.rule} " in first_line(), 30):
        return f"{fault.id}: the doctor's first line is {first_line()}"
    if fault.in_request:
        card.try_curl(correct_command(lab.rollout().host(), lab.ingress.address))
    else:
        asyncio.run(card.repair())
    done = eventually(lambda: card.repaired, 30)
    result = card.finish()
    return "" if done and result.repaired else f"{fault.id}: not repaired: {card.text}"


def problems(lab: Lab, seeds: Sequence[int]) -> list[str]:
    return list(filter(None, (problem(lab, seed) for seed in seeds)))


def test_the_doctor_names_a_sample_of_faults_and_the_repair_ends_them(lab: Lab) -> None:
    sample = [SEEDS[id_] for id_ in ("stale-port-forward", "crash")]

    assert problems(lab, sample) == []

    assert [row["seed"] for row in lab.progress.drills()] == sample


def test_a_drill_in_a_terminal_ends_with_the_repaired_command(lab: Lab) -> None:
    asyncio.run(lab.ensure("canary-10"))
    repaired = correct_command(lab.rollout().host(), lab.ingress.address)

    done = subprocess.run(
        [*KSERVE_NB, "drill", "--name", lab.cluster.name, "--seed", str(SEEDS["no-content-type"])],
        input=f"doctor\n{repaired}\n", capture_output=True, text=True, timeout=120, check=False)

    assert done.returncode == 0, done.stderr
    assert "the doctor is locked" in done.stdout
    assert "✔ drill 8: you repaired 'no-content-type'" in done.stdout and "with 1 attempt" in done.stdout


@pytest.mark.long
def test_the_doctor_names_every_fault_and_the_repair_ends_it(lab: Lab) -> None:
    assert problems(lab, list(SEEDS.values())) == []
