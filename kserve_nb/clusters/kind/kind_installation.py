"""Create a kind cluster and install KServe in it, or continue an installation that was interrupted."""

from __future__ import annotations

import http.client
import time
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from kserve_nb.clusters import state
from kserve_nb.clusters.backend import Notify
from kserve_nb.clusters.kind import docker_node, kind_record, preflight, required_images, steps, tools
from kserve_nb.clusters.kind.install_manifests import Manifests, cache_folder
from kserve_nb.clusters.kind.tools import Kubectl
from kserve_nb.clusters.kind.versions import installed, part
from kserve_nb.clusters.ports import free_ports
from kserve_nb.clusters.state import ClusterError, Record
from kserve_nb.values.cluster import UNKNOWN_HOST

_GATEWAY_S = 120.0  # from the port mapping to a gateway that answers


def install(name: str, before: Record | None, namespace: str, options: Mapping[str, Any], notify: Notify) -> Record:
    """Create the kind cluster with KServe in it, or do what is missing; return when webhooks and gateway answer.

    Everything that can be checked is checked before the cluster is created: the machine, the manifests, the images.

    Args:
        name: the cluster's name; kind calls it `kserve-nb-NAME`.
        before: its record; None if it is new.
        namespace: the namespace of its kubeconfig's context.
        options: the given ones of gateway, ingress_port, manifests and images.
        notify: receives the steps, each with the seconds since the start.

    Raises:
        ClusterError: something is missing on this machine, or a step failed; the message says what to do.
    """
    began = time.monotonic()
    notify = _timed(notify)
    record = before or Record(name, "kind", str(state.folder(name) / "kubeconfig"), "", namespace,
                              gateway=options.get("gateway", "istio"))
    preflight.check(notify)
    if missing(record):
        manifests, image = _prepare(record.gateway, options, notify)
    else:
        manifests, image = Manifests(cache_folder()), part("node").image
    if before is None:
        record = replace(record, ingress=f"127.0.0.1:{options.get('ingress_port') or free_ports(1)[0]}")
    record = docker_node.create(record, image, notify)
    context = steps.InstallContext(Kubectl(Path(record.kubeconfig), notify), manifests, record.gateway)
    context.kubectl.wait_until_ready()
    if options.get("images") is not None and missing(record):
        _load_images(record, options["images"], notify)
    record = _install_missing(record, context, notify)
    _wait_for_gateway(record)
    cost = docker_node.usage(name)
    notify(f"the gateway answers at {record.ingress}. Cost: {time.monotonic() - began:.0f} s"
           + (f", {cost}" if cost else ""))
    return record


def missing(record: Record) -> str:
    """The name of the first step that is not done; empty if all are done."""
    done = kind_record.steps_done(record)
    return next((step.name for step in steps.all_steps(record.gateway) if step.name not in done), "")


def problem(record: Record) -> str:
    """Why the cluster cannot be used now, found out by a dry run through each webhook and a request to the gateway."""
    kubectl = Kubectl(Path(record.kubeconfig))
    for step in steps.all_steps(record.gateway):
        if step.probe is not None:
            done = kubectl.attempt("create", "--request-timeout=10s", "--dry-run=server", "-f", "-",
                                   stdin=steps.dry_run_manifest(step.probe()))
            if done.returncode:
                return f"{step.name} does not answer: {tools.last_line(done)}"
    why = ask_gateway(record)
    return f"the gateway does not answer at {record.ingress}: {why}" if why else ""


def _prepare(gateway: str, options: Mapping[str, Any], notify: Notify) -> tuple[Manifests, str]:
    """The manifests and the node image, after a check that all manifests and images can be had."""
    folder = options.get("images")
    manifests = Manifests(cache_folder(), options.get("manifests"),
                          required_images.with_tags if folder is not None else str)
    notify("checking the manifests" if options.get("manifests") else "fetching the manifests that are not here yet")
    plain = Manifests(cache_folder(), options.get("manifests"))
    images = required_images.required(plain.fetch_all(installed(gateway)))
    if folder is None:
        size = required_images.download_size(images)
        told = "of unknown size" if size is None else f"{size / 1e9:.1f} GB in total"
        notify(f"{len(images)} images are needed, {told}; those that are not in Docker yet are downloaded. "
               "List them: kserve-nb kind images")
        return manifests, part("node").image
    absent = required_images.missing_from(required_images.archives(folder), images)
    if absent:
        raise ClusterError(f"Cannot install from --images {folder}: it lacks {', '.join(absent)}. "
                           "Create the archives on a machine with a network: kserve-nb kind images --save DIR")
    return manifests, _load_node_image(folder, notify)


