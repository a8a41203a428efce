"""Tests of the doctor on a running cluster that is broken on purpose, one fault after another."""

from __future__ import annotations

import asyncio
import json
import os
import re
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from kserve_nb import clusters
from kserve_nb.access.api_client import INFERENCE_SERVICE, Client
from kserve_nb.doctor import Report, examine, explain
from kserve_nb.doctor.commands.curl_command import CurlCommand
from kserve_nb.doctor.commands.curl_rules import explain as faults
from kserve_nb.doctor.fact_collector import collect
from kserve_nb.doctor.messages.message_table import Names
from kserve_nb.doctor.rules import CHECKS
from kserve_nb.doctor.session import inspect_session
from kserve_nb.lab import STEPS, Lab
from kserve_nb.magics.command_line import read
from kserve_nb.magics.curl import curl
from kserve_nb.rollout.sampling import send
from kserve_nb.values.cluster import Cluster
from kserve_nb.values.manifest import MODEL, MODEL_2, inference_service
from tests.cluster.conftest import Target
from tests.cluster.doctor_commands import Place, commands_of, failures
from tests.fake_gateway import FakeGateway
from tests.unit.doctor_cases import CASES, COMMANDS, HOST, INGRESS
from tests.unit.doctor_fixtures import TEXTS

DEADLINE_S = 60
Object = dict[str, Any]


def _made(name: str, change: Callable[[Object], Any], model: str = MODEL, **known: Any) -> Object:
    document = inference_service(name, model, **known)
    change(document)
    return document


def _predictor(key: str, value: Any) -> Callable[[Object], Any]:
    return lambda document: document["spec"]["predictor"].update({key: value})


def _model(key: str, value: Any) -> Callable[[Object], Any]:
    return lambda document: document["spec"]["predictor"]["model"].update({key: value})


def _nothing(_document: Object) -> None:
    """Change nothing."""


_HUGE = {"requests": {"cpu": "900"}, "limits": {"cpu": "900"}}

# A manifest that is applied to a new namespace → the rule that reports it.
APPLIED: tuple[tuple[str, Object], ...] = (
    ("K13", _made("not-there", _nothing, f"{MODEL}-that-is-not-there")),
    ("K04", _made("too-big", _model("resources", _HUGE))),
    ("K17", _made("no-runtime", _model("runtime", "nosuch"))),
    ("K17", _made("bad-scheme", _nothing, "ftp://a/b")),
    ("C01", _made("percent-first", _nothing, percent=10)),
    ("K08", _made("labelled", _nothing)),
)
# Patches of a running model, each with its rule.
PATCHED: tuple[tuple[str, Object], ...] = (
    ("C12", {"canaryTrafficPercent": 101}),
    ("C12", {"canaryTrafficPercent": -1}),
    ("K13", {"canaryTrafficPercent": 10, "model": {"storageUri": f"{MODEL}-that-is-not-there"}}),
)
# Faults of the cluster: the arguments of kubectl that cause each, and those that repair it.
SETTINGS: tuple[tuple[str, str, str, Object], ...] = (
    ("K06", "kserve", "inferenceservice-config", {"deploy": '{"defaultDeploymentMode": "RawDeployment"}'}),
    ("K07", "kserve", "inferenceservice-config", {"ingress": '{"disableIstioVirtualHost": true}'}),
    ("K07", "knative-serving", "config-network", {"ingress-class": "kourier.ingress.networking.knative.dev"}),
    ("R06", "knative-serving", "config-domain", {"example.com": None}),
)
STEP_NOTES = {"first-model": set(), "canary-10": {"C10", "C13"}, "promoted": set(), "pinned": {"C07", "C09", "C13"},
              "tagged": {"C06"}}  # fmt: skip


@pytest.fixture
def own(pytestconfig: pytest.Config) -> None:
    """The cluster, if these tests may break it: only one that they have started."""
    if pytestconfig.getoption("--kubeconfig"):
        pytest.skip("the cluster belongs to somebody else: tests break only their own namespaces")


@pytest.fixture(scope="module")
def base(request: pytest.FixtureRequest, pytestconfig: pytest.Config) -> Target:
    """The cluster, for fixtures whose namespace several tests share."""
    found: Target = request.getfixturevalue(pytestconfig.getoption("--gateway"))
    return found


@pytest.fixture(scope="module")
def canary(base: Target) -> Iterator[Lab]:
    """A namespace in the middle of a canary, which no test changes."""
    with _namespace(base, "canary") as target:
        lab = Lab(_cluster(target))
        asyncio.run(lab.ensure("canary-10"))
        yield lab


