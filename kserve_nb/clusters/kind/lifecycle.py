"""Bring a kind cluster up, whatever is there already, and take it away again."""

from __future__ import annotations

import http.client
import time
from dataclasses import replace
from pathlib import Path

from kserve_nb.clusters import state
from kserve_nb.clusters.embedded.lifecycle import free_ports
from kserve_nb.clusters.kind import docker_node, preflight, steps, tools
from kserve_nb.clusters.kind.install_manifests import Manifests
from kserve_nb.clusters.kind.tools import Kubectl, Say
from kserve_nb.clusters.kind.versions import installed
from kserve_nb.clusters.state import ClusterError, Record
from kserve_nb.values.cluster import UNKNOWN_HOST

_GATEWAY_S = 120.0  # from the port mapping to a gateway that answers


def up(name: str, *, gateway: str | None = None, namespace: str = "kserve-test", ingress_port: int | None = None,
       manifests: Path | None = None, say: Say = lambda _: None) -> Record:
    """Create the named kind cluster with KServe in it, or find it; what was cut off goes on where it ended.

    Args:
        gateway: `istio` (default) or `kourier`.
        ingress_port: the port on 127.0.0.1 at which the gateway is reached; a free one where not given.
        manifests: a folder that holds the manifests; they come from the network where not given.
        say: told what happens, with the time spent.

    Raises:
        ClusterError: something is missing on this machine, or a step failed; the message says what to do.
    """
    with state.lock(name):
        before = state.read(name)
        if before is not None:
            _must_agree(before, gateway, ingress_port)
        record = before or Record(name, "kind", str(state.folder(name) / "kubeconfig"), "", namespace,
                                  gateway=gateway or "istio")
        preflight.check(record.gateway)
        source = Manifests(state.folder(name) / "manifests", manifests)
        source.require(installed(record.gateway))
        return _up(record, ingress_port, source, _timed(say), fresh=before is None)


def down(record: Record) -> None:
    """Take away the kind cluster that this record made, and forget it. Another one of its name is left alone."""
    with state.lock(record.name):
        docker_node.delete(record)
        state.forget(record.name)


def missing(record: Record) -> str:
    """The first step that has not been done; empty where all have."""
    return next((step.name for step in steps.all_steps(record.gateway) if step.name not in record.steps), "")


def _up(record: Record, port: int | None, source: Manifests, say: Say, *, fresh: bool) -> Record:
    if fresh:
        record = replace(record, ingress=f"127.0.0.1:{port or free_ports(1)[0]}")
        state.folder(record.name).mkdir(parents=True, exist_ok=True, mode=0o700)
    try:
        record = docker_node.create(record, say)
    except ClusterError:
        if fresh:
            state.forget(record.name)
        raise
    kubectl = Kubectl(Path(record.kubeconfig), say)
    kubectl.patiently("get", "--raw", "/readyz")
    record = _install(record, steps.Bench(kubectl, source, record.gateway), say)
    _wait_for_gateway(record)
    say(f"the gateway answers at {record.ingress}")
    return record


def _install(record: Record, bench: steps.Bench, say: Say) -> Record:
    """Do the steps that are not done. One whose namespace has gone is done again, and so are those that follow it."""
    there = set(bench.kubectl("get", "namespaces", "-o", "name").split())
    done = []
    for step in steps.all_steps(record.gateway):
        if step.name not in record.steps or f"namespace/{step.namespace}" not in there:
            break
        done.append(step.name)
    if done:
        say(f"there already: {', '.join(done)}")
        for namespace in dict.fromkeys(s.namespace for s in steps.all_steps(record.gateway) if s.name in done):
            steps.ready(bench, namespace)
    for step in steps.all_steps(record.gateway)[len(done):]:
        say(f"{step.name} …")
        step.do(bench)
        done.append(step.name)
        record = replace(record, steps=tuple(done))
        state.write(record)
    return record


def _wait_for_gateway(record: Record) -> None:
    """Until a host that nobody serves gets the gateway's 404."""
    host, _, port = record.ingress.rpartition(":")
    deadline = time.monotonic() + _GATEWAY_S
    while True:
        why = _ask_gateway(host, int(port))
        if not why:
            return
        if time.monotonic() > deadline:
            namespace, service = steps.GATEWAYS[record.gateway]
            raise ClusterError(f"the gateway does not answer at {record.ingress}: {why}. Look at it: kubectl "
                               f"--kubeconfig {record.kubeconfig} get pods,service/{service} -n {namespace}")
        time.sleep(tools.PAUSE_S)


def _ask_gateway(host: str, port: int) -> str:
    """Why it is not the gateway that answers; empty where it is."""
    connection = http.client.HTTPConnection(host, port, timeout=5)
    try:
        connection.request("GET", "/", headers={"Host": UNKNOWN_HOST})
        status = connection.getresponse().status
    except (OSError, http.client.HTTPException) as error:
        return str(error) or type(error).__name__
    finally:
        connection.close()
    return "" if status == http.client.NOT_FOUND else f"status {status} for a host that nobody serves"


def _must_agree(record: Record, gateway: str | None, port: int | None) -> None:
    if record.cluster != "kind":
        raise ClusterError(f"cluster {record.name!r} is up and is {record.cluster}, not kind. "
                           f"End it first: kserve-nb down --name {record.name}; or use another --name.")
    asked = {"--gateway": (gateway, record.gateway), "--ingress-port": (port, int(record.ingress.rpartition(":")[2]))}
    for flag, (wanted, has) in asked.items():
        if wanted is not None and wanted != has:
            raise ClusterError(f"cluster {record.name!r} has {flag} {has}, not {wanted}. `kserve-nb down --name "
                               f"{record.name}` takes it away; or use another --name beside it.")


def _timed(say: Say) -> Say:
    began = time.monotonic()

    def timed(text: str) -> None:
        say(f"{time.monotonic() - began:4.0f} s  {text}")

    return timed
