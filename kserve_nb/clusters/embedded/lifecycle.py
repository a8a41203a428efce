"""Start and end an embedded cluster from outside its processes."""

from __future__ import annotations

import os
import secrets
import signal
import socket
import ssl
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import psutil

from kserve_nb.clusters import kubeconfig_files, state
from kserve_nb.clusters.embedded import certificate
from kserve_nb.clusters.state import ClusterError, Record

START_S = 60.0  # the first start trains models; a busy machine is slow
PORTS = range(20000, 32000)  # below the range that outgoing connections take theirs from
Say = Callable[[str], None]


def up(name: str, *, speed: float | None = None, gateway: str | None = None, namespace: str = "kserve-test",
       ingress_port: int | None = None, owner: int | None = None, idle_s: float | None = None,
       say: Say = lambda _: None) -> Record:
    """Start the named cluster, or find it running; return once it answers.

    A cluster that crashed is resumed with its objects and its old settings. Where it was up already, a flag that is
    given must agree.

    Args:
        speed: divides the autoscaler's and kubelet's windows; 10 where not given.
        gateway: `istio` (default) or `kourier`: the form of the URLs.
        ingress_port: the gateway's port; a free one where not given.
        owner: the cluster ends when the process of this id does.
        idle_s: it ends when nobody has used it for so many seconds; 12 hours where not given.

    Raises:
        ClusterError: it cannot be started, or runs with other flags.
    """
    owner_started = None if owner is None else _start_of(owner)
    with state.lock(name):
        before = state.read(name)
        if before is not None:
            _must_agree(before, speed=speed, gateway=gateway, ingress_port=ingress_port)
            if before.alive and answers(before):
                return before
            _end_processes(before)
            say(f"cluster {name!r} had ended without `down`: resuming it with its objects")
            record = before
        else:
            record = _new(name, speed or 10.0, gateway or "istio", namespace, ingress_port, idle_s)
        if owner is not None:
            record = replace(record, owner=owner, owner_started=owner_started)
        return _start(record, say, resumed=before is not None)


def down(record: Record) -> None:
    """End the cluster's processes and forget its objects."""
    with state.lock(record.name):
        _end_processes(record)
        state.forget(record.name)


def answers(record: Record, timeout_s: float = 5.0) -> bool:
    """Whether the API server says that it is ready and Envoy that it is live."""
    asked = urllib.request.Request(f"https://127.0.0.1:{record.api_port}/readyz",
                                   headers={"Authorization": f"Bearer {record.token}"})
    try:
        context = ssl.create_default_context(cafile=str(state.folder(record.name) / "tls.crt"))
        opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context))
        for request in (asked, f"http://127.0.0.1:{record.admin_port}/ready"):
            with opener.open(request, timeout=timeout_s) as answer:
                if answer.status != 200:
                    return False
    except (OSError, ValueError):
        return False
    return True


def _new(name: str, speed: float, gateway: str, namespace: str, ingress_port: int | None,
         idle_s: float | None) -> Record:
    if ingress_port is not None:
        _must_be_free(ingress_port, "or leave --ingress-port out: a free one is chosen")
    folder = state.folder(name)
    state.forget(name)
    try:
        folder.mkdir(parents=True, mode=0o700)
    except OSError as error:
        raise ClusterError(
            f"cluster {name!r} needs the folder {folder}, which cannot be made: {error.strerror}") from None
    ports = free_ports(4)
    record = Record(
        name, "embedded", str(folder / "kubeconfig"), f"127.0.0.1:{ingress_port or ports[0]}", namespace, speed,
        gateway, api_port=ports[1], admin_port=ports[2], activator_port=ports[3], token=secrets.token_hex(16))
    public, _ = certificate.make(folder)
    server = f"https://127.0.0.1:{record.api_port}"
    document = kubeconfig_files.document(name, server, public.read_bytes(), record.token, namespace)
    kubeconfig_files.save(document, folder / "kubeconfig")
    return record if idle_s is None else replace(record, idle_s=idle_s)