@pytest.fixture(scope="module", autouse=True)
def zero(base: Target) -> Iterator[Target]:
    """A namespace with a model that is on its way to zero pods."""
    with _namespace(base, "zero") as target:
        target.kubectl("apply", "-f", "-", stdin=yaml.safe_dump(_made("zero", _predictor("minReplicas", 0))))
        yield target


@contextmanager
def _namespace(base: Target, name: str) -> Iterator[Target]:
    target = replace(base, namespace=f"test-doctor-{name}-{os.getpid()}")
    target.kubectl("create", "namespace", target.namespace)
    yield target
    target.kubectl("delete", "namespace", target.namespace, "--wait=false")


def _cluster(target: Target, **known: Any) -> Cluster:
    return replace(Cluster(Path(target.kubeconfig), target.ingress, target.namespace, speed=target.speed), **known)


def _examine(cluster: Cluster, folder: Path, **asked: Any) -> Report:
    return examine(cluster, folder=folder, **asked)


def _until(look: Callable[[], Report], rule: str, *, anywhere: bool = False) -> Report:
    """The first report whose first line (or any line) names the rule; at the deadline the last report."""
    deadline = time.monotonic() + DEADLINE_S
    while True:
        report = look()
        named = rule in _ids(report) if anywhere else rule in report.text.splitlines()[0]
        if named or time.monotonic() > deadline:
            return report
        time.sleep(0.3)


def _ids(report: Report) -> list[str]:
    return [finding.id for finding in report.findings]


def test_each_fault_of_a_namespace_is_named_also_beside_another(target: Target, tmp_path: Path) -> None:
    spaces = [f"{target.namespace}-{number}" for number in range(len(APPLIED))]
    for (rule, document), space in zip(APPLIED, spaces, strict=True):
        target.kubectl("create", "namespace", space)
        if rule == "K08":
            target.kubectl("label", "namespace", space, "control-plane=kserve")
        target.kubectl("apply", "-n", space, "-f", "-", stdin=yaml.safe_dump(document))

    clusters = [_cluster(target, namespace=space) for space in spaces]
    found = [_until(lambda cluster=cluster: _examine(cluster, tmp_path), rule)  # type: ignore[misc]
             for cluster, (rule, _) in zip(clusters, APPLIED, strict=True)]  # fmt: skip
    for space in spaces:  # each has a second fault: a model too big for the node
        second = _made("second", _model("resources", _HUGE))
        target.kubectl("apply", "-n", space, "-f", "-", stdin=yaml.safe_dump(second))
    both = [_until(lambda cluster=cluster: _examine(cluster, tmp_path), "K04", anywhere=True)  # type: ignore[misc]
            for cluster in clusters]  # fmt: skip
    for space in spaces:
        target.kubectl("delete", "namespace", space, "--wait=false")

    named = [rule in report.text.splitlines()[0] for report, (rule, _) in zip(found, APPLIED, strict=True)]
    assert all(named), "\n".join(report.text for report in found)
    for report, (rule, _) in zip(both, APPLIED, strict=True):
        assert {rule, "K04"} <= set(_ids(report)), f"{rule} beside a second fault:\n{report.text}"


def test_each_fault_of_a_change_is_named(target: Target, tmp_path: Path) -> None:
    lab = Lab(_cluster(target))
    rollout = lab.rollout()
    for rule, patch in PATCHED:
        asyncio.run(lab.ensure("first-model"))
        lab.client.patch(INFERENCE_SERVICE, rollout.name, {"spec": {"predictor": patch}})

        report = _until(lambda: _examine(lab.cluster, tmp_path), rule)

        assert rule in report.text.splitlines()[0], report.text
        if rule == "K13":  # users are served, READY is not True, and no pod gets the 10 % yet
            assert {"C04", "C05"} <= set(_ids(report)) and "Users are served by 00001" in report.text, report.text
    target.kubectl("label", "namespace", target.namespace, "control-plane=kserve")
    report = _examine(lab.cluster, tmp_path)
    assert _ids(report)[0] == "K08" and "K13" in _ids(report), report.text


def test_a_broken_revision_that_was_repaired_is_no_fault(target: Target, tmp_path: Path) -> None:
    lab = Lab(_cluster(target))
    asyncio.run(lab.ensure("first-model"))
    lab.client.patch(INFERENCE_SERVICE, lab.rollout().name, {"spec": {"predictor": PATCHED[-1][1]}})
    broken = _until(lambda: _examine(lab.cluster, tmp_path), "K13")
    assert f"cannot fetch {MODEL}-that-is-not-there" in broken.text, broken.text

    lab.rollout().canary(MODEL_2, percent=10)
    asyncio.run(lab.rollout().wait())
    report = _examine(lab.cluster, tmp_path)

    assert report.healthy and "K13" not in _ids(report), report.text


