"""Files and folders that only their owner can read, whatever the umask is."""

from __future__ import annotations

import os
from pathlib import Path


def write(file: Path, text: str) -> None:
    """Replace the file atomically by one with this text and mode 0600."""
    draft = file.with_name(f"{file.name}.tmp")
    with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as stream:
        draft.chmod(0o600)  # the draft of an interrupted write, or an unusual umask
        stream.write(text)
    draft.replace(file)


def make_folder(folder: Path) -> None:
    """Create the folder with mode 0700, and those of its parents that do not exist."""
    folder.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    folder.mkdir(exist_ok=True, mode=0o700)
    folder.chmod(0o700)
