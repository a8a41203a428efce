"""The stored objects that the API server could not read: a file in the state folder, for `status` and `up`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from kserve_nb.clusters import private_files

_FILE = "unreadable-objects.json"


def write(folder: Path, problems: Sequence[str]) -> None:
    """Replace the list in the state folder; an empty one has no file. Raises OSError."""
    if problems:
        private_files.write(folder / _FILE, json.dumps(list(problems), indent=1))
    else:
        (folder / _FILE).unlink(missing_ok=True)


def read(folder: Path) -> tuple[str, ...]:
    """Return one line for each object that is left out."""
    try:
        return tuple(map(str, json.loads((folder / _FILE).read_text(encoding="utf-8"))))
    except (OSError, ValueError, TypeError):
        return ()