def _start(record: Record, say: Say, *, resumed: bool) -> Record:
    folder = state.folder(record.name)
    for port in (record.api_port, record.admin_port, record.activator_port, int(record.ingress.rpartition(":")[2])):
        _must_be_free(port, f"cluster {record.name!r} had it before; or forget that cluster: "
                            f"kserve-nb down --name {record.name}")
    state.write(replace(record, pid=os.getpid(), started=psutil.Process().create_time()))
    with open(folder / "supervisor.log", "ab") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "kserve_nb.clusters.embedded.supervisor", record.name],
            stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True, env=_environment())
    record = state.with_process(record, process.pid)
    state.write(record)
    say("starting the API server, the gateway and the model runtime ...")
    deadline = time.monotonic() + START_S
    while not answers(record):
        if process.poll() is not None or time.monotonic() > deadline:
            why = _last_words(folder)
            _end_processes(record)
            if not resumed:
                state.forget(record.name)
            raise ClusterError(f"cluster {record.name!r} did not start: {why}")
        time.sleep(0.02)
    return record


def _environment() -> dict[str, str]:
    """The environment without what would send loopback calls through a proxy or block byte-compiled modules."""
    hidden = {"PYTHONDONTWRITEBYTECODE"}
    return {key: value for key, value in os.environ.items()
            if key not in hidden and not key.lower().endswith("_proxy")}


def _start_of(owner: int) -> float:
    try:
        return float(psutil.Process(owner).create_time())
    except (psutil.NoSuchProcess, ValueError, OverflowError):
        raise ClusterError(f"there is no process {owner} that could own a cluster: name one that runs, for example "
                           "--owner $$ for this shell.") from None


def _must_agree(record: Record, *, speed: float | None, gateway: str | None, ingress_port: int | None) -> None:
    if record.cluster != "embedded":
        raise ClusterError(f"cluster {record.name!r} is up and is {record.cluster}, not embedded. "
                           f"End it first: kserve-nb down --name {record.name}; or use another --name.")
    port = int(record.ingress.rpartition(":")[2])
    asked = {"--speed": (speed, record.speed), "--gateway": (gateway, record.gateway),
             "--ingress-port": (ingress_port, port)}
    for flag, (wanted, has) in asked.items():
        if wanted is not None and wanted != has:
            raise ClusterError(
                f"cluster {record.name!r} runs with {flag} {has}, not {wanted}. `kserve-nb down --name {record.name}` "
                "ends it and forgets its objects; or use another --name beside it.")


def _must_be_free(port: int, otherwise: str) -> None:
    try:
        with socket.create_server(("127.0.0.1", port)):
            pass
    except OSError as error:
        raise ClusterError(f"port {port} on 127.0.0.1 cannot be used: {error.strerror}. "
                           f"End what listens there; {otherwise}.") from None


def free_ports(count: int) -> list[int]:
    """Ports of 127.0.0.1 that nobody listens on, outside the range of outgoing connections."""
    found: list[int] = []
    offset = secrets.randbelow(len(PORTS))
    for step in range(len(PORTS)):
        port = PORTS[(offset + step * 7) % len(PORTS)]
        try:
            with socket.create_server(("127.0.0.1", port)):
                found.append(port)
        except OSError:
            continue
        if len(found) == count:
            return found
    raise ClusterError(f"no {count} free ports between {PORTS.start} and {PORTS.stop} on 127.0.0.1.")


def _end_processes(record: Record) -> None:
    """Ask the supervisor to end, and see that none of its processes is left."""
    if record.pid is None or record.pid == os.getpid() or not state.same_process(record.pid, record.started):
        return
    supervisor = psutil.Process(record.pid)
    family = [*supervisor.children(recursive=True), supervisor]
    supervisor.send_signal(signal.SIGTERM)
    _, left = psutil.wait_procs(family, timeout=8)
    for process in left:
        process.kill()
    psutil.wait_procs(left, timeout=5)


def _last_words(folder: Path) -> str:
    """The last lines of the log that tells most: a part that could not start says why there."""
    for name in ("supervisor.log", "server.log", "envoy.log", "runtime.log"):
        file = folder / name
        lines = file.read_text(errors="replace").strip().splitlines() if file.exists() else []
        if lines and (name != "supervisor.log" or "Error" in lines[-1]):
            return f"{name} ends with: " + " | ".join(lines[-3:])
    return f"it did not answer within {START_S:.0f} s, and its logs are empty"
