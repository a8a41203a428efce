"""Attach a cluster that somebody else runs, find its gateway, and run the tutorial on it."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path

import psutil
import pytest
import yaml

from kserve_nb import clusters
from kserve_nb.access.api_client import Client
from kserve_nb.access.ingress import IRIS_INPUT, Ingress
from kserve_nb.access.port_forward import PortForward
from kserve_nb.lab import Lab
from kserve_nb.values.cluster import Cluster
from tests.cluster.conftest import Target

DEADLINE_S = 60


@pytest.fixture(autouse=True)
def _own_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    for name in ("KUBECONFIG", "KSERVE_INGRESS_HOST_PORT", "INGRESS_HOST", "INGRESS_PORT"):
        monkeypatch.delenv(name, raising=False)


def attached(target: Target) -> Lab:
    record = clusters.start("theirs", "attach", kubeconfig=Path(target.kubeconfig), namespace=target.namespace)
    return Lab(clusters.cluster_of(record))


def test_the_gateway_is_found_and_the_tutorials_steps_pass(target: Target) -> None:
    lab = attached(target)

    assert lab.ingress.how in ("LoadBalancer", "NodePort", "port-forward"), lab.ingress.explain()
    assert lab.read_only == ""
    asyncio.run(_steps(lab))


async def _steps(lab: Lab) -> None:
    await lab.ensure("first-model")
    lab.check.ingress()
    lab.check.first_ready()
    lab.check.predict()
    await lab.ensure("canary-10")
    lab.check.split_status()
    lab.check.split_observed()
    await lab.ensure("promoted")
    lab.check.promoted()
    await lab.reset()


def test_it_is_configured_as_kserves_own_tests_are(target: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBECONFIG", target.kubeconfig)
    monkeypatch.setenv("KSERVE_INGRESS_HOST_PORT", target.ingress)

    lab = Lab(clusters.connect("attach", name="theirs", namespace=target.namespace))

    assert (lab.ingress.address, lab.ingress.how) == (target.ingress, "environment")
    lab.check.ingress()


def test_down_leaves_their_cluster_as_it_is(target: Target) -> None:
    attached(target)
    before = Path(target.kubeconfig).read_text()

    clusters.delete("theirs")

    assert Path(target.kubeconfig).read_text() == before
    assert target.namespace in target.kubectl("get", "namespace", target.namespace)


def test_read_only_access_is_reported(target: Target, tmp_path: Path) -> None:
    client = Client(Cluster(Path(target.kubeconfig), target.ingress, target.namespace))
    assert client.forbidden() == ""

    config = yaml.safe_load(Path(target.kubeconfig).read_text())
    config["users"][0]["user"]["as"] = "somebody"
    (tmp_path / "kubeconfig").write_text(yaml.safe_dump(config))
    client = Client(Cluster(tmp_path / "kubeconfig", target.ingress, target.namespace))

    assert client.forbidden() == f"RBAC does not let you create inferenceservices in namespace {target.namespace}"


def test_a_port_forward_survives_its_kubectl_and_its_pod(target: Target) -> None:
    lab = attached(target)
    asyncio.run(lab.ensure("first-model"))
    service = "service/sklearn-iris-predictor-00001-private"
    forward = PortForward(Path(target.kubeconfig), target.namespace, service, 80).start()
    ingress, host = Ingress(forward.address, forward=forward), lab.rollout().host()
    try:
        assert ingress.predict(host, "sklearn-iris", IRIS_INPUT) == [1, 1]

        _kubectl_of(forward).send_signal(signal.SIGKILL)
        assert forward.wait(DEADLINE_S, after=1)
        assert ingress.predict(host, "sklearn-iris", IRIS_INPUT) == [1, 1]

        target.kubectl("delete", "pod", "-l", "serving.kserve.io/inferenceservice=sklearn-iris", "--wait=true")
        asyncio.run(lab.rollout().wait_pods(DEADLINE_S))
        assert ingress.predict(host, "sklearn-iris", IRIS_INPUT) == [1, 1]
        assert forward.generation == 3
    finally:
        forward.close()


def _kubectl_of(forward: PortForward) -> psutil.Process:
    port = forward.address.rpartition(":")[2]
    return next(child for child in psutil.Process().children() if any(port in word for word in child.cmdline()))
