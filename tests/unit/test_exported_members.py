"""What the package says it offers is what it offers."""

from __future__ import annotations

import subprocess
import sys

import pytest

import kserve_nb


def test_every_listed_name_is_there() -> None:
    assert all(getattr(kserve_nb, name) for name in kserve_nb.__all__)
    assert sorted(kserve_nb.__all__) == kserve_nb.__all__ == dir(kserve_nb)


def test_there_are_at_most_a_dozen_and_connect_is_one() -> None:
    assert len(kserve_nb.__all__) <= 12 and "connect" in kserve_nb.__all__


def test_other_names_are_not() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nope'"):
        kserve_nb.nope  # noqa: B018 - to ask for it is the test


def test_importing_the_package_imports_no_client_and_no_widgets() -> None:
    code = "import sys, kserve_nb; sys.exit(any(m in sys.modules for m in ('kubernetes', 'ipywidgets', 'IPython')))"

    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
