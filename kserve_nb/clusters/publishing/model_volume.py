"""Put a model into a volume. A version is written in one step, and never changed.

This file also runs as a script in a pod, so it imports nothing of this project. Its arguments are the folder of the
volume and the model's folder in it; standard input has a tar archive of the model's files as base64.
"""

from __future__ import annotations

import base64
import filecmp
import io
import shutil
import sys
import tarfile
import tempfile
from pathlib import Path

PUBLISHED, UNCHANGED, DIFFERENT = "published", "unchanged", "different"


def write(archive: bytes, volume: Path, name: str, *, private: bool) -> str:
    """Extract an archive into a folder of the volume, and return what was done.

    Returns PUBLISHED, UNCHANGED if the same files are there already, or DIFFERENT and the versions that exist if others
    are there: they stay.

    Args:
        archive: a tar archive with the model's files.
        volume: the folder of the volume.
        name: the folder in it, for example `wine/v1`.
        private: whether only the owner may read the files.
    """
    target = volume / name
    draft = Path(tempfile.mkdtemp(prefix=".publishing-", dir=volume))
    try:
        with tarfile.open(fileobj=io.BytesIO(archive)) as files:
            files.extractall(draft, filter="data")
        for path in (draft, *draft.rglob("*")):
            mode = 0o755 if path.is_dir() else 0o644
            path.chmod(mode & 0o700 if private else mode)
        target.parent.mkdir(mode=0o700 if private else 0o755, parents=True, exist_ok=True)
        try:
            draft.rename(target)  # replaces an empty folder, and fails on any other
        except OSError:
            if not target.is_dir():
                raise
            if _files(draft) == _files(target) and _same(draft, target):
                return UNCHANGED
            return " ".join([DIFFERENT, *sorted(path.name for path in target.parent.iterdir())])
        return PUBLISHED
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def _same(one: Path, other: Path) -> bool:
    return all(filecmp.cmp(one / name, other / name, shallow=False) for name in _files(one))


if __name__ == "__main__":
    sys.stdout.write(write(base64.b64decode(sys.stdin.read()), Path(sys.argv[1]), sys.argv[2], private=False))
