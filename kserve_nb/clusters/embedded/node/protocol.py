"""What the node agent and the runtime say to each other: one JSON object a line, over a unix socket.

To the runtime: `{"do": "list"}`, `{"do": "start", "task": Task}`, `{"do": "signal", "id", "signal"}`,
`{"do": "forget", "id"}`. From it: `{"processes": [Process]}` as the answer to list, and `{"process": Process}` to
everybody whenever a process has started, listens, or has ended.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

RUNTIME_SOCKET = "runtime.sock"


@dataclass(frozen=True)
class Task:
    """One run of one container."""

    id: str  # "<pod uid>/<container>/<restart count>"
    role: Literal["server", "storage-initializer"]
    args: list[str]
    root: str  # the folder that stands for the container's "/"
    log: str  # a file, in a folder that is there
    memory_bytes: int = 0  # its memory limit; 0: none
    env: dict[str, str] = field(default_factory=dict)


@dataclass
class Process:
    """What became of a task. Times are POSIX seconds."""

    id: str
    pid: int
    started: float
    address: str | None = None  # `unix:PATH` of its socket file once it listens
    finished: float | None = None
    exit_code: int | None = None
    signal: int | None = None  # what killed it
    out_of_memory: bool = False  # ... because it was over its memory limit
