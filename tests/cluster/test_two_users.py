"""Two users of one machine, as on a JupyterHub: each has a cluster, and neither reaches the other's."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml

from tests.cluster.conftest import Target

ROOT = Path(__file__).parents[2]
ANOTHER_ID = 54321  # a user id without an account
COMMAND = "import sys; from kserve_nb.cli import main; sys.exit(main())"


@dataclass(frozen=True)
class User:
    """A user with a home folder, and with another user id if this process may set one and all users may read Python."""

    home: Path
    identity: dict[str, Any]

    def run(self, *argv: str) -> subprocess.CompletedProcess[str]:
        kept = {name: value for name, value in os.environ.items()
                if not name.startswith(("XDG_", "KSERVE_NB_", "KUBE", "TMPDIR"))}
        return subprocess.run(argv, cwd=self.home, capture_output=True, text=True, timeout=120, **self.identity,
                              env={**kept, "HOME": str(self.home), "PYTHONPATH": str(ROOT)})

    def kserve_nb(self, *words: str) -> Any:
        done = self.run(sys.executable, "-c", COMMAND, *words)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout) if "json" in words else done.stdout


@pytest.fixture
def second() -> Iterator[User]:
    """The second user, with a running cluster of the usual name: default."""
    home = Path(tempfile.mkdtemp(prefix="second-"))  # not below pytest's folder, which one user alone can read
    identity = {"user": ANOTHER_ID, "group": ANOTHER_ID, "extra_groups": []} if os.geteuid() == 0 else {}
    user = User(home, identity)
    try:
        if user.run(sys.executable, "-c", "import kserve_nb.cli").returncode:
            user = User(home, {})
    except OSError:  # only its owner can read the folder of this Python
        user = User(home, {})
    if user.identity:
        shutil.chown(home, ANOTHER_ID, ANOTHER_ID)
    try:
        user.kserve_nb("up", "--owner", str(os.getpid()))
        yield user
        user.kserve_nb("down")
    finally:
        shutil.rmtree(home)


def token(kubeconfig: str) -> str:
    found: str = yaml.safe_load(kubeconfig)["users"][0]["user"]["token"]
    return found


@pytest.mark.filterwarnings("ignore:Unverified HTTPS request")
def test_two_users_have_a_cluster_each_that_the_other_one_cannot_reach(istio: Target, second: User) -> None:
    (listed,) = second.kserve_nb("ls", "-o", "json")
    status = second.kserve_nb("status", "-o", "json")
    theirs = second.run("kubectl", "--kubeconfig", status["kubeconfig"], "config", "view", "--raw").stdout
    server = yaml.safe_load(theirs)["clusters"][0]["cluster"]["server"]
    ours = yaml.safe_load(Path(istio.kubeconfig).read_text())["clusters"][0]["cluster"]["server"]
    ports = {address.rpartition(":")[2] for address in (server, ours, status["ingress"], istio.ingress)}
    session = requests.Session()
    session.trust_env = False

    refused = [session.get(f"{address}/api/v1/namespaces", verify=False, timeout=10,
                           headers={"Authorization": f"Bearer {credential}"}).status_code
               for address, credential in ((server, token(Path(istio.kubeconfig).read_text())), (ours, token(theirs)))]

    assert listed["name"] == "default" and Path(status["kubeconfig"]).is_relative_to(second.home)
    assert len(ports) == 4
    assert refused == [401, 401]
    assert second.run("kubectl", "--kubeconfig", status["kubeconfig"], "create", "namespace", "theirs").returncode == 0
    assert "theirs" not in istio.kubectl("get", "namespaces")

