"""`ensure` reaches a step from any state, and `reset` leaves nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from kserve_nb.lab import Lab
from kserve_nb.rollout.errors import NotReadyError
from kserve_nb.values.cluster import Cluster
from kserve_nb.values.manifest import MODEL, MODEL_2, inference_service
from tests.cluster.conftest import Target

ABSENT = f"{MODEL}-that-is-not-there"
Leave = Callable[[Lab], Coroutine[Any, Any, object]]


@pytest.fixture
def lab(target: Target) -> Lab:
    return Lab(Cluster(Path(target.kubeconfig), target.ingress, target.namespace, speed=target.speed))


async def a_broken_canary(lab: Lab) -> None:
    await lab.ensure("first-model")
    lab.rollout().canary(ABSENT, percent=10)
    with pytest.raises(NotReadyError):
        await lab.rollout().wait()


async def a_broken_first_model(lab: Lab) -> None:
    lab.rollout().deploy(ABSENT)
    with pytest.raises(NotReadyError):
        await lab.rollout().wait()


async def a_percent_that_knative_refuses(lab: Lab) -> None:
    await lab.ensure("first-model")
    lab.rollout().apply(inference_service("sklearn-iris", MODEL_2, percent=101))
    with pytest.raises(NotReadyError):
        await lab.rollout().wait()


async def a_promote_by_100_percent(lab: Lab) -> None:
    await lab.ensure("canary-10")
    lab.rollout().canary(percent=100)
    await lab.rollout().wait()
    lab.check.promoted()


async def a_canary_under_way(lab: Lab) -> None:
    await lab.ensure("first-model")
    lab.rollout().canary(MODEL_2, percent=55)


async def a_service_that_has_just_been_deleted(lab: Lab) -> None:
    await lab.ensure("tagged")
    lab.rollout().delete()


async def an_earlier_step(lab: Lab) -> None:
    await lab.ensure("first-model")


LEFT = [a_broken_canary, a_broken_first_model, a_percent_that_knative_refuses, a_promote_by_100_percent,
        a_canary_under_way, a_service_that_has_just_been_deleted, an_earlier_step]  # fmt: skip


@pytest.mark.parametrize("leave", LEFT, ids=lambda leave: leave.__name__)
def test_a_step_is_reached_from_anywhere(lab: Lab, leave: Leave) -> None:
    async def through() -> None:
        await leave(lab)
        await lab.ensure("canary-10")
        lab.check.canary_spec(10)
        lab.check.split_status(10)
        lab.check.pods({"00001": 1, "00002": 1})
        await lab.ensure("canary-10")  # a second call changes nothing

    asyncio.run(through())

    assert [revision.name[-5:] for revision in lab.rollout().revisions()] == ["00001", "00002"]


def test_a_reset_leaves_nothing_and_needs_nothing(lab: Lab) -> None:
    async def through() -> None:
        await a_broken_canary(lab)
        await lab.reset()
        await lab.reset()

    asyncio.run(through())

    assert lab.rollout().pods() == () and lab.rollout().revisions() == ()


def test_a_namespace_that_is_being_deleted_is_waited_for(lab: Lab, target: Target) -> None:
    asyncio.run(lab.ensure("first-model"))
    target.kubectl("delete", "namespace", target.namespace, "--wait=false")

    asyncio.run(lab.ensure("first-model"))

    lab.check.first_ready()
