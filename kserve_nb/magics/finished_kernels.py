"""Stop the kernels of course notebooks that the learner has left behind: each takes more than 100 MiB.

JupyterLab opens the next notebook of the course beside the last one, and keeps the kernel of each.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import requests
from jupyter_core.paths import jupyter_runtime_dir

COURSE = "KSERVE_NB_COURSE"  # set by `kserve-nb lab` and in Binder: this Jupyter server is for the course
_NUMBERED = re.compile(r"(?:.*/)?(\d\d)_[^/]*\.ipynb")
_TIMEOUT_S = 2.0


def stop_finished_kernels(environ: Mapping[str, str] = os.environ) -> tuple[str, ...]:
    """Stop the idle kernels of earlier course notebooks, and return the notebooks' names.

    It does nothing outside a Jupyter server of the course, and nothing if that server does not respond.
    """
    server, own = _server(environ), environ.get("JPY_SESSION_NAME", "")
    if environ.get(COURSE) != "1" or server is None:
        return ()
    url = f"{server['url']}api/sessions"
    with requests.Session() as session:
        session.trust_env = False
        session.headers["Authorization"] = f"token {server['token']}"
        try:
            open_ones = session.get(url, timeout=_TIMEOUT_S).json()
            finished = {row["id"]: row["path"] for row in open_ones if _is_finished(row, own)}
            for id_ in finished:
                session.delete(f"{url}/{id_}", timeout=_TIMEOUT_S)
        except (requests.RequestException, ValueError, KeyError, TypeError):
            return ()
    return tuple(sorted(Path(path).name for path in finished.values()))


def _is_finished(session: Mapping[str, Any], own: str) -> bool:
    """Whether a session is an idle one of a course notebook before ours."""
    theirs, ours = _NUMBERED.fullmatch(session["path"]), _NUMBERED.fullmatch(own)
    return bool(theirs and ours and theirs[1] < ours[1] and session["kernel"]["execution_state"] == "idle")


def _server(environ: Mapping[str, str]) -> dict[str, str] | None:
    """The address and token of the Jupyter server that started this kernel; None without one."""
    file = Path(jupyter_runtime_dir()) / f"jpserver-{environ.get('JPY_PARENT_PID')}.json"
    try:
        loaded: dict[str, str] = json.loads(file.read_text())
        return loaded
    except (OSError, ValueError):
        return None
