"""The Node object's conditions: not ready without a runtime, under pressure on a full disk, and the sandbox's level."""

from __future__ import annotations

from collections import namedtuple
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from kserve_nb.clusters.embedded.api.initial_objects import populate
from kserve_nb.clusters.embedded.api.store.store import Store
from kserve_nb.clusters.embedded.apimachinery.kinds import EVENT, NODE
from kserve_nb.clusters.embedded.apimachinery.objects import Settings, condition
from kserve_nb.clusters.embedded.node.kubelet import node_status
from kserve_nb.clusters.embedded.node.kubelet.kubelet_events import KubeletEvents
from kserve_nb.clusters.embedded.node.kubelet.node_status import NodeStatus

Usage = namedtuple("Usage", "total used free")


class World:
    """A cluster's node, with a clock, a disk and a runtime that a test changes."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch):
        self.now_s, self.free = 0.0, 1 << 40
        self.store, settings = Store(None), Settings()
        populate(self.store, settings)
        self.runtime: Any = SimpleNamespace(is_connected=True, sandbox="full: ...")
        monkeypatch.setattr(node_status.shutil, "disk_usage", lambda _: Usage(1 << 40, 0, self.free))
        self.status = NodeStatus(self.store, settings, self.runtime, KubeletEvents(self.store, settings.node), folder,
                                 lambda: self.now_s)

    def node(self) -> dict[str, Any]:
        self.status.update()
        return self.store.get(NODE, None, "embedded")

    def events(self) -> list[tuple[str, str]]:
        return [(e["reason"], e["message"]) for e in self.store.list(EVENT, "default")]


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    return World(tmp_path, monkeypatch)


def test_a_node_whose_runtime_responds_is_ready_and_records_nothing(world: World) -> None:
    node = world.node()

    assert condition(node, "Ready")["status"] == "True"
    assert condition(node, "DiskPressure")["status"] == "False"
    assert node["metadata"]["annotations"][node_status.SANDBOX_ANNOTATION] == "full: ..."
    assert world.events() == []


def test_a_node_without_a_runtime_for_long_is_not_ready(world: World) -> None:
    world.node()
    world.runtime.is_connected = False

    world.now_s = node_status.RUNTIME_DOWN_S
    assert condition(world.node(), "Ready")["status"] == "True"
    world.now_s += 1
    ready = condition(world.node(), "Ready")

    assert (ready["status"], ready["reason"], ready["message"]) == (
        "False", "KubeletNotReady", "container runtime is down")
    assert world.events() == [("NodeNotReady", "Node embedded status is now: NodeNotReady")]


def test_a_node_whose_runtime_is_back_is_ready_again(world: World) -> None:
    world.runtime.is_connected = False
    world.now_s = node_status.RUNTIME_DOWN_S + 1
    world.node()

    world.runtime.is_connected = True

    assert condition(world.node(), "Ready")["reason"] == "KubeletReady"
    assert [reason for reason, _ in world.events()] == ["NodeNotReady", "NodeReady"]


def test_a_disk_that_is_nearly_full_is_pressure_until_there_is_room(world: World) -> None:
    world.free = node_status.LOW_DISK_BYTES - 1
    pressure = condition(world.node(), "DiskPressure")
    world.free = node_status.LOW_DISK_BYTES
    relief = condition(world.node(), "DiskPressure")

    assert (pressure["status"], pressure["reason"]) == ("True", "KubeletHasDiskPressure")
    assert (relief["status"], relief["reason"]) == ("False", "KubeletHasNoDiskPressure")
    assert [reason for reason, _ in world.events()] == ["NodeHasDiskPressure", "NodeHasNoDiskPressure"]
