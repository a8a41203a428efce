"""`kserve-nb lab`: JupyterLab with a learner's copy of the course, on a running cluster."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import click

from kserve_nb.cli.common_options import NAME, echo, show, show_next_task, usable_or_started
from kserve_nb.clusters import ClusterError
from kserve_nb.runner import course

_SETTINGS = Path(__file__).with_name("lab_settings")  # saves the state of widgets with a notebook
_LAST_PICTURES = "kserve_nb.widgets.sheet.exported_notebook.LastPictures"  # "Save and Export as HTML" shows widgets
_KERNELS = Path(__file__).with_name("lab_kernels")  # a kernel that names the cell to run when it is new
_WORKSPACES = ".jupyterlab-workspaces"  # which tabs are open; kept with the copy, and apart from the user's own


@click.command(context_settings={"ignore_unknown_options": True})
@NAME
@click.option("--folder", type=click.Path(path_type=Path, file_okay=False), default=Path(course.FOLDER),
              show_default=True, help="Your copy of the course. Notebooks that you have edited are kept.")
@click.option("--fresh", is_flag=True, help="Start over with a new copy. The former one is renamed and kept.")
@click.option("--in-place", is_flag=True, help="Open the original notebooks, to work on the course itself.")
@click.option("--browser/--no-browser", default=True, help="Open a browser, or only print the address.")
@click.argument("jupyter_options", nargs=-1, type=click.UNPROCESSED)
def lab(name: str, folder: Path, fresh: bool, in_place: bool, browser: bool, jupyter_options: tuple[str, ...]) -> None:
    """Open the course in JupyterLab, in your own copy of the notebooks.

    A cluster that this command starts stops with it, and keeps its objects. Options after `--` are passed to
    `jupyter lab`.
    """
    if in_place and fresh:
        raise click.UsageError("--fresh does not go with --in-place: there is no copy")
    opened = original() if in_place else _copy(folder, fresh)
    record = usable_or_started(name)
    show(record)
    show_next_task()
    argv = [sys.executable, "-m", "kserve_nb.cli.jupyter_lab", "--ServerApp.ip=127.0.0.1",
            f"--ServerApp.root_dir={opened.resolve()}", "--LabApp.news_url=None",
            "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
            f"--LabApp.app_settings_dir={_SETTINGS}", f"--HTMLExporter.preprocessors=['{_LAST_PICTURES}']",
            "--LabApp.default_url=/lab/tree/" + _first(opened),
            *([] if in_place else [f"--LabApp.workspaces_dir={_workspaces(opened.resolve())}"]),
            *([] if browser else ["--no-browser"]),
            *(["--allow-root"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []), *jupyter_options]
    environment = {**os.environ, "KSERVE_NB_NAME": name, "KUBECONFIG": record.kubeconfig,
                   "KSERVE_NB_COURSE": "" if in_place else "1",
                   "JUPYTER_PATH": os.pathsep.join(filter(None, (str(_KERNELS), os.environ.get("JUPYTER_PATH")))),
                   "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"}
    sys.stdout.flush()
    os.execve(sys.executable, argv, environment)  # Jupyter becomes this process, which is the cluster's owner


def original() -> Path:
    """Return the folder of the course's notebooks. Raises ClusterError if it cannot be found."""
    try:
        return course.find_course()
    except course.CourseError as error:
        raise ClusterError(str(error)) from None


def _copy(folder: Path, fresh: bool) -> Path:
    """Copy the course into the learner's folder, and print what was done."""
    try:
        copied = course.copy_course(original(), folder, fresh=fresh)
    except course.CourseError as error:
        raise ClusterError(str(error)) from None
    echo(copied.text)
    return folder


def _workspaces(folder: Path) -> Path:
    """The folder of JupyterLab's workspaces, with one in which the side bar is collapsed.

    A row of `kubectl get isvc` is as wide as a 1280 px window; beside an open side bar its last columns are cut off.
    """
    from jupyterlab_server.workspaces_handler import WorkspacesManager

    workspaces = folder / _WORKSPACES
    if not workspaces.exists():
        workspaces.mkdir()
        WorkspacesManager(str(workspaces)).save("default", json.dumps(_collapsed()))
    return workspaces


def _collapsed() -> dict[str, Any]:
    """A new workspace with collapsed side bars, as JupyterLab stores it."""
    area = {"collapsed": True, "visible": True, "current": "", "widgets": []}
    layout = {"main": {"dock": None, "current": None}, "down": {"size": 0, "widgets": []}, "left": area, "right": area,
              "relativeSizes": [0, 1, 0], "top": {"simpleVisibility": True}}
    return {"data": {"layout-restorer:data": layout}, "metadata": {"id": "default"}}


def _first(folder: Path) -> str:
    """The page to open: the start page, or else the first notebook."""
    if (folder / course.START_PAGE).exists():
        return course.START_PAGE
    return next((path.name for path in sorted(folder.glob("*.ipynb"))), "")
