"""The file that keeps a cluster's objects: one SQLite table with a row per object. Each write is a transaction."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from kserve_nb.clusters.embedded.apimachinery.objects import Kind, StatusError

SCHEMA_VERSION = 1  # the file's `user_version`, which is 0 in files of the first releases


class StoreError(Exception):
    """A store that cannot be opened: what failed, why, and what to do."""


class Row(NamedTuple):
    """A stored object. `resource` is `Kind.resource`; `namespace` is empty for kinds without namespaces."""

    resource: str
    namespace: str
    name: str
    data: bytes


class Database:
    """Objects on disk. A write survives kill -9 of the process (write-ahead log, flushed to the operating system).

    Raises StoreError if the file cannot be opened.
    """

    def __init__(self, path: Path | None):
        self._path = path or Path(":memory:")
        try:
            self._connection = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False)
            self._open()
        except sqlite3.Error as error:
            raise StoreError(f"Cannot open the cluster's store {self._path}: {error}. Free disk space or repair the "
                             "file. To start again without its objects: kserve-nb down, then kserve-nb up") from None

    def _open(self) -> None:
        found = self._connection.execute("PRAGMA user_version").fetchone()[0]
        if found > SCHEMA_VERSION:
            raise StoreError(f"Cannot open the cluster's store {self._path}: a newer version of kserve-nb wrote it "
                             f"(schema {found}; this version reads schema {SCHEMA_VERSION}). Use that version")
        for statement in (
            "PRAGMA journal_mode = WAL",
            "PRAGMA synchronous = NORMAL",
            ("CREATE TABLE IF NOT EXISTS objects (resource TEXT, namespace TEXT, name TEXT, data BLOB NOT NULL,"
             " PRIMARY KEY (resource, namespace, name)) WITHOUT ROWID"),
            "CREATE TABLE IF NOT EXISTS version (latest INTEGER NOT NULL)",
        ):
            self._connection.execute(statement)
        if found < SCHEMA_VERSION:
            self._connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")

    def version(self) -> int | None:
        """The latest resourceVersion that was assigned, or None in a new file."""
        row = self._connection.execute("SELECT latest FROM version").fetchone()
        return row[0] if row else None

    def start(self, version: int) -> None:
        """Set the first resourceVersion of a new file."""
        self._connection.execute("INSERT INTO version VALUES (?)", (version,))

    def rows(self) -> Iterator[Row]:
        """All objects."""
        for row in self._connection.execute("SELECT resource, namespace, name, data FROM objects"):
            yield Row(*row)

    def put(self, kind: Kind, namespace: str | None, name: str, data: bytes, version: int) -> None:
        """Write an object and its version. Raises StatusError 500 if the disk is full or fails."""
        self._write("INSERT OR REPLACE INTO objects VALUES (?, ?, ?, ?)",
                    (kind.resource, namespace or "", name, data), version)

    def remove(self, kind: Kind, namespace: str | None, name: str, version: int) -> None:
        """Remove an object and write the version of its removal. Raises StatusError 500 if the disk fails."""
        self._write("DELETE FROM objects WHERE resource = ? AND namespace = ? AND name = ?",
                    (kind.resource, namespace or "", name), version)

    def close(self) -> None:
        """Close the file, and merge the write-ahead log into it."""
        self._connection.close()

    def _write(self, statement: str, values: tuple[str | bytes, ...], version: int) -> None:
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            self._connection.execute(statement, values)
            self._connection.execute("UPDATE version SET latest = ?", (version,))
            self._connection.execute("COMMIT")
        except sqlite3.Error as error:
            self._roll_back()
            raise StatusError(500, "InternalError", (
                f"Cannot store {values[0]!s} {values[2]!r} in {self._path}: {error}. Nothing was changed. "
                "Free disk space and try again")) from None
        except BaseException:
            self._roll_back()
            raise

    def _roll_back(self) -> None:
        if self._connection.in_transaction:
            self._connection.execute("ROLLBACK")
