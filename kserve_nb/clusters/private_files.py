"""Files and folders that only their owner can read, whatever the umask is."""

from __future__ import annotations

import os
from pathlib import Path


def write(file: Path, text: str) -> None:
    """Replace the file atomically by one with this text and mode 0600."""
    draft = file.with_name(f"{file.name}.tmp")
    with open(draft, "w", encoding="utf-8", opener=opener) as stream:
        stream.write(text)
    draft.replace(file)


def opener(path: str | Path, flags: int) -> int:
    """An `opener` for `open` that creates files with mode 0600, and gives existing ones that mode."""
    handle = os.open(path, flags, 0o600)
    if os.name == "posix" and os.fstat(handle).st_mode & 0o077:
        os.fchmod(handle, 0o600)
    return handle


def make_folder(folder: Path) -> None:
    """Create the folder with mode 0700, and those of its parents that do not exist."""
    folder.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    folder.mkdir(exist_ok=True, mode=0o700)
    folder.chmod(0o700)
