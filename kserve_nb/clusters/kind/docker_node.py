"""The kind cluster itself: created once, found again, and deleted only if it is the one that kserve-nb created."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import yaml

from kserve_nb.clusters import kubeconfig_files, private_files
from kserve_nb.clusters.backend import Notify
from kserve_nb.clusters.kind import kind_record, tools
from kserve_nb.clusters.kind.kind_record import CREATING
from kserve_nb.clusters.kind.versions import part
from kserve_nb.clusters.state import ClusterError, Record

NODE_PORT = 31080  # the gateway's port inside the node; the learner's port is mapped to it
CREATE_S = 55  # an estimate, with the node image present
_CREATE_LIMIT_S = 900  # includes the download of the node image


def kind_name(name: str) -> str:
    """The name that our cluster has in kind."""
    return f"kserve-nb-{name}"


def node_name(name: str) -> str:
    """The name of the container that is the cluster's node."""
    return f"{kind_name(name)}-control-plane"


def config(port: int, image: str) -> str:
    """kind's configuration: one node, whose gateway port is mapped to a port of 127.0.0.1."""
    mapping = {"containerPort": NODE_PORT, "hostPort": port, "listenAddress": "127.0.0.1", "protocol": "TCP"}
    node = {"role": "control-plane", "image": image, "extraPortMappings": [mapping]}
    document = {"kind": "Cluster", "apiVersion": "kind.x-k8s.io/v1alpha4", "nodes": [node]}
    return yaml.safe_dump(document, sort_keys=False)


def find(name: str) -> tuple[str, bool] | None:
    """The id of the node's container, and whether it runs; None if kind has no cluster of our name."""
    done = tools.run_container_program(
        "inspect", "--type", "container", "--format", "{{.Id}} {{.State.Running}}", node_name(name))
    if done.returncode == 0:
        id_, _, running = done.stdout.strip().partition(" ")
        return id_, running == "true"
    if "no such" in done.stderr.lower():
        return None
    raise ClusterError(f"Docker is not responding: {tools.last_line(done)} Start Docker and run the command again.")


def exists(name: str) -> bool:
    """Whether kind has a cluster of our name; False if Docker is missing."""
    try:
        return find(name) is not None
    except ClusterError:
        return False


def must_be_ours(record: Record) -> None:
    """Raise ClusterError if kind has a cluster of our name that this record did not create."""
    found = find(record.name)
    if found is not None and kind_record.container(record) not in (CREATING, found[0]):
        raise not_ours(record.name)


def not_ours(name: str) -> ClusterError:
    """The error for a kind cluster of our name, if nothing shows that kserve-nb created it."""
    return ClusterError(
        f"kind has a cluster {kind_name(name)!r}, and no record shows that kserve-nb created it: it is left alone. "
        f"Use another --name, or delete it yourself: kind delete cluster --name {kind_name(name)}")


def create(record: Record, image: str, notify: Notify) -> Record:
    """Create the node, or start it if it was stopped. What an interrupted creation has left is deleted first."""
    must_be_ours(record)
    found = find(record.name)
    if found is not None and kind_record.container(record) == found[0]:
        if not found[1]:
            notify("the node was stopped: starting it")
            _must(tools.run_container_program("start", node_name(record.name)), "start of the node")
        return record
    if found is not None:
        notify("an earlier creation was interrupted: starting again")
        delete(record)
    return _create(record, image, notify)


def _create(record: Record, image: str, notify: Notify) -> Record:
    file = Path(record.kubeconfig)
    private_files.make_folder(file.parent)
    file.unlink(missing_ok=True)
    record = kind_record.save(replace(record, details={}), container=CREATING)
    notify(f"creating a kind cluster with Kubernetes {part('node').version} (about {CREATE_S} s, and the download of "
           "its image the first time)")
    port = int(record.ingress.rpartition(":")[2])
    done = tools.run("kind", "create", "cluster", "--name", kind_name(record.name), "--config", "-", "--kubeconfig",
                     str(file), "--wait", "180s", stdin=config(port, image), timeout_s=_CREATE_LIMIT_S)
    found = find(record.name)
    if done.returncode or found is None:
        why = " | ".join(done.stderr.strip().splitlines()[-3:]) or f"exit code {done.returncode}"
        if found is not None:
            delete(record)
        kind_record.discard(record)
        raise ClusterError(f"kind could not create the cluster: {why}{_advice(done.stderr)}")
    kubeconfig_files.save(kubeconfig_files.copy(file, None, record.namespace), file)
    return kind_record.save(record, container=found[0])


def stop(record: Record) -> None:
    """Stop the node's container and keep what is in it. Raises ClusterError if the container is not ours."""
    must_be_ours(record)
    found = find(record.name)
    if found is not None and found[1]:
        _must(tools.run_container_program("stop", node_name(record.name), timeout_s=120), "stop of the node")


def delete(record: Record) -> None:
    """Delete the kind cluster; do nothing if there is none. Raises ClusterError if it is not ours, or is left."""
    must_be_ours(record)
    if kind_record.container(record) and find(record.name) is not None:
        _must(tools.run("kind", "delete", "cluster", "--name", kind_name(record.name), "--kubeconfig",
                        record.kubeconfig, timeout_s=300), "kind delete cluster")
        if find(record.name) is not None:
            raise ClusterError(f"kind delete cluster has left the container {node_name(record.name)}. Delete it: "
                               f"{tools.container_program()} rm -f {node_name(record.name)}")


def usage(name: str) -> str:
    """The memory and the disk space that the node uses, for display; empty if Docker does not tell."""
    memory = tools.run_container_program("stats", "--no-stream", "--format", "{{.MemUsage}}", node_name(name))
    disk = tools.run_container_program("exec", node_name(name), "du", "-sm", "/var", timeout_s=120)
    found = []
    if memory.returncode == 0 and memory.stdout.strip():
        found.append(f"memory {memory.stdout.partition('/')[0].strip()}")
    if disk.returncode == 0 and disk.stdout.split()[:1]:
        found.append(f"disk {int(disk.stdout.split()[0]) / 1024:.1f} GiB")
    return ", ".join(found)


def _advice(message: str) -> str:
    """What to do about the failures that kind's known-issues page lists."""
    if "port is already allocated" in message or "address already in use" in message:
        return ". Choose a port: --ingress-port PORT, or leave it out"
    if "too many open files" in message:
        return ". Raise the limit: sudo sysctl fs.inotify.max_user_watches=524288 fs.inotify.max_user_instances=512"
    if "no space left" in message:
        return ". Free disk space: docker system prune"
    return ""


def _must(done: tools.Done, what: str) -> None:
    if done.returncode:
        raise ClusterError(f"{what} failed: {tools.last_line(done)}. Run it by hand to see more.")
