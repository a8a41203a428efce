"""Whether an embedded cluster is ready: its processes, its API server and its gateway."""

from __future__ import annotations

import ssl
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path

from kserve_nb.clusters.backend import PartStatus, Status
from kserve_nb.clusters.embedded import unreadable_objects
from kserve_nb.clusters.embedded.supervision import health, supervisor_control
from kserve_nb.clusters.embedded.supervision.health import Health, PartHealth
from kserve_nb.clusters.state import ClusterError, Record

START_S = 60.0  # the first start trains models; a busy machine is slow
RESPONSE_S = 15.0  # how long a running cluster may take to respond before it is restarted
_POLL_S = 0.02


def status(record: Record, folder: Path) -> Status:
    """The state of the cluster and of its parts."""
    found = health.read(folder)
    if not supervisor_control.is_running(record, folder):
        return Status("stopped", False, f"it is stopped ({why_stopped(found)}). Start it: "
                      f"kserve-nb up --name {record.name}")
    if found is None or found.pid != record.pid:  # it is the health record of an earlier supervisor
        return Status("running", False, "it is starting")
    parts = tuple(map(_part_status, found.parts))
    failing = [part for part in parts if part.state != "ready"]
    if failing:
        return Status("running", False, "; ".join(
            f"{part.name} is {part.state}" + (f": {part.problem}" if part.problem else "") for part in failing), parts)
    if not answers(record, folder):
        return Status("running", False, "its API server or its gateway does not answer", parts)
    return Status("running", True, "", parts, unreadable_objects.read(folder))


def why_stopped(found: Health | None) -> str:
    """The reason that the last supervisor recorded, or that it recorded none."""
    return found.stopped if found and found.stopped else "its processes ended unexpectedly"


def wait(record: Record, folder: Path, supervisor: subprocess.Popen[bytes]) -> None:
    """Return when all parts of a cluster that was just started are ready.

    Raises:
        ClusterError: a part ends repeatedly, or the cluster is not ready in time; with the last line of a log.
    """
    deadline = time.monotonic() + START_S
    while not (found := status(record, folder)).ready:
        crashing = next((part for part in found.parts if part.state == "crash-looping"), None)
        if crashing is not None:
            raise ClusterError(f"Cannot start cluster {record.name!r}: {crashing.name} ends again and again, "
                               f"{crashing.problem}. Its log: {folder / crashing.name}.log")
        if supervisor.poll() is not None:
            raise ClusterError(f"Cannot start cluster {record.name!r}: its supervisor has ended: "
                               f"{health.last_line(folder / 'supervisor.log')}")
        if time.monotonic() > deadline:
            raise ClusterError(f"Cannot start cluster {record.name!r}: {found.reason} after {START_S:.0f} s. "
                               f"Its logs are in {folder}.")
        time.sleep(_POLL_S)


def responds(record: Record, folder: Path) -> bool:
    """Whether a running cluster is ready, or becomes ready within RESPONSE_S. False at once if it does not run."""
    deadline = time.monotonic() + RESPONSE_S
    while not (found := status(record, folder)).ready:
        stuck = any(part.state == "crash-looping" for part in found.parts)
        if found.state != "running" or stuck or time.monotonic() > deadline:
            return False
        time.sleep(_POLL_S)
    return True


def answers(record: Record, folder: Path, timeout_s: float = 5.0) -> bool:
    """Whether the API server reports that it is ready, and Envoy answers at the ingress."""
    ready = urllib.request.Request(f"https://127.0.0.1:{record.api_port}/readyz",
                                   headers={"Authorization": f"Bearer {record.token}"})
    try:
        context = ssl.create_default_context(cafile=str(folder / "tls.crt"))
        opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context))
        with opener.open(ready, timeout=timeout_s) as answer:
            return answer.status == 200 and _gateway_answers(opener, record, timeout_s)
    except (OSError, ValueError):
        return False


def _gateway_answers(opener: urllib.request.OpenerDirector, record: Record, timeout_s: float) -> bool:
    try:
        with opener.open(f"http://{record.ingress}/", timeout=timeout_s):
            return True
    except urllib.error.HTTPError:  # Envoy has no route for this host and responds with 404
        return True


def _part_status(part: PartHealth) -> PartStatus:
    problem = " | ".join(filter(None, (part.reason, part.last_log)))
    return PartStatus(part.name, part.state, part.since, part.restarts, problem)
