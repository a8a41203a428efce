"""The version of the project, from the newest git tag `vX.Y.Z`; hatchling calls it when it builds.

A source distribution contains its version, and hatchling does not call this module there. A source tree without git or
tags is a development version.
"""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[1]
WITHOUT_TAG = "0.1.0.dev0"
_DESCRIBED = re.compile(r"v(?P<release>\d+\.\d+\.\d+)-(?P<commits>\d+)-g[0-9a-f]+")


def version(root: Path = ROOT) -> str:
    """The version of the source tree at `root`: the tag's, or a development version of the release that follows it."""
    found = _DESCRIBED.fullmatch(_describe(root))
    if found is None:
        return WITHOUT_TAG
    if found["commits"] == "0":
        return found["release"]
    major, minor, patch = found["release"].split(".")
    return f"{major}.{minor}.{int(patch) + 1}.dev{found['commits']}"


def _describe(root: Path) -> str:
    if not (root / ".git").exists():  # another repository around this folder has other tags
        return ""
    try:
        done = subprocess.run(["git", "describe", "--tags", "--long", "--match", "v[0-9]*.[0-9]*.[0-9]*",
                               "--exclude", "v*[!0-9.]*", "--exclude", "v*.*.*.*"], cwd=root,
                              capture_output=True, text=True, timeout=30, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip()