def _load_node_image(folder: Path, notify: Notify) -> str:
    image = required_images.tag_of(part("node").image)
    for file, tags in required_images.archives(folder).items():
        if image in tags:
            notify(f"loading {file.name}")
            done = tools.run_container_program("load", "-i", str(file), timeout_s=600)
            if done.returncode:
                raise ClusterError(f"Cannot load {file}: {tools.last_line(done)}")
    return image


def _load_images(record: Record, folder: Path, notify: Notify) -> None:
    for file, tags in required_images.archives(folder).items():
        if required_images.tag_of(part("node").image) in tags:
            continue
        notify(f"loading {file.name}")
        done = tools.run("kind", "load", "image-archive", str(file), "--name", docker_node.kind_name(record.name),
                         timeout_s=600)
        if done.returncode:
            raise ClusterError(f"Cannot load {file} into the cluster: {tools.last_line(done)}")


def _install_missing(record: Record, context: steps.InstallContext, notify: Notify) -> Record:
    """Do the steps that are not done. One whose namespace has gone is done again, and so are those that follow it."""
    namespaces = set(context.kubectl.patiently("get", "namespaces", "-o", "name").split())
    known, everything = kind_record.steps_done(record), steps.all_steps(record.gateway)
    count = next((number for number, step in enumerate(everything)
                  if step.name not in known or f"namespace/{step.namespace}" not in namespaces), len(everything))
    if count:
        notify(f"there already: {', '.join(step.name for step in everything[:count])}")
        _verify(context, everything[:count])
    for number, step in enumerate(everything[count:], count + 1):
        left = sum(each.seconds for each in everything[number - 1:])
        notify(f"step {number} of {len(everything)}: {step.name} (about {step.seconds} s; all that is left {left} s)")
        step.install(context)
        record = kind_record.save(record, kind_record.container(record),
                                  [each.name for each in everything[:number]])
    return record


def _verify(context: steps.InstallContext, done: Iterable[steps.InstallStep]) -> None:
    """Wait until what was installed earlier answers. After a restart of the node, the states of the Deployments are
    those from before it; only a webhook's answer shows that it runs."""
    done = tuple(done)
    for step in done:
        if step.probe is not None:
            steps.wait_for_webhook(context, step.probe())
    for namespace in dict.fromkeys(step.namespace for step in done):
        steps.ready(context, namespace)


def _wait_for_gateway(record: Record) -> None:
    """Wait until the gateway answers a host that no route has with its own 404."""
    deadline = time.monotonic() + _GATEWAY_S
    while why := ask_gateway(record):
        if time.monotonic() > deadline:
            namespace, service = steps.GATEWAYS[record.gateway]
            raise ClusterError(f"The gateway does not answer at {record.ingress}: {why}. Look at it: kubectl "
                               f"--kubeconfig {record.kubeconfig} get pods,service/{service} -n {namespace}")
        time.sleep(tools.PAUSE_S)


def ask_gateway(record: Record) -> str:
    """Why the response does not come from the gateway; empty if it does."""
    host, _, port = record.ingress.rpartition(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=5)
    try:
        connection.request("GET", "/", headers={"Host": UNKNOWN_HOST})
        status = connection.getresponse().status
    except (OSError, http.client.HTTPException) as error:
        return str(error) or type(error).__name__
    finally:
        connection.close()
    return "" if status == http.client.NOT_FOUND else f"status {status} for a host that no route has"


def _timed(notify: Notify) -> Notify:
    """The function that puts the seconds since now in front of each line."""
    began = time.monotonic()

    def timed(text: str) -> None:
        notify(f"{time.monotonic() - began:4.0f} s  {text}")

    return timed
