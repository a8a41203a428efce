"""The cluster that these tests run on: the one of --kubeconfig, or an embedded one that is deleted after the run."""

from __future__ import annotations

import itertools
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from kserve_nb import clusters

_COUNT = itertools.count(1)


@dataclass(frozen=True)
class Target:
    """A cluster, and the namespace of a test in it."""

    kubeconfig: str
    ingress: str
    gateway: str
    speed: float
    namespace: str = "kserve-test"

    def kubectl(self, *args: str, stdin: str | None = None, check: bool = True) -> str:
        """Run the real kubectl in the test's namespace and return its output. Raises kubectl's message if it fails."""
        done = subprocess.run(["kubectl", "--kubeconfig", self.kubeconfig, "-n", self.namespace, *args],
                              input=stdin, capture_output=True, text=True, timeout=60)
        assert not check or done.returncode == 0, f"kubectl {' '.join(args)}: {done.stderr}"
        return done.stdout + ("" if check else done.stderr)


def _embedded(gateway: str, speed: float) -> Iterator[Target]:
    record = clusters.start(f"test-{gateway}-{os.getpid()}", gateway=gateway, speed=speed, owner=os.getpid(),
                            temporary=True)
    yield Target(record.kubeconfig, record.ingress, record.gateway, record.speed)
    clusters.delete(record.name)


def _cluster(config: pytest.Config, gateway: str) -> Iterator[Target]:
    kubeconfig = config.getoption("--kubeconfig")
    if kubeconfig is None:
        yield from _embedded(gateway, 10.0)
    elif config.getoption("--gateway") == gateway:
        yield Target(kubeconfig, config.getoption("--ingress"), gateway, config.getoption("--speed"))
    else:
        pytest.skip(f"the named cluster has {config.getoption('--gateway')} URLs, this test needs {gateway} ones")


@pytest.fixture(scope="package")
def kourier(pytestconfig: pytest.Config) -> Iterator[Target]:
    yield from _cluster(pytestconfig, "kourier")


@pytest.fixture(scope="package")
def istio(pytestconfig: pytest.Config) -> Iterator[Target]:
    yield from _cluster(pytestconfig, "istio")


@pytest.fixture
def target(request: pytest.FixtureRequest, pytestconfig: pytest.Config) -> Iterator[Target]:
    """The cluster, with a new namespace that is deleted after the test."""
    base: Target = request.getfixturevalue(pytestconfig.getoption("--gateway"))
    fresh = Target(base.kubeconfig, base.ingress, base.gateway, base.speed, f"test-{os.getpid()}-{next(_COUNT)}")
    fresh.kubectl("create", "namespace", fresh.namespace)
    yield fresh
    fresh.kubectl("delete", "namespace", fresh.namespace, "--wait=false")
