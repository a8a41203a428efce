"""The protocol between kubelet and runtime: one JSON object per line, over a socket file.

Requests to the runtime: `{"action": "list"}`, `{"action": "start", "task": Task}`,
`{"action": "signal", "id": ..., "signal": ...}` and `{"action": "forget", "id": ...}`. The runtime answers `list` with
`{"processes": [Process], "sandbox": level}`. It sends `{"process": Process}` to every client whenever a process has
started, has begun to listen, or has ended.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

RUNTIME_SOCKET = "runtime.sock"


@dataclass(frozen=True)
class Task:
    """One run of one container: what the runtime starts.

    >>> Task("1b2c/kserve-container/0", "server", ["--model_name=iris"], root="/s/root", log="/s/0.log").id
    '1b2c/kserve-container/0'
    """

    id: str  # "<pod uid>/<container>/<restart count>"
    role: Literal["server", "storage-initializer"]
    args: list[str]
    root: str  # the folder that represents the container's "/"
    log: str  # a file in an existing folder
    memory_bytes: int = 0  # the memory limit; 0 for none
    env: dict[str, str] = field(default_factory=dict)
    readable: list[str] = field(default_factory=list)  # files and folders outside of the root that it may read
    writable: list[str] = field(default_factory=list)  # ... and that it may write


@dataclass
class Process:
    """The process of a task, running or ended. Times are POSIX seconds."""

    id: str
    pid: int
    started: float
    address: str | None = None  # `unix:PATH` of its socket file once it listens
    finished: float | None = None
    exit_code: int | None = None
    signal: int | None = None  # the signal that killed it
    out_of_memory: bool = False  # it was killed because it exceeded its memory limit
