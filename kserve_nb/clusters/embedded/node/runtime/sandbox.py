"""The sandbox of a container: what its process may read, write, reach and use.

A model is a pickle, and loading a pickle runs the code in it. The process therefore gives up, before it loads a model,
all access that a model server does not need. How much it can give up depends on the kernel; `level` returns that.
"""

from __future__ import annotations

import os
import resource
import sys
from pathlib import Path

from kserve_nb.clusters.embedded.node.protocol import Task
from kserve_nb.clusters.embedded.node.runtime import landlock, seccomp

SWITCH = "KSERVE_NB_SANDBOX"  # an environment variable of `kserve-nb up`; `off` runs pods without a sandbox
MAX_FILE_BYTES = 16 << 30
THREADS_BYTES = 512 << 20  # address space that stacks and allocators of threads reserve without using it
# What Python and its libraries read of the system. Nothing in it belongs to a user.
_SYSTEM = ("/usr", "/lib", "/lib32", "/lib64", "/bin", "/sbin", "/nix/store", "/etc/ld.so.cache", "/etc/localtime",
           "/etc/mime.types", "/etc/nsswitch.conf", "/etc/passwd", "/etc/group", "/etc/ssl", "/etc/pki",
           "/etc/ca-certificates", "/etc/crypto-policies", "/proc/self", "/proc/cpuinfo", "/proc/meminfo", "/proc/stat",
           "/proc/filesystems", "/proc/sys/vm", "/sys/devices/system", "/sys/fs/cgroup", "/dev/urandom", "/dev/random",
           "/dev/zero")
_NAME_SERVICE = ("/etc/hosts", "/etc/host.conf", "/etc/resolv.conf", "/etc/gai.conf", "/etc/services",
                 "/run/systemd/resolve")
_CERTIFICATES = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE")
_DEVICES = ("/dev/null", "/dev/full")


def level() -> str:
    """The level of the sandbox on this machine, and what it separates pods from, in words for the user."""
    if os.environ.get(SWITCH) == "off":
        return f"none: {SWITCH}=off. Models run with your rights"
    files, calls = landlock.version(), seccomp.is_available()
    if not files and not calls:
        return "none: this system has neither Landlock nor seccomp. Models run with your rights"
    if not files:
        return ("partial: models cannot open network connections or inspect other processes, but can read and write "
                "your files, since this kernel has no Landlock")
    without = [text for text, missing in (
        ("their sockets are not restricted, since seccomp is not available", not calls),
        ("they can send signals to your processes, since Landlock is older than version 6", files < 6)) if missing]
    words = "models can read their own files only, and cannot open network connections or inspect other processes"
    return f"full: {words}" if not without else f"partial: {words}, but {' and '.join(without)}"


def enter(task: Task) -> None:
    """Restrict this process to what the task needs. Raises OSError if the kernel refuses."""
    _set_limits(task)
    if os.environ.get(SWITCH) == "off":
        return
    downloads = task.role == "storage-initializer"
    if landlock.version():
        readable, writable = [*_SYSTEM, *_python(), *task.readable], [*_DEVICES, task.root, *task.writable]
        if downloads:
            from kserve_nb.clusters.embedded.node.runtime import iris_models  # not before `preload`

            readable += [*_NAME_SERVICE, *(os.environ[name] for name in _CERTIFICATES if os.environ.get(name))]
            writable.append(str(iris_models.open_cache()))
        landlock.restrict(map(Path, readable), map(Path, writable), tcp=downloads)
    if seccomp.is_available():
        seccomp.restrict(seccomp.INTERNET if downloads else ())


def _python() -> set[str]:
    """The folders of the interpreter and of the installed packages."""
    return {sys.prefix, sys.base_prefix, sys.exec_prefix, str(Path(__file__).parents[4])}


def _set_limits(task: Task) -> None:
    """Limit memory to what the container's limit leaves, file sizes to a sane maximum, and write no core files."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _lower(resource.RLIMIT_FSIZE, MAX_FILE_BYTES)
    if task.memory_bytes and sys.platform == "linux":  # elsewhere the limit does not cover mapped memory
        _lower(resource.RLIMIT_DATA, _data_bytes() + task.memory_bytes + THREADS_BYTES)


def _lower(limit: int, value: int) -> None:
    soft, hard = resource.getrlimit(limit)
    lowest = min(bound for bound in (soft, hard, value) if bound != resource.RLIM_INFINITY)
    resource.setrlimit(limit, (lowest, lowest))


def _data_bytes() -> int:
    """How much private memory this process has mapped already."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmData:")), 0)
