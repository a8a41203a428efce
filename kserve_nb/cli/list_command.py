"""`kserve-nb ls`: all clusters of this user."""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

import click

from kserve_nb import clusters
from kserve_nb.cli.common_options import OUTPUT, echo
from kserve_nb.clusters import ClusterError

_UNUSED_DAYS = 30
_DAY_S = 86400.0
_UNITS = ((_DAY_S, "d"), (3600.0, "h"), (60.0, "m"), (1.0, "s"))


@dataclass(frozen=True)
class ListedCluster:
    """One cluster as `kserve-nb ls` shows it."""

    name: str
    kind: str
    state: str
    owner: int | None
    age_s: float | None
    unused_s: float
    size: int  # bytes of its folder
    problem: str = ""  # why it is not ready, or why its record cannot be read

    @property
    def columns(self) -> tuple[str, ...]:
        """The texts of the columns."""
        owner = "-" if self.owner is None else f"process {self.owner}"
        age = "?" if self.age_s is None else _duration(self.age_s)
        return self.name, self.kind, self.state, owner, age, f"{_duration(self.unused_s)} ago", _size(self.size)


@click.command(name="ls")
@OUTPUT
def ls(output: str) -> None:
    """List all clusters of this user, running or not."""
    with ThreadPoolExecutor(16) as pool:  # a cluster that does not answer takes seconds
        rows = list(pool.map(_row, clusters.names()))
    if output == "json":
        echo(json.dumps([asdict(row) for row in rows], indent=2))
        return
    if not rows:
        echo("There is no cluster. Start one: kserve-nb up")
        return
    head = ("NAME", "KIND", "STATE", "OWNER", "AGE", "LAST USED", "SIZE")
    table = [head, *(row.columns for row in rows)]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    for line in table:
        echo("   ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip())
    for row in rows:
        if row.unused_s > _UNUSED_DAYS * _DAY_S:
            days = f"{row.unused_s / _DAY_S:.0f} days"
            echo(f"Cluster {row.name!r} has not been used for {days}. Delete it with its objects: "
                       f"kserve-nb down --name {row.name}")


def _row(name: str) -> ListedCluster:
    now, folder = time.time(), clusters.folder(name)
    unused_s, size = max(0.0, now - clusters.last_use(name)), _bytes(folder)
    try:
        record = clusters.read(name)
        if record is None:
            return ListedCluster(name, "?", "no record", None, None, unused_s, size)
        status = clusters.status(record)
    except ClusterError as error:
        return ListedCluster(name, "?", "unreadable", None, None, unused_s, size, str(error))
    state = status.state if status.ready or status.state != "running" else "not ready"
    age_s = max(0.0, now - record.created)
    return ListedCluster(name, record.cluster, state, record.owner, age_s, unused_s, size, status.reason)


def _bytes(folder: Path) -> int:
    """The size of all files in a folder; files may disappear meanwhile."""
    total = 0
    for path in folder.rglob("*"):
        try:
            total += path.lstat().st_size if path.is_file() else 0
        except OSError:
            continue
    return total


def _duration(seconds: float) -> str:
    return next((f"{seconds / unit:.0f}{letter}" for unit, letter in _UNITS if seconds >= unit), "0s")


def _size(count: int) -> str:
    return f"{count / 2**20:.1f} MiB"