REFUSED: tuple[Object, ...] = (
    _made("runs", _model("runtime", "nosuch")),
    _made("runs", _predictor("canaryTrafficPercent", 10), "ftp://a/b"),
)


@pytest.mark.parametrize("change", REFUSED)
def test_a_change_that_kserve_refuses_is_named_although_the_service_runs(
    change: Object, target: Target, tmp_path: Path
) -> None:
    lab = Lab(_cluster(target))
    rollout = lab.rollout("runs")
    rollout.apply(_made("runs", _nothing))
    asyncio.run(rollout.wait())

    rollout.apply(change)
    report = _until(lambda: _examine(lab.cluster, tmp_path), "K17")
    assert "K17" in report.text.splitlines()[0] and "Users are served by 00001" in report.text, report.text

    rollout.apply(_made("runs", _nothing))
    asyncio.run(rollout.wait())
    report = _examine(lab.cluster, tmp_path)
    assert report.healthy, report.text


STRAYS: tuple[Callable[[Object], Any], ...] = (
    _model("canaryTrafficPercent", 20),
    _predictor("canaryPercent", 20),
    lambda document: document["spec"].update(canaryTrafficPercent=20),
)


@pytest.mark.parametrize("change", STRAYS)
def test_a_percent_in_an_ignored_field_is_named(
    change: Callable[[Object], Any], target: Target, tmp_path: Path
) -> None:
    manifest = yaml.safe_dump(_made("astray", change))

    refused = target.kubectl("apply", "-f", "-", stdin=manifest, check=False)
    target.kubectl("apply", "--validate=false", "-f", "-", stdin=manifest)
    report = _examine(_cluster(target), tmp_path)
    pasted = _examine(_cluster(target), tmp_path, error=refused)

    assert "C12" in report.text.splitlines()[0] and ": 20" in report.text, report.text
    assert "C12" in pasted.text.splitlines()[0], pasted.text


def test_nothing_is_wrong_in_any_step_of_the_tutorial(target: Target, tmp_path: Path) -> None:
    asyncio.run(_steps(target, tmp_path))


async def _steps(target: Target, folder: Path) -> None:
    lab = Lab(_cluster(target))
    for step in STEPS:
        await lab.ensure(step)

        report = await asyncio.to_thread(_examine, lab.cluster, folder)

        assert report.healthy, f"{step}:\n{report.text}"
        assert STEP_NOTES[step] <= set(_ids(report)), f"{step}:\n{report.text}"
        assert ("C06" in _ids(report)) == (step == "tagged"), f"{step}:\n{report.text}"
        assert report.took_s < 5, f"{step}: {report.took_s:.1f} s"
    rollout = lab.rollout()
    rollout.apply(inference_service(rollout.name, MODEL_2))  # an apply forgets the percent …
    await rollout.wait()
    rollout.canary(percent=30)  # … which a patch brings back
    await rollout.wait()
    assert "C11" in _ids(await asyncio.to_thread(_examine, lab.cluster, folder))


def test_it_changes_nothing(canary: Lab, base: Target, tmp_path: Path) -> None:
    kinds = "isvc,ksvc,configurations,revisions,routes,deployments,services,configmaps"
    target = replace(base, namespace=canary.cluster.namespace)
    before = target.kubectl("get", kinds, "-o", "json")

    _examine(canary.cluster, tmp_path)

    assert target.kubectl("get", kinds, "-o", "json") == before


