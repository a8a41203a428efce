"""The health record of a running cluster: the state of each of its processes, in `health.json` of its state folder.

The supervisor writes the file; `status`, `up` and the doctor read it. A cluster that does not run has the file that its
last supervisor left: check the supervisor's lock first.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal

FILE = "health.json"
TAIL_BYTES = 4096
PartState = Literal["starting", "ready", "restarting", "crash-looping", "stopped"]

_TYPES: dict[str, type | tuple[type, ...]] = {"name": str, "state": str, "since": (int, float), "restarts": int,
                                              "reason": str, "last_log": str}


@dataclass(frozen=True)
class PartHealth:
    """The state of one process of a cluster, such as `envoy` or `server`.

    >>> PartHealth("envoy", "crash-looping", since=1.7e9, restarts=4, reason="exit code 1", last_log="bad config")
    """

    name: str
    state: PartState = "starting"
    since: float = 0.0  # POSIX seconds
    restarts: int = 0  # since the supervisor started
    reason: str = ""  # why the process ended or cannot be started; empty if it never did
    last_log: str = ""  # the last line of its log when it ended


@dataclass(frozen=True)
class Health:
    """The state of all processes of a cluster.

    `stopped` is why the supervisor ended; it is empty while the supervisor runs.
    """

    pid: int = 0  # the supervisor's process id
    parts: tuple[PartHealth, ...] = field(default=())
    stopped: str = ""

    @property
    def failing(self) -> tuple[PartHealth, ...]:
        """The parts that have ended repeatedly and do not run."""
        return tuple(part for part in self.parts if part.state == "crash-looping")


def write(folder: Path, health: Health) -> None:
    """Replace the health record in a state folder in one step. Raises OSError."""
    draft = folder / f".{FILE}.tmp"
    with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as stream:
        json.dump(asdict(health), stream, indent=1)
    draft.replace(folder / FILE)


def read(folder: Path) -> Health | None:
    """Return the health record of a state folder, or None if there is none that can be read."""
    try:
        row = json.loads((folder / FILE).read_text())
        return Health(int(row["pid"]), tuple(_part(part) for part in row["parts"]), str(row["stopped"]))
    except (OSError, ValueError, TypeError, KeyError):
        return None


def _part(row: dict[str, object]) -> PartHealth:
    values = {name: row[name] for name in PartHealth.__dataclass_fields__}
    if not all(isinstance(values[name], expected) for name, expected in _TYPES.items()):
        raise TypeError(f"not the health of a part: {row}")
    return PartHealth(**values)  # type: ignore[arg-type]


def last_line(log: Path) -> str:
    """Return the last line of a log file that has text, or an empty string."""
    try:
        with log.open("rb") as stream:
            stream.seek(max(0, stream.seek(0, os.SEEK_END) - TAIL_BYTES))
            lines = stream.read().decode("utf-8", "replace").splitlines()
    except OSError:
        return ""
    # The last line of an exception group's traceback is a frame without text.
    return next((text for line in reversed(lines) if (text := line.strip("+-| \t"))), "")
