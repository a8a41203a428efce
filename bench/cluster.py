"""An embedded cluster for one measurement, with the tutorial's models."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import requests

from kserve_nb import clusters
from kserve_nb.clusters import state
from kserve_nb.clusters.state import Record

MODEL = "gs://kfserving-examples/models/sklearn/1.0/model"
BODY = {"instances": [[6.8, 2.8, 4.8, 1.4], [6.0, 3.4, 4.5, 1.6]]}
KUBECTL, KSERVE_NB = (str(Path(sys.executable).with_name(name)) for name in ("kubectl", "kserve-nb"))


@contextmanager
def cluster(label: str, *options: str) -> Iterator[Record]:
    """Start a new cluster with the command that a user types; it stops with the block or with this process."""
    name = f"bench-{label}-{os.getpid()}"
    subprocess.run([KSERVE_NB, "up", "--name", name, "--owner", str(os.getpid()), *options], capture_output=True,
                   check=True)
    record = state.read(name)
    assert record is not None
    try:
        yield record
    finally:
        clusters.delete(record.name)


def kubectl(record: Record, *args: str, stdin: str | None = None) -> str:
    """Return the output of the real kubectl. Raises if it fails."""
    done = subprocess.run([KUBECTL, "--kubeconfig", record.kubeconfig, *args], input=stdin, capture_output=True,
                          text=True, check=True, timeout=120)
    return done.stdout


def manifest(name: str = "sklearn-iris", model: str = MODEL, percent: int | None = None) -> str:
    """Return the tutorial's InferenceService."""
    canary = "" if percent is None else f"    canaryTrafficPercent: {percent}\n"
    return ("apiVersion: serving.kserve.io/v1beta1\nkind: InferenceService\nmetadata:\n"
            f"  name: {name}\nspec:\n  predictor:\n{canary}    model:\n      modelFormat:\n        name: sklearn\n"
            f"      storageUri: {model}\n")


def session() -> requests.Session:
    """Return an HTTP session for the ingress that ignores proxies."""
    asked = requests.Session()
    asked.trust_env = False
    return asked


def until_predicted(record: Record, name: str = "sklearn-iris", timeout_s: float = 60) -> None:
    """Return at the model's first response."""
    deadline, asked = time.monotonic() + timeout_s, session()
    while time.monotonic() < deadline:
        answer = asked.post(f"http://{record.ingress}/v1/models/{name}:predict", json=BODY,
                            headers={"Host": f"{name}-predictor.{record.namespace}.example.com"}, timeout=10)
        if answer.status_code == 200:
            return
        time.sleep(0.01)
    raise TimeoutError(f"{name} did not answer within {timeout_s} s")


def until(record: Record, path: str, wanted: str, name: str = "sklearn-iris", timeout_s: float = 120) -> None:
    """Return when the JSONPath of the InferenceService has the given value."""
    kubectl(record, "wait", f"isvc/{name}", f"--for=jsonpath={path}={wanted}", f"--timeout={timeout_s:.0f}s")
