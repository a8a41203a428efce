"""The kind cluster itself: made once, found again, and taken away only where it is the one that we made."""

from __future__ import annotations

from pathlib import Path

import yaml

from kserve_nb.clusters import kubeconfig_files, private_files
from kserve_nb.clusters.backend import Notify
from kserve_nb.clusters.kind import kind_record, tools
from kserve_nb.clusters.kind.kind_record import CREATING
from kserve_nb.clusters.kind.versions import part
from kserve_nb.clusters.state import ClusterError, Record

NODE_PORT = 31080  # of the gateway's Service, inside the node; the learner's port is mapped to it
_CREATE_S = 900  # pulls the node image the first time


def kind_name(name: str) -> str:
    """What kind calls our cluster of that name."""
    return f"kserve-nb-{name}"


def config(port: int) -> str:
    """kind's configuration: one node, whose gateway port is a port of this machine's loopback address."""
    mapping = {"containerPort": NODE_PORT, "hostPort": port, "listenAddress": "127.0.0.1", "protocol": "TCP"}
    node = {"role": "control-plane", "image": part("node").image, "extraPortMappings": [mapping]}
    document = {"kind": "Cluster", "apiVersion": "kind.x-k8s.io/v1alpha4", "nodes": [node]}
    return yaml.safe_dump(document, sort_keys=False)


def find(name: str) -> tuple[str, bool] | None:
    """Docker's id of the node's container and whether it runs; None where kind has no cluster of our name."""
    asked = tools.run("docker", "inspect", "--type", "container", "--format", "{{.Id}} {{.State.Running}}",
                      f"{kind_name(name)}-control-plane")
    if asked.returncode == 0:
        id_, _, running = asked.stdout.strip().partition(" ")
        return id_, running == "true"
    if "no such" in asked.stderr.lower():
        return None
    raise ClusterError(f"Docker does not answer: {tools.last_line(asked)} Start it, then say the same again.")


def must_be_ours(record: Record) -> None:
    """Raises ClusterError where kind has a cluster of our name that is not the one this record made."""
    found = find(record.name)
    if found is None or kind_record.container(record) in (CREATING, found[0]):
        return
    name = kind_name(record.name)
    raise ClusterError(
        f"kind has a cluster {name!r} already, and nothing here says that kserve-nb made it; it is left alone. "
        f"Use another --name, or take it away yourself: kind delete cluster --name {name}")


def create(record: Record, notify: Notify) -> Record:
    """The record of a cluster whose node is there and runs; what a start that was cut off left is begun anew."""
    must_be_ours(record)
    found = find(record.name)
    if found is not None and kind_record.container(record) == found[0]:
        if not found[1]:
            notify("the node had been stopped: starting it")
            _must(tools.run("docker", "start", f"{kind_name(record.name)}-control-plane"), "docker start")
        return record
    if found is not None:
        notify("a start before this one was cut off: beginning anew")
        delete(record)
    return _create(record, notify)


def _create(record: Record, notify: Notify) -> Record:
    file = Path(record.kubeconfig)
    private_files.make_folder(file.parent)
    file.unlink(missing_ok=True)
    record = kind_record.save(record, container=CREATING)
    notify(f"creating a kind cluster with Kubernetes {part('node').version} (the first time its image is fetched)")
    port = int(record.ingress.rpartition(":")[2])
    done = tools.run("kind", "create", "cluster", "--name", kind_name(record.name), "--config", "-", "--kubeconfig",
                     str(file), "--wait", "180s", stdin=config(port), timeout_s=_CREATE_S)
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
    """Stop the node's container; what is in it stays. Raises ClusterError if the container is not ours."""
    must_be_ours(record)
    found = find(record.name)
    if found is not None and found[1]:
        _must(tools.run("docker", "stop", f"{kind_name(record.name)}-control-plane", timeout_s=120), "docker stop")


def delete(record: Record) -> None:
    """Take the kind cluster away; does nothing where there is none. Raises ClusterError where it is not ours."""
    must_be_ours(record)
    if kind_record.container(record) and find(record.name) is not None:
        _must(tools.run("kind", "delete", "cluster", "--name", kind_name(record.name), "--kubeconfig",
                        record.kubeconfig, timeout_s=300), "kind delete cluster")


def _advice(words: str) -> str:
    """What to do about the failures that kind's known-issues page names."""
    if "port is already allocated" in words or "address already in use" in words:
        return ". Choose a port: --ingress-port PORT, or leave it out"
    if "too many open files" in words:
        return ". Raise the limit: sudo sysctl fs.inotify.max_user_watches=524288 fs.inotify.max_user_instances=512"
    if "no space left" in words:
        return ". Make room: docker system prune"
    return ""


def _must(done: tools.Done, what: str) -> None:
    if done.returncode:
        raise ClusterError(f"{what} failed: {tools.last_line(done)}. Run it by hand to see more.")
