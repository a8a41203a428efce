"""Rules about the cluster: its context, version and nodes, and an embedded cluster's parts (K01 to K03, N01 to N04)."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from urllib.parse import urlsplit

from kserve_nb.doctor.fact_check import fact_check, offline_check
from kserve_nb.doctor.facts import Facts
from kserve_nb.doctor.finding import Finding
from kserve_nb.doctor.remedy import Remedy, kubectl
from kserve_nb.doctor.rule import declare
from kserve_nb.values.cluster import looks_like_production
from kserve_nb.values.condition import conditions_of

WRONG_CONTEXT = declare("K01", "this may be the wrong cluster, or you have no access to it")
NO_CLUSTER = declare("K02", "no cluster answers")
OLD_KUBERNETES = declare("K03", "Kubernetes is older than KServe needs")
NODE_NOT_READY = declare("N01", "a node is not ready")
NODE_PRESSURE = declare("N02", "a node is running out of disk space, memory or process ids")
PART_DOWN = declare("N03", "a part of the embedded cluster is not running")
DISK_FULL = declare("N04", "the disk is full")

OLDEST = (1, 32)  # KServe's quick start: "Kubernetes 1.32 or later"
_TUTORIAL = re.compile(
    r"(kserve-nb|kind|k3d|minikube|docker-desktop|rancher-desktop|orbstack|colima|microk8s)(\b|[-_])"
)
_LOOPBACK = ("127.0.0.1", "localhost", "::1")
_LOW_DISK_BYTES = 64 * 1024 * 1024
_NO_SPACE = re.compile(r"No space left on device|disk is full|Disk quota exceeded", re.IGNORECASE)
_NOT_RUNNING = ("restarting", "crash-looping")
_PARTS = {
    "runtime": "It starts the model servers: without it no new pod starts.",
    "envoy": "It is the ingress gateway: without it no request reaches a model.",
    "server": "It is the API server: without it nothing can be read or changed.",
}
_OWN_CLUSTER = Remedy("use a cluster of your own", "kserve-nb up", 'lab = connect("embedded")')
_PRESSURES = {
    "DiskPressure": "The node evicts pods and starts no new ones until disk space is free.",
    "MemoryPressure": "The node evicts pods until memory is free.",
    "PIDPressure": "The node starts no new pods until processes end.",
}


@fact_check
def wrong_context(facts: Facts) -> Iterator[Finding]:
    """K01: the context's name, its server's address, and whether InferenceServices may be read at all."""
    where = f"context {facts.context}"
    if facts.hidden:
        yield Finding(
            WRONG_CONTEXT, "blocker", "cluster", where, facts.hidden,
            "RBAC does not let this user read InferenceServices, so nothing is known about them.",
            Remedy(f"request the role view in namespace {facts.namespace}, or use a cluster of your own",
                   "kserve-nb up", 'lab = connect("embedded")'),
        )  # fmt: skip
    if not facts.context or _TUTORIAL.match(facts.context):
        return
    production = looks_like_production(facts.context)
    if production or urlsplit(facts.server).hostname not in _LOOPBACK:
        yield Finding(
            WRONG_CONTEXT, "warning" if production else "note", "cluster", where, facts.server,
            "The tutorial creates, changes and deletes InferenceServices in this cluster.", _OWN_CLUSTER,
        )  # fmt: skip


@offline_check
def no_cluster(facts: Facts) -> Iterator[Finding]:
    """K02: the API server does not answer at the kubeconfig's address."""
    if not facts.unreachable:
        return
    tools = facts.session.tools if facts.session else frozenset()
    without = [tool for tool in ("docker", "kind") if tool not in tools]
    why = "The API server is not running, cannot be reached from here, or rejects these credentials."
    if without:
        are = "are" if len(without) > 1 else "is"
        why += f" {' and '.join(without)} {are} not installed; an embedded cluster needs neither."
    where = facts.context or facts.server or "kubeconfig"
    name = "" if facts.cluster_name == "default" else f" --name {facts.cluster_name}"
    yield Finding(
        NO_CLUSTER, "blocker", "cluster", where, facts.unreachable, why,
        Remedy("", f"kserve-nb up{name}", "lab = connect()"),
    )  # fmt: skip


@fact_check
def old_kubernetes(facts: Facts) -> Iterator[Finding]:
    """K03: /version reports a release before the oldest one that KServe and Knative support."""
    found = re.match(r"v(\d+)\.(\d+)", facts.version)
    if found and (int(found[1]), int(found[2])) < OLDEST:
        oldest = ".".join(map(str, OLDEST))
        yield Finding(
            OLD_KUBERNETES, "warning", "cluster", "/version", facts.version,
            f"KServe 0.20 and Knative 1.21 need Kubernetes {oldest} or newer.",
            Remedy("upgrade the cluster, or use a new one", "kserve-nb up", 'lab = connect("embedded")'),
        )  # fmt: skip


@fact_check
def unready_nodes(facts: Facts) -> Iterator[Finding]:
    """N01 and N02: the conditions of the nodes."""
    for node in facts.nodes:
        name, conditions = node["metadata"]["name"], conditions_of(node)
        inspect = Remedy("read the node's conditions and events", kubectl("describe", "node", name))
        ready = conditions.get("Ready")
        if ready is not None and ready.status != "True":
            yield Finding(
                NODE_NOT_READY, "blocker", "node", f"node {name}",
                f"Ready {ready.status}: {ready.reason}: {ready.message}",
                "The kubelet does not report a working node: no pod starts there.", inspect,
            )  # fmt: skip
        for kind, why in _PRESSURES.items():
            if kind in conditions and conditions[kind].status == "True":
                saw = f"{kind}: {conditions[kind].message or conditions[kind].reason}"
                yield Finding(NODE_PRESSURE, "blocker", "node", f"node {name}", saw, why, inspect)


@offline_check
def failing_parts(facts: Facts) -> Iterator[Finding]:
    """N03: the supervisor's health record of an embedded cluster."""
    for part in facts.health.get("parts") or []:
        if part.get("state") not in _NOT_RUNNING:
            continue
        name, words = str(part.get("name")), part.get("last_log") or part.get("reason") or "no log"
        yield Finding(
            PART_DOWN, "blocker", "cluster", f"process {name}",
            f"{part['state']}, {part.get('restarts', 0)} restarts, {part.get('reason') or 'no reason'}: {words}",
            _PARTS.get(name, "Without this part, the cluster works only partly."),
            Remedy("repair what its last log line names; its whole log is in the cluster's folder",
                   f"kserve-nb status --name {facts.cluster_name}"),
        )  # fmt: skip


@offline_check
def full_disk(facts: Facts) -> Iterator[Finding]:
    """N04: the disk of an embedded cluster's state folder, or a process that reports a full one."""
    words = [str(part.get("last_log") or part.get("reason") or "") for part in facts.health.get("parts") or []]
    told = next(filter(_NO_SPACE.search, (*words, facts.unreachable, facts.dry_run)), "")
    low = facts.free_bytes is not None and facts.free_bytes < _LOW_DISK_BYTES
    if told or low:
        saw = told or f"{(facts.free_bytes or 0) / 2**20:.0f} MiB are free"
        yield Finding(
            DISK_FULL, "blocker", "cluster", facts.folder or "the state folder", saw,
            "The cluster cannot store changes. Every object that it has confirmed is kept.",
            Remedy("free disk space; the cluster then continues by itself",
                   f"df -h {shlex.quote(facts.folder or '.')}"),
        )  # fmt: skip
