"""Fixtures of the tests of kind clusters: a machine with fakes of Docker, kind and kubectl."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from kserve_nb import clusters
from kserve_nb.clusters import Record
from kserve_nb.clusters.backend import Notify
from kserve_nb.clusters.kind import required_images, tools
from kserve_nb.clusters.kind.versions import installed
from tests.fake_gateway import FakeGateway
from tests.kind_world import World

NODE = "kserve-nb-demo-control-plane"


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    """docker, kind and kubectl on PATH: programs, each run as a process."""
    made = World(tmp_path)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("KIND_EXPERIMENTAL_PROVIDER", raising=False)
    monkeypatch.setattr(required_images, "_AT_A_TIME", 1)  # the world's file has one writer
    monkeypatch.setenv("PATH", str(made.programs), prepend=os.pathsep)
    monkeypatch.setattr(tools, "PAUSE_S", 0.0)
    return made


@pytest.fixture
def world(machine: World, monkeypatch: pytest.MonkeyPatch) -> World:
    """The same programs, called in this process: starting a process for each command takes seconds."""
    monkeypatch.setattr(tools, "run", machine.run)
    return machine


@pytest.fixture
def manifests(tmp_path: Path) -> Path:
    """The manifests of both gateways, reduced to a namespace and one definition each."""
    place = tmp_path / "manifests"
    place.mkdir()
    namespaces = {"cert-manager.yaml": "cert-manager", "serving-core.yaml": "knative-serving",
                  "istio.yaml": "istio-system", "kourier.yaml": "kourier-system"}
    for gateway in ("istio", "kourier"):
        for name, _url in (file for each in installed(gateway) for file in each.manifests):
            namespace = namespaces.get(name, "left-over")
            (place / name).write_text(
                "kind: CustomResourceDefinition\nmetadata:\n  name: inferenceservices.serving.kserve.io\n---\n"
                f"kind: Namespace\nmetadata:\n  name: {namespace}\n")
    return place


def up(gateway: FakeGateway, folder: Path, form: str | None = None, notify: Notify = lambda _: None) -> Record:
    port = int(gateway.address.rpartition(":")[2])
    return clusters.start("demo", "kind", gateway=form, ingress_port=port, manifests=folder, notify=notify)


def warning(message: str, name: str = "pod-1", kind: str = "Pod", at: str | None = None) -> dict[str, Any]:
    """A warning event about an object; at a time, or later than any test."""
    when = at or (datetime.now(UTC) + timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {"type": "Warning", "message": message, "lastTimestamp": when, "metadata": {"creationTimestamp": when},
            "involvedObject": {"kind": kind, "name": name}}


def pod(name: str = "pod-1", *, ready: bool) -> dict[str, Any]:
    conditions = [{"type": "Ready", "status": str(ready)}]
    return {"metadata": {"name": name}, "status": {"phase": "Running", "conditions": conditions}}
