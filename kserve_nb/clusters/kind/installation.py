"""Create a kind cluster and install KServe in it, or continue an installation that was interrupted."""

from __future__ import annotations

import http.client
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from kserve_nb.clusters import state
from kserve_nb.clusters.backend import Notify
from kserve_nb.clusters.kind import docker_node, kind_record, preflight, steps, tools
from kserve_nb.clusters.kind.install_manifests import Manifests
from kserve_nb.clusters.kind.tools import Kubectl
from kserve_nb.clusters.kind.versions import installed
from kserve_nb.clusters.ports import free_ports
from kserve_nb.clusters.state import ClusterError, Record
from kserve_nb.values.cluster import UNKNOWN_HOST

_GATEWAY_S = 120.0  # from the port mapping to a gateway that answers


def install(name: str, before: Record | None, namespace: str, options: Mapping[str, Any], notify: Notify) -> Record:
    """Create the kind cluster with KServe in it, or do what is missing; return when its gateway answers.

    Args:
        name: the cluster's name; kind calls it `kserve-nb-NAME`.
        before: its record; None if it is new.
        namespace: the namespace of its kubeconfig's context.
        options: the given ones of gateway, ingress_port and manifests.
        notify: receives the steps, each with the seconds since the start.

    Raises:
        ClusterError: something is missing on this machine, or a step failed; the message says what to do.
    """
    record = before or Record(name, "kind", str(state.folder(name) / "kubeconfig"), "", namespace,
                              gateway=options.get("gateway", "istio"))
    preflight.check(record.gateway)
    source = Manifests(state.folder(name) / "manifests", options.get("manifests"))
    source.require(installed(record.gateway))
    return _install_all(record, options.get("ingress_port"), source, _timed(notify), fresh=before is None)


def missing(record: Record) -> str:
    """The name of the first step that is not done; empty if all are done."""
    done = kind_record.steps_done(record)
    return next((step.name for step in steps.all_steps(record.gateway) if step.name not in done), "")


def _install_all(record: Record, port: int | None, source: Manifests, notify: Notify, *, fresh: bool) -> Record:
    if fresh:
        record = replace(record, ingress=f"127.0.0.1:{port or free_ports(1)[0]}")
    record = docker_node.create(record, notify)
    kubectl = Kubectl(Path(record.kubeconfig), notify)
    kubectl.patiently("get", "--raw", "/readyz")
    record = _install(record, steps.Bench(kubectl, source, record.gateway), notify)
    _wait_for_gateway(record)
    notify(f"the gateway answers at {record.ingress}")
    return record


def _install(record: Record, bench: steps.Bench, notify: Notify) -> Record:
    """Do the steps that are not done. One whose namespace has gone is done again, and so are those that follow it."""
    there = set(bench.kubectl("get", "namespaces", "-o", "name").split())
    done = []
    for step in steps.all_steps(record.gateway):
        if step.name not in kind_record.steps_done(record) or f"namespace/{step.namespace}" not in there:
            break
        done.append(step.name)
    if done:
        notify(f"there already: {', '.join(done)}")
        for namespace in dict.fromkeys(s.namespace for s in steps.all_steps(record.gateway) if s.name in done):
            steps.ready(bench, namespace)
    for step in steps.all_steps(record.gateway)[len(done):]:
        notify(f"{step.name} …")
        step.do(bench)
        done.append(step.name)
        record = kind_record.save(record, kind_record.container(record), done)
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


def _timed(notify: Notify) -> Notify:
    began = time.monotonic()

    def timed(text: str) -> None:
        notify(f"{time.monotonic() - began:4.0f} s  {text}")

    return timed
