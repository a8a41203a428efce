"""Bad input sent by the real kubectl, and the texts of a real cluster's answers."""

from __future__ import annotations

import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.api_lab import DATA, ApiLab

pytestmark = pytest.mark.slow

RECORDED = sorted((DATA / "kubectl").glob("*.txt"))
OWN_WORDS = "spec.predictor names no model"  # where the real webhook panics


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[ApiLab]:
    shutil.copytree(DATA / "kubectl", tmp_path / "08-bad")
    served = ApiLab(tmp_path, "kserve-test")
    yield served
    served.close()


@pytest.mark.parametrize("path", RECORDED, ids=lambda path: path.stem)
def test_kubectl_prints_the_same_as_on_a_real_cluster(path: Path, lab: ApiLab) -> None:
    command, *texts, code = path.read_text().splitlines()

    done = lab.kubectl(*shlex.split(command.removeprefix("$ kubectl ")))

    assert f"rc={done.returncode}" == code
    if "panic" in "\n".join(texts):
        assert OWN_WORDS in done.stderr
    else:
        assert done.stdout + done.stderr == "\n".join(texts) + "\n"


def test_an_absent_namespace_is_named(lab: ApiLab) -> None:
    done = lab.kubectl("apply", "-n", "nope", "-f", "08-bad/bad-scheme.yaml")

    assert done.stderr == (
        'Error from server (NotFound): error when creating "08-bad/bad-scheme.yaml": namespaces "nope" not found\n')


def test_warnings_of_unknown_fields_are_shown(lab: ApiLab) -> None:
    done = lab.kubectl("apply", "--validate=warn", "-f", "08-bad/unknown-field.yaml")

    assert (done.returncode, done.stderr) == (0, 'Warning: unknown field "spec.predictor.canaryTrafficPercnt"\n')