def test_pasted_commands_and_the_models_answers(canary: Lab, tmp_path: Path) -> None:
    lab = canary
    host, base = lab.rollout().host(), f"http://{lab.ingress.address}/v1/models"
    (tmp_path / "iris-input.json").write_text('{"instances": [[6.8, 2.8, 4.8, 1.4], [6.0, 3.4, 4.5, 1.6]]}')
    json_type = "-H 'Content-Type: application/json'"
    good = f"curl -v -H 'Host: {host}' {json_type} {base}/sklearn-iris:predict -d @./iris-input.json"
    faults = (
        ("R05", good.replace(host, f"sklearn-iris-predictor-default.{host.partition('.')[2]}")),
        ("R04", good.replace(host, "sklearn-irsi.kserve-test.example.com")),
        ("R04", good.replace("/sklearn-iris:", "/nope:")),
        ("R07", good.replace(f"{json_type} ", "")),
        ("R08", good.replace("@./iris-input.json", "'{\"instances\": [[6.8, 2.8]]}'")),
        ("R04", good.replace(":predict", "/predict")),
        ("R08", good.replace("/v1/", "/v2/").replace(":predict", "/infer")),
    )

    assert _ids(_examine(lab.cluster, tmp_path, curl=good))[:1] != ["R04"]
    for rule, line in faults:
        report = _examine(lab.cluster, tmp_path, curl=line)
        head, body = curl(read(line, {}).words[1:], tmp_path)
        pasted = _examine(lab.cluster, tmp_path, error=f"{head}\n{body}")

        assert rule in report.text.splitlines()[0], f"{line}\n{report.text}"
        assert rule in _ids(pasted), f"{head}\n{body}\n{pasted.text}"


