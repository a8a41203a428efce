"""The file that objects survive in: one SQLite table, one row an object, each write a transaction."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from kserve_nb.clusters.embedded.objects import Kind


class Row(NamedTuple):
    """An object as it is kept: `resource` is `Kind.resource`, `namespace` is empty for cluster-scoped kinds."""

    resource: str
    namespace: str
    name: str
    data: bytes


class Database:
    """Objects on disk. A write is there after kill -9 of the process (write-ahead log, flushed to the OS)."""

    def __init__(self, path: Path | None):
        self._connection = sqlite3.connect(path or ":memory:", isolation_level=None, check_same_thread=False)
        for statement in (
            "PRAGMA journal_mode = WAL",
            "PRAGMA synchronous = NORMAL",
            ("CREATE TABLE IF NOT EXISTS objects (resource TEXT, namespace TEXT, name TEXT, data BLOB NOT NULL,"
             " PRIMARY KEY (resource, namespace, name)) WITHOUT ROWID"),
            "CREATE TABLE IF NOT EXISTS version (latest INTEGER NOT NULL)",
        ):
            self._connection.execute(statement)

    def version(self) -> int | None:
        """The latest resourceVersion that was given out, None in a new file."""
        row = self._connection.execute("SELECT latest FROM version").fetchone()
        return row[0] if row else None

    def start(self, version: int) -> None:
        """Begin a new file at this resourceVersion."""
        self._connection.execute("INSERT INTO version VALUES (?)", (version,))

    def rows(self) -> Iterator[Row]:
        """All objects."""
        for row in self._connection.execute("SELECT resource, namespace, name, data FROM objects"):
            yield Row(*row)

    def put(self, kind: Kind, namespace: str | None, name: str, data: bytes, version: int) -> None:
        """Write an object and the version that it has now."""
        self._write("INSERT OR REPLACE INTO objects VALUES (?, ?, ?, ?)",
                    (kind.resource, namespace or "", name, data), version)

    def remove(self, kind: Kind, namespace: str | None, name: str, version: int) -> None:
        """Remove an object and write the version of its removal."""
        self._write("DELETE FROM objects WHERE resource = ? AND namespace = ? AND name = ?",
                    (kind.resource, namespace or "", name), version)

    def close(self) -> None:
        """Close the file; the write-ahead log is folded in."""
        self._connection.close()

    def _write(self, statement: str, values: tuple[str | bytes, ...], version: int) -> None:
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            self._connection.execute(statement, values)
            self._connection.execute("UPDATE version SET latest = ?", (version,))
        except BaseException:
            self._connection.execute("ROLLBACK")
            raise
        self._connection.execute("COMMIT")
