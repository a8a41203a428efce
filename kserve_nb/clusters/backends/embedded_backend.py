"""The embedded cluster: a small Kubernetes API server, reconcilers, Envoy and model servers on this machine."""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from kserve_nb.clusters import kubeconfig_files, private_files, process_identity, state
from kserve_nb.clusters.backend import GATEWAY, INGRESS_PORT, Notify, Option, Status
from kserve_nb.clusters.embedded import supervisor_control
from kserve_nb.clusters.ports import free_ports, unavailable
from kserve_nb.clusters.state import ClusterError, Record

START_S = 60.0  # the first start trains models; a busy machine is slow
_POLL_S = 0.02
_LOGS = ("supervisor.log", "server.log", "envoy.log", "runtime.log")


class EmbeddedBackend:
    """Clusters that run as processes of this machine."""

    name = "embedded"
    summary = "on this machine, without Docker"
    options = (
        Option("speed", "How many times shorter the waiting periods (scale-down, drain, back-off) are; 1 is real time.",
               float, default="10", minimum=0.1, maximum=1000),
        GATEWAY,
        INGRESS_PORT,
        Option("idle_hours", "Stop after so many hours without use.", float, default="12", minimum=0,
               above_minimum=True),
        Option("owner", "Stop when this process ends.", int, metavar="PID", minimum=1),
    )
    side_by_side = True
    deleted = "deleted"

    def start(self, name: str, before: Record | None, namespace: str, options: Mapping[str, Any],
              notify: Notify) -> Record:
        """Start the cluster, resume it with its objects, or find it running; return when it answers."""
        owner = options.get("owner")
        owner_started = None if owner is None else _start_mark(owner)
        folder = state.folder(name)
        if before is not None and self.usable(before):
            return before
        if before is not None:
            supervisor_control.terminate(name, before, folder)
            notify(f"Cluster {name!r} was not running: resuming it with its objects.")
        record = before or _new(name, namespace, options)
        if "idle_hours" in options:
            record = replace(record, idle_s=options["idle_hours"] * 3600)
        record = replace(record, owner=owner, owner_started=owner_started,
                         temporary=bool(options.get("temporary", record.temporary)))
        return _launch(record, folder, notify)

    def stop(self, record: Record) -> None:
        """End the cluster's processes; its objects stay in its folder."""
        supervisor_control.terminate(record.name, record, state.folder(record.name))

    def release(self, name: str, record: Record | None) -> None:
        """End the cluster's processes."""
        supervisor_control.terminate(name, record, state.folder(name))

    def status(self, record: Record) -> Status:
        """Whether API server and gateway answer."""
        folder = state.folder(record.name)
        if not supervisor_control.is_running(record, folder):
            return Status("stopped", False, f"it is not running. Start it: kserve-nb up --name {record.name}")
        if not supervisor_control.answers(record, folder):
            return Status("running", False, "it does not answer")
        return Status("running", True)

    def usable(self, record: Record) -> bool:
        """Whether its processes run and answer."""
        return self.status(record).ready

    def settings(self, record: Record) -> Mapping[str, Any]:
        """The options that it was started with."""
        return {"speed": record.speed, "gateway": record.gateway,
                "ingress_port": int(record.ingress.rpartition(":")[2])}

    def describe(self, record: Record) -> str:
        """The form of its URLs, and its speed."""
        periods = "real waiting periods" if record.speed == 1 else f"waiting periods {record.speed:g} times shorter"
        return f"{record.gateway} URLs, {periods}"


def _new(name: str, namespace: str, options: Mapping[str, Any]) -> Record:
    """The record, certificate and kubeconfig of a new cluster."""
    from kserve_nb.clusters.embedded import certificate  # cryptography takes time to import

    port = options.get("ingress_port")
    if port is not None:
        _must_be_free(port, "leave --ingress-port out for a free port")
    folder, ports = state.folder(name), free_ports(2)
    try:
        private_files.make_folder(folder)
        public, _ = certificate.make(folder)
    except OSError as error:
        raise ClusterError(f"Cannot create {folder} for cluster {name!r}: {error.strerror}. Choose another state "
                           "folder: XDG_STATE_HOME=/some/folder kserve-nb up") from None
    record = Record(
        name, EmbeddedBackend.name, str(folder / "kubeconfig"), f"127.0.0.1:{port or ports[0]}", namespace,
        float(options.get("speed", 10)), options.get("gateway", "istio"), api_port=ports[1],
        token=secrets.token_hex(16))
    document = kubeconfig_files.document(
        name, f"https://127.0.0.1:{record.api_port}", public.read_bytes(), record.token, namespace)
    kubeconfig_files.save(document, folder / "kubeconfig")
    return record


def _launch(record: Record, folder: Path, notify: Notify) -> Record:
    """Start the supervisor and wait until the cluster answers."""
    ingress_port = EmbeddedBackend().settings(record)["ingress_port"]
    for port in (record.api_port, ingress_port):
        _must_be_free(port, f"cluster {record.name!r} uses it")
    state.write(replace(record, pid=os.getpid(), started=process_identity.start_mark(os.getpid())))
    process = supervisor_control.launch(record, folder)
    record = replace(record, pid=process.pid, started=process_identity.start_mark(process.pid))
    state.write(record)
    notify("Starting the API server, the gateway and the model runtime ...")
    deadline = time.monotonic() + START_S
    while not supervisor_control.answers(record, folder):
        if process.poll() is not None or time.monotonic() > deadline:
            why = _log_end(folder)
            supervisor_control.terminate(record.name, record, folder)
            raise ClusterError(f"Cannot start cluster {record.name!r}: {why}")
        time.sleep(_POLL_S)
    return record


def _start_mark(owner: int) -> str:
    mark = process_identity.start_mark(owner)
    if mark is None:
        raise ClusterError(f"There is no process {owner} that could own a cluster. Name a running one, for example "
                           "--owner $$ for this shell.")
    return mark


def _must_be_free(port: int, otherwise: str) -> None:
    if why := unavailable(port):
        raise ClusterError(f"Cannot use port {port} on 127.0.0.1: {why}. End the program that listens on it, "
                           f"or {otherwise}.")


def _log_end(folder: Path) -> str:
    """The last lines of the log of the part that could not start."""
    for name in _LOGS:
        file = folder / name
        lines = file.read_text(errors="replace").strip().splitlines() if file.exists() else []
        if lines and (name != "supervisor.log" or "Error" in lines[-1]):
            return f"{name} ends with: " + " | ".join(lines[-3:])
    return f"it did not answer within {START_S:.0f} s, and its logs are empty"


BACKEND = EmbeddedBackend()
