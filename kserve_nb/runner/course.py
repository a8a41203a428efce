"""The course's notebooks: where they are, and a learner's copy of them without outputs."""

from __future__ import annotations

import hashlib
import itertools
import json
import shutil
from dataclasses import dataclass
from pathlib import Path

import nbformat

FOLDER = "kserve-canary-course"
START_PAGE = "index.ipynb"
_LIST = ".course.json"  # the files of a copy and their hashes, as they were written
SOLUTION = "solution"  # the tag of cells that solve a task, and of the text before them
_TEST_TAGS = {"keep_output", "nbval-check-output"}  # for the tests in the repository; a learner's copy has none


class CourseError(Exception):
    """The course cannot be found or copied; the message names the folder and what to do."""


@dataclass(frozen=True)
class Copied:
    """What `copy_course` did, file by file."""

    folder: Path
    written: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()  # changed by the learner, and left as they are
    set_aside: Path | None = None  # where the former copy is now

    @property
    def text(self) -> str:
        """One line for each thing that was done.

        >>> print(Copied(Path("course"), written=("00_setup.ipynb",), kept=("01_first.ipynb",)).text)
        course      course (1 file written; your edited files are kept: 01_first.ipynb)
        """
        count = len(self.written)
        done = [f"{count} file{'s' if count != 1 else ''} written"] if count else ["up to date"]
        if self.kept:
            done.append(f"your edited files are kept: {', '.join(self.kept)}")
        if self.set_aside:
            done.append(f"the former copy is in {self.set_aside}")
        return f"course      {self.folder} ({'; '.join(done)})"


def find_course() -> Path:
    """Return the folder of the course's notebooks: `notebooks/` of a clone, or the copy in an installed package.

    Raises:
        CourseError: the package was installed without its notebooks, and there is no `./notebooks`.
    """
    package = Path(__file__).resolve().parents[1]
    for folder in (package.parent / "notebooks", package / "course", Path.cwd() / "notebooks"):
        if any(folder.glob("[0-9][0-9]_*.ipynb")):
            return folder
    raise CourseError("Cannot find the course's notebooks. Install the package again (pip install --force-reinstall "
                      "kserve-nb), or name the notebooks: kserve-nb run FOLDER/00_setup.ipynb")


def copy_course(source: Path, folder: Path, *, fresh: bool = False) -> Copied:
    """Copy the course into a learner's folder, without outputs. A file that the learner has changed is kept.

    Args:
        source: the folder of the course, see `find_course`.
        folder: the learner's folder; it is created if it does not exist.
        fresh: start over: the former copy is renamed, and a new one is written.

    Raises:
        CourseError: the folder has other files, or cannot be written.
    """
    if folder.resolve() == source.resolve():
        raise CourseError(f"Cannot copy the course to {folder}: it is the original. Choose another folder: --folder")
    before = _hashes(folder)
    if before is None:
        raise CourseError(f"Cannot copy the course to {folder}: it has other files. Choose another folder: --folder")
    try:
        set_aside = _set_aside(folder) if fresh and folder.exists() else None
        written, kept, hashes = [], [], {} if fresh else before
        for name, content in _files(source).items():
            target, known = folder / name, hashes.get(name)
            if target.exists() and known != _hash(target.read_bytes()):
                kept.append(name)
            elif not target.exists() or known != _hash(content):
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(content)
                written.append(name)
                hashes[name] = _hash(content)  # saved at once: a copy that is interrupted can be continued
                (folder / _LIST).write_text(json.dumps(hashes, indent=1))
    except OSError as error:
        raise CourseError(
            f"Cannot write the course to {folder}: {error.strerror}. Choose another folder: --folder") from None
    return Copied(folder, tuple(written), tuple(name for name in kept if name.endswith(".ipynb")), set_aside)


def stripped(notebook: str) -> str:
    """A notebook's JSON without solutions, outputs, execution counts, and tags that only tests use."""
    loaded = nbformat.reads(unsolved(notebook), as_version=4)
    for cell in loaded.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
        tags = [tag for tag in cell.metadata.pop("tags", []) if tag not in _TEST_TAGS]
        if tags:
            cell.metadata["tags"] = tags
    return str(nbformat.writes(loaded)) + "\n"


def unsolved(notebook: str) -> str:
    """A notebook's JSON without its solutions."""
    loaded = nbformat.reads(notebook, as_version=4)
    loaded.cells = [cell for cell in loaded.cells if SOLUTION not in cell.metadata.get("tags", [])]
    return str(nbformat.writes(loaded)) + "\n"


def _files(source: Path) -> dict[str, bytes]:
    """The files of the course by name; notebooks are stripped."""
    paths = [path for path in sorted(source.rglob("*")) if path.is_file() and _is_part(path.relative_to(source))]
    return {str(path.relative_to(source)): stripped(path.read_text(encoding="utf-8")).encode()
            if path.suffix == ".ipynb" else path.read_bytes() for path in paths}


def _is_part(name: Path) -> bool:
    if name.parts[0] == "img":
        return True
    is_notebook = name.match("[0-9][0-9]_*.ipynb") or name.name == START_PAGE
    return len(name.parts) == 1 and (is_notebook or name.suffix in (".json", ".html"))


def _hashes(folder: Path) -> dict[str, str] | None:
    """The hashes of a former copy; empty for a new folder, None if the folder is used for something else."""
    try:
        loaded = json.loads((folder / _LIST).read_text())
        return {str(name): str(value) for name, value in loaded.items()}
    except (OSError, ValueError, AttributeError):  # no list, or a damaged one
        return None if folder.exists() and any(folder.iterdir()) else {}


def _set_aside(folder: Path) -> Path:
    """Rename a folder to the first free name `FOLDER-1`, `FOLDER-2`, …"""
    free = next(path for number in itertools.count(1)
                if not (path := folder.with_name(f"{folder.name}-{number}")).exists())
    shutil.move(folder, free)
    return free


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
