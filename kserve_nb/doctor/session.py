"""The notebook session: installed packages, environment, memory limit, tools, and the notebooks of the folder."""

from __future__ import annotations

import importlib.metadata
import json
import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jupyter_core.paths import jupyter_path

Notebook = Mapping[str, Any]
_EXTENSION = Path("@jupyter-widgets/jupyterlab-manager")
_NAME = "JPY_SESSION_NAME"  # Jupyter Server sets it to the path of the notebook that the kernel runs
_MAX_NOTEBOOKS = 50  # the most that are examined in a folder


@dataclass(frozen=True)
class Session:
    """A Jupyter session, or a process outside Jupyter."""

    platform: str = "linux"  # sys.platform
    environ: Mapping[str, str] = field(default_factory=dict)
    ipykernel: str = ""  # its version; empty when it is not installed
    widget_extension: bool = True
    tools: frozenset[str] = frozenset()  # docker and kind, if they are on PATH
    memory_bytes: int | None = None  # the control group's limit; None when there is none
    notebooks: Mapping[str, Notebook] = field(default_factory=dict)  # by file name

    @property
    def on_binder(self) -> bool:
        """Whether BinderHub started the session."""
        return "BINDER_LAUNCH_HOST" in self.environ or "BINDER_REQUEST" in self.environ


def inspect_session(
    environ: Mapping[str, str] = os.environ,
    folder: Path | None = None,
    *,
    control_group: Path = Path("/sys/fs/cgroup"),
    labextensions: Sequence[str] | None = None,
    packages: Sequence[str] | None = None,
) -> Session:
    """Read the current session.

    Args:
        folder: the folder of the notebooks; the current folder by default.
        control_group: the folder in which Linux shows the limits of this container.
        labextensions: the folders of JupyterLab's extensions; by default those of this installation.
        packages: the folders of installed packages; sys.path by default.
    """
    places = jupyter_path("labextensions") if labextensions is None else labextensions
    return Session(
        platform=sys.platform,
        environ=dict(environ),
        ipykernel=_version("ipykernel", packages),
        widget_extension=any((Path(place) / _EXTENSION).exists() for place in places),
        tools=frozenset(tool for tool in ("docker", "kind") if shutil.which(tool, path=environ.get("PATH"))),
        memory_bytes=_memory(control_group),
        notebooks=_notebooks(environ, folder or Path.cwd()),
    )


def _version(package: str, packages: Sequence[str] | None) -> str:
    paths = sys.path if packages is None else packages
    found = importlib.metadata.distributions(name=package, path=list(paths))
    return next((distribution.version for distribution in found), "")


def _memory(control_group: Path) -> int | None:
    """The limit in bytes. cgroup v2 and v1 have different files, and in v1 a huge number means no limit."""
    for name in ("memory.max", "memory/memory.limit_in_bytes"):
        try:
            text = (control_group / name).read_text().strip()
        except OSError:
            continue
        return int(text) if text.isdigit() and int(text) < 1 << 60 else None
    return None


def _notebooks(environ: Mapping[str, str], folder: Path) -> dict[str, Notebook]:
    """The notebook that this kernel runs; otherwise those of the folder."""
    own = environ.get(_NAME, "")
    files = [Path(own)] if own.endswith(".ipynb") else sorted(folder.glob("*.ipynb"))[:_MAX_NOTEBOOKS]
    found: dict[str, Notebook] = {}
    for file in files:
        try:
            found[file.name] = json.loads(file.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue  # a file that is being written, or that is not a notebook
    return found
