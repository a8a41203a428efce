"""The drill on a real embedded cluster: for every seed the doctor names the fault, and the scripted repair ends it."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from kserve_nb import clusters
from kserve_nb.clusters import cluster_of
from kserve_nb.doctor import examine
from kserve_nb.lab import Lab
from kserve_nb.tasks.drill_faults import FAULTS, correct_command
from kserve_nb.tasks.learner_progress import LearnerProgress
from tests.faults.conftest import eventually


@pytest.fixture
def lab(state_home: Path) -> Iterator[Lab]:
    record = clusters.start(f"drill-{os.getpid()}", owner=os.getpid(), temporary=True)
    yield Lab(cluster_of(record))
    clusters.delete(record.name)


def test_the_doctor_names_every_fault_and_the_repair_ends_it(lab: Lab, tmp_path: Path) -> None:
    lab.progress = LearnerProgress(tmp_path / "progress.json")
    for seed, fault in enumerate(FAULTS):
        card = asyncio.run(lab.drill(seed))
        assert "locked" in lab.doctor().text

        def first_line(line: str | None = card._command or None) -> str:
            return examine(lab.cluster, namespace=lab.cluster.namespace, curl=line).text.splitlines()[0]

        assert eventually(lambda first=first_line, rule=fault.rule: f"✖ {rule} " in first()), (fault.id, first_line())
        if fault.in_request:
            card.try_curl(correct_command(lab.rollout().host(), lab.ingress.address))
        else:
            asyncio.run(card.repair())
        assert eventually(lambda card=card: card.repaired), fault.id
        assert card.finish().repaired

    assert [row["seed"] for row in lab.progress.drills()] == list(range(len(FAULTS)))
