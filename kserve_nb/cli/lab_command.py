"""`kserve-nb lab`: JupyterLab with the tutorial, on a running cluster."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

from kserve_nb.cli.common_options import NAME, show, usable_or_started
from kserve_nb.clusters import ClusterError

_SETTINGS = Path(__file__).with_name("lab_settings")  # saves the state of widgets with a notebook


@click.command(context_settings={"ignore_unknown_options": True})
@NAME
@click.option("--browser/--no-browser", default=True, help="Open a browser, or only print the address.")
@click.argument("jupyter_options", nargs=-1, type=click.UNPROCESSED)
def lab(name: str, browser: bool, jupyter_options: tuple[str, ...]) -> None:
    """Open the tutorial in JupyterLab. A cluster that this command starts stops with it, and keeps its objects.

    Options after `--` are passed to `jupyter lab`.
    """
    record = usable_or_started(name)
    show(record)
    folder = notebooks_folder()
    argv = [sys.executable, "-m", "jupyter", "lab", "--ServerApp.ip=127.0.0.1", f"--ServerApp.root_dir={folder}",
            "--LabApp.news_url=None", "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
            f"--LabApp.app_settings_dir={_SETTINGS}",
            "--LabApp.default_url=/lab/tree/" + _first(folder), *([] if browser else ["--no-browser"]),
            *(["--allow-root"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []), *jupyter_options]
    environment = {**os.environ, "KSERVE_NB_NAME": name, "KUBECONFIG": record.kubeconfig,
                   "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"}
    sys.stdout.flush()
    os.execve(sys.executable, argv, environment)  # Jupyter becomes this process, which is the cluster's owner


def notebooks_folder() -> Path:
    """The folder of the tutorial's notebooks: in the clone that this package is installed from, or `./notebooks`."""
    for base in (Path(__file__).resolve().parents[2], Path.cwd()):
        if (base / "notebooks").is_dir():
            return base / "notebooks"
    raise ClusterError("Cannot find the tutorial's notebooks. Run this command in a clone of the project, or name the "
                       "notebooks: kserve-nb run FOLDER/00_setup.ipynb")


def _first(folder: Path) -> str:
    return next((path.name for path in sorted(folder.glob("*.ipynb"))), "")