def test_each_command_that_is_printed_works_as_it_is_pasted(
    canary: Lab, base: Target, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    space = replace(base, namespace=canary.cluster.namespace)
    space.kubectl("create", "secret", "generic", "storage-config", "--from-literal=key=value")
    (tmp_path / "iris-input.json").write_text('{"instances": [[6.8, 2.8, 4.8, 1.4], [6.0, 3.4, 4.5, 1.6]]}')
    host, ingress = canary.rollout().host(), canary.ingress.address
    names = Names(space.namespace, "sklearn-iris", host=host, ingress=ingress, pod=canary.rollout().pods()[0].name)
    facts = collect(canary.cluster, inspect_session(folder=tmp_path))
    lines = [line.replace(HOST, host).replace(INGRESS, ingress) for _, line in COMMANDS]

    findings = [finding for row in TEXTS for finding in explain(row["text"], names=names)]
    findings += [finding for _, broken in CASES for check in CHECKS for finding in check.find(broken)]
    findings += [finding for line in lines for finding in faults(CurlCommand.read(line, {}, tmp_path), facts)]

    failed = failures(Place(canary, tmp_path), *commands_of(findings))
    canary.rollout().canary(percent=10)  # one of the cells is rollout.pin(), and other tests use this canary
    asyncio.run(canary.rollout().wait())
    assert not failed, "\n".join(failed)


def test_a_service_of_the_wrong_mode_is_deleted_with_the_doctors_command(target: Target, tmp_path: Path) -> None:
    target.kubectl("apply", "-f", "-", stdin=yaml.safe_dump(_made("sklearn-iris", _nothing)))
    found = _examine(_cluster(target), tmp_path, error="update rejected: deploymentMode cannot be changed from 'a'")

    target.kubectl(*read(found.findings[0].remedy.shell, {}).words[1:])
    target.kubectl("wait", "isvc", "--all", "--for=delete", f"--timeout={DEADLINE_S}s")

    assert not target.kubectl("get", "isvc", "-o", "name")


def test_small_samples(canary: Lab, tmp_path: Path) -> None:
    few, one = (send(canary.rollout(), count) for count in (10, 1))

    assert "C02" in _ids(_examine(canary.cluster, tmp_path, tally=few))
    assert "C03" in _ids(_examine(canary.cluster, tmp_path, tally=one))


@pytest.mark.usefixtures("own")
@pytest.mark.parametrize(("rule", "namespace", "name", "data"), SETTINGS)
def test_each_fault_of_a_setting_is_named_also_beside_another(
    rule: str, namespace: str, name: str, data: Object, target: Target, tmp_path: Path
) -> None:
    with _setting(target, namespace, name, data):
        report = _examine(_cluster(target), tmp_path)
        target.kubectl("label", "namespace", target.namespace, "control-plane=kserve")
        both = _examine(_cluster(target), tmp_path)

    assert _ids(report)[:1] == [rule] and rule in report.text.splitlines()[0], report.text
    assert {rule, "K08"} <= set(_ids(both)), both.text
    assert _ids(_examine(_cluster(target, namespace="default"), tmp_path)) == []


@contextmanager
def _setting(target: Target, namespace: str, name: str, data: Object) -> Iterator[None]:
    """Set entries of a ConfigMap for the duration of the context."""
    before = json.loads(target.kubectl("get", "configmap", name, "-n", namespace, "-o", "json")).get("data") or {}
    _patch(target, namespace, name, data)
    yield
    _patch(target, namespace, name, {key: before.get(key) for key in data})


def _patch(target: Target, namespace: str, name: str, data: Object) -> None:
    target.kubectl("patch", "configmap", name, "-n", namespace, "--type=merge", "-p", json.dumps({"data": data}))


@pytest.mark.usefixtures("own")
def test_a_gateway_without_an_address(target: Target, tmp_path: Path) -> None:
    where = ("svc", "istio-ingressgateway", "-n", "istio-system", "--subresource=status", "--type=merge", "-p")
    before = target.kubectl("get", "svc", "istio-ingressgateway", "-n", "istio-system", "-o", "jsonpath={.status}")
    target.kubectl("patch", *where, '{"status": {"loadBalancer": {"ingress": null}}}')

    nobody = _examine(_cluster(target, ingress=f"127.0.0.1:{_free_port()}"), tmp_path)
    by_port = _examine(_cluster(target, ingress=""), tmp_path)  # the NodePort was found, and responds
    target.kubectl("patch", *where, json.dumps({"status": json.loads(before)}))

    assert _ids(nobody)[:2] == ["R01", "R09"], nobody.text
    assert by_port.healthy and "R01" in _ids(by_port), by_port.text


@pytest.mark.usefixtures("own")
def test_no_gateway_at_all(target: Target, tmp_path: Path) -> None:
    where = ("svc", "istio-ingressgateway", "-n", "istio-system")
    before = json.loads(target.kubectl("get", *where, "-o", "json"))
    target.kubectl("delete", *where)

    report = _examine(_cluster(target, ingress=""), tmp_path)
    del before["metadata"]["resourceVersion"]
    target.kubectl("apply", *where[2:], "-f", "-", stdin=json.dumps(before))
    status = json.dumps({"status": before["status"]})
    target.kubectl("patch", *where, "--subresource=status", "--type=merge", "-p", status)

    assert "K07" in report.text.splitlines()[0], report.text


def test_a_port_forward_that_has_ended(canary: Lab, tmp_path: Path) -> None:
    lab, port = canary, _free_port()
    argv = ["kubectl", "--kubeconfig", str(lab.cluster.kubeconfig), "-n", lab.cluster.namespace, "port-forward",
            f"pod/{lab.rollout().pods()[0].name}", f"{port}:8080"]  # fmt: skip
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as forward:
        assert forward.stdout and "Forwarding from" in forward.stdout.readline()
        forward.terminate()

    report = _examine(replace(lab.cluster, ingress=f"127.0.0.1:{port}"), tmp_path)

    assert "R09" in report.text.splitlines()[0], report.text


def test_the_gateway_of_another_cluster(canary: Lab, tmp_path: Path) -> None:
    other = FakeGateway()

    report = _examine(replace(canary.cluster, ingress=other.address), tmp_path)
    other.close()

    assert "R04" in report.text.splitlines()[0] and "empty body" in report.text, report.text


def test_a_context_that_looks_like_production(target: Target, tmp_path: Path) -> None:
    config = tmp_path / "kubeconfig"
    config.write_text(Path(target.kubeconfig).read_text())
    current = target.kubectl("config", "current-context").strip()
    subprocess.run(["kubectl", "--kubeconfig", str(config), "config", "rename-context", current, "prod-eu"], check=True)

    report = _examine(_cluster(target, kubeconfig=config), tmp_path)

    assert "K01" in report.text.splitlines()[0] and "prod-eu" in report.text, report.text
    assert not report.blocked


@pytest.mark.usefixtures("own")
def test_a_cluster_that_has_ended(tmp_path: Path) -> None:
    record = clusters.start(f"doctor-{os.getpid()}", owner=os.getpid(), temporary=True)
    config = tmp_path / "kubeconfig"
    config.write_text(Path(record.kubeconfig).read_text())
    cluster = Cluster(config, record.ingress)
    assert _examine(cluster, tmp_path).healthy
    assert Client(cluster).find_all(INFERENCE_SERVICE) == []

    clusters.delete(record.name)
    report = _examine(cluster, tmp_path)

    assert "K02" in report.text.splitlines()[0] and report.blocked, report.text
    assert re.search(r"refused|does not respond", report.text)


def test_a_model_that_was_scaled_to_zero_is_not_woken(zero: Target, tmp_path: Path) -> None:
    lab = Lab(_cluster(zero))
    asyncio.run(lab.rollout("zero").wait())
    zero.kubectl("wait", "pods", "--all", "--for=delete", f"--timeout={2 * DEADLINE_S}s")

    report = _examine(lab.cluster, tmp_path)

    assert report.healthy and _ids(report) == ["R10"], report.text
    assert all(pod.terminating for pod in lab.rollout("zero").pods())


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])
