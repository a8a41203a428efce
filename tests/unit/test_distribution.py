"""The published wheel and source distribution, each installed without a clone."""

from __future__ import annotations

import subprocess
import sys
import sysconfig
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NOTEBOOKS = sorted(path.name for path in (ROOT / "notebooks").glob("*.ipynb"))
WHEEL_MIB = 5
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with a wheel and a source distribution of this state of the project."""
    folder = tmp_path_factory.mktemp("built")
    subprocess.run([sys.executable, "-m", "hatchling", "build", "--directory", str(folder)], cwd=ROOT, check=True,
                   capture_output=True, timeout=120)
    return folder


@pytest.fixture(scope="module")
def installed(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The `bin` folder of an environment that has only the wheel; its dependencies come from this environment."""
    home = tmp_path_factory.mktemp("installed")
    venv.create(home / "venv", with_pip=False)
    python = home / "venv" / "bin" / "python"
    site = sysconfig.get_path("purelib", vars={"base": str(home / "venv"), "platbase": str(home / "venv")})
    (wheel,) = built.glob("*.whl")
    subprocess.run([sys.executable, "-m", "pip", "--python", str(python), "install", "-q", "--no-deps", "--no-index",
                    str(wheel)], check=True, capture_output=True, timeout=120)
    Path(site, "borrowed.pth").write_text(f"{sysconfig.get_path('purelib')}\n")
    return home / "venv" / "bin"


def run(installed: Path, folder: Path, *argv: str) -> str:
    done = subprocess.run([str(installed / "python"), "-I", *argv], cwd=folder, capture_output=True, text=True,
                          timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_wheel_has_the_course_and_is_small(built: Path) -> None:
    (wheel,) = built.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()

    assert sorted(Path(name).name for name in names if name.startswith("kserve_nb/course/") and name.endswith(".ipynb")
                  ) == NOTEBOOKS
    assert {"kserve_nb/widgets/sheet/sheet.js", "kserve_nb/clusters/kind/versions.json"} <= set(names)
    assert wheel.stat().st_size < WHEEL_MIB * 2**20


def test_the_source_distribution_builds_the_same_wheel(built: Path, tmp_path: Path) -> None:
    (wheel,) = built.glob("*.whl")
    (sdist,) = built.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        archive.extractall(tmp_path, filter="data")
    (source,) = tmp_path.iterdir()
    subprocess.run([sys.executable, "-m", "hatchling", "build", "-t", "wheel", "--directory", str(tmp_path / "again")],
                   cwd=source, check=True, capture_output=True, timeout=120)

    (again,) = (tmp_path / "again").glob("*.whl")
    assert again.name == wheel.name
    assert sorted(zipfile.ZipFile(again).namelist()) == sorted(zipfile.ZipFile(wheel).namelist())


def test_an_installed_package_copies_its_own_course(installed: Path, tmp_path: Path) -> None:
    code = ("from pathlib import Path; from kserve_nb.runner import course; import kserve_nb;"
            "found = course.find_course(); print(found == Path(kserve_nb.__file__).parent / 'course');"
            "print(*sorted(course.copy_course(found, Path('mine')).written))")

    ours, written = run(installed, tmp_path, "-c", code).splitlines()

    assert ours == "True"
    assert set(NOTEBOOKS) <= set(written.split())


def test_the_command_of_an_installed_package_runs(installed: Path, tmp_path: Path) -> None:
    assert "lab" in run(installed, tmp_path, str(installed / "kserve-nb"), "--help")
