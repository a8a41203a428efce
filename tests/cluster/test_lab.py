"""The methods, checks and widgets of a lab through the whole tutorial, on any cluster."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kserve_nb.lab import Lab
from kserve_nb.rollout.errors import NotPossibleError, NotReadyError
from kserve_nb.values.cluster import Cluster
from kserve_nb.values.manifest import MODEL, MODEL_2
from kserve_nb.widgets.pod_table import PodTable
from kserve_nb.widgets.slider.traffic_slider import TrafficSlider
from tests.cluster.conftest import Target

DEADLINE_S = 60


@pytest.fixture
def lab(target: Target) -> Lab:
    return Lab(Cluster(Path(target.kubeconfig), target.ingress, target.namespace, speed=target.speed))


def test_the_steps_of_the_tutorial_pass_their_checks(lab: Lab) -> None:
    asyncio.run(_through_all_steps(lab))


async def _through_all_steps(lab: Lab) -> None:
    check = lab.check
    await lab.ensure("first-model")
    for first in (check.namespace, check.ingress, check.first_ready, check.predict, check.two_404s):
        first()
    await lab.ensure("canary-10")
    for canary in (check.canary_spec, check.split_status, check.pods, check.split_observed):
        canary()
    await lab.ensure("promoted")
    check.promoted()
    check.scaled_down("00001")
    await lab.ensure("pinned")
    check.pinned()
    check.pods({"00001": 1, "00002": 1})
    await lab.ensure("tagged")
    check.tags()
    check.split_observed()
    await lab.ensure("canary-10")  # back from a later step
    check.split_status()
    await lab.reset()
    assert lab.rollout().pods() == () or all(pod.terminating for pod in lab.rollout().pods())


def test_verbs_have_the_effect_of_the_tutorials_commands(lab: Lab) -> None:
    asyncio.run(_verbs(lab))


async def _verbs(lab: Lab) -> None:
    rollout = lab.rollout("by-verbs")
    rollout.deploy(MODEL)
    await rollout.wait()
    assert rollout.predict() == rollout.predict(protocol="v2") == [1, 1]
    with pytest.raises(NotPossibleError, match="no previous revision"):
        rollout.pin()

    rollout.canary(MODEL_2, percent=10)
    assert (await rollout.wait()).canary_percent == 10
    rollout.canary(percent=30)
    assert (await rollout.wait()).canary_percent == 30
    rollout.promote()
    assert (await rollout.wait()).canary_percent is None
    rollout.pin()
    status = await rollout.wait()
    assert status.canary_percent == 0 and list(status.percents.values()) == [0, 100]
    rollout.tag()
    await rollout.wait()
    assert rollout.predict(tag="latest") == rollout.predict(tag="prev") == [1, 1]
    rollout.delete()
    rollout.delete()


def test_a_model_that_is_not_there_ends_the_wait_early(lab: Lab) -> None:
    asyncio.run(_broken(lab))


async def _broken(lab: Lab) -> None:
    rollout = lab.rollout("broken")
    rollout.deploy(MODEL)
    await rollout.wait()
    rollout.canary(f"{MODEL}-that-is-not-there", percent=10)

    with pytest.raises(NotReadyError, match=r"00002 does not become ready: .*Users are served by 00001"):
        await rollout.wait(timeout_s=120)

    assert rollout.predict() == [1, 1]
    rollout.canary(MODEL_2)
    assert (await rollout.wait()).canary_percent == 10


def test_widgets_follow_the_cluster(lab: Lab) -> None:
    rollout = lab.rollout()
    asyncio.run(lab.ensure("canary-10"))
    table, slider = PodTable(rollout), TrafficSlider(rollout)

    _until(slider, "value", lambda: slider.status is not None and slider.value == 10)
    _until(table, "snapshot", lambda: len([pod for pod in table.snapshot.pods if pod.is_ready]) == 2)
    slider.value = 20
    slider.apply(confirm=True)
    asyncio.run(rollout.wait())

    assert rollout.status().canary_percent == 20
    _until(slider, "status", lambda: slider.status is not None and slider.status.canary_percent == 20)
    assert slider.status is not None and slider.status.changed_by == "kserve-nb"
    _until(slider, "snapshot", lambda: slider.phase.word == "settled")
    assert slider.pin(confirm=True) is not None
    asyncio.run(rollout.wait())
    assert rollout.status().canary_percent == 0
    table.close()
    slider.close()


def _until(widget: Any, trait: str, holds: Callable[[], bool]) -> None:
    """Wait until a widget shows an expected state."""
    arrived = threading.Event()
    widget.observe(lambda _change: arrived.set() if holds() else None, trait)
    assert holds() or arrived.wait(DEADLINE_S), widget.text
