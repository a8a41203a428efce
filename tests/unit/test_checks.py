"""Each check passes with one line on the recorded step it is for, and fails with three on another."""

from __future__ import annotations

import functools
import inspect
import json
from collections.abc import Callable
from typing import Any

import pytest

from kserve_nb.access.api_client import Client
from kserve_nb.access.ingress import Ingress
from kserve_nb.checks.check import CheckFailed
from kserve_nb.checks.tutorial import Checks
from kserve_nb.values.manifest import MODEL, MODEL_2, inference_service, to_yaml
from kserve_nb.values.split import Split
from tests import fake_api
from tests.fake_api import ISVC, NAMESPACE, PODS, FakeApi
from tests.fake_gateway import FakeGateway, shares

pytestmark = pytest.mark.slow

CONFIG = "/api/v1/namespaces/kserve/configmaps/inferenceservice-config"
OLD = to_yaml(inference_service("sklearn-iris", MODEL_2, percent=10, old_schema=True))
NEW = to_yaml(inference_service("sklearn-iris", MODEL_2, percent=10))


@pytest.fixture
def check(api: FakeApi, gateway: FakeGateway) -> Checks:
    api.put("/version", {"gitVersion": "v1.35.4"})
    api.put(CONFIG, configuration("Serverless"))
    return Checks(Client(api.cluster()), Ingress(gateway.address))


def configuration(mode: str) -> dict[str, Any]:
    """KServe's config map with this default mode."""
    entries = {"deploy": {"defaultDeploymentMode": mode},
               "storageInitializer": {"image": "kserve/storage-initializer:v0.20.0"}}
    return {"metadata": {"name": "inferenceservice-config"},
            "data": {key: json.dumps(entry) for key, entry in entries.items()}}


Call = Callable[[Checks], Any]
PASSING: list[tuple[str, Call, str]] = [
    ("01-create", lambda c: c.backend(), "✔ KServe 0.20.0 in Knative mode, on Kubernetes v1.35.4"),
    ("01-create", lambda c: c.namespace(), "✔ namespace kserve-test is ready for models"),
    ("01-create", lambda c: c.ingress(), "✔ the gateway answers: an unknown host gets a 404 with an empty body"),
    ("01-create", lambda c: c.first_ready(), "✔ revision 00001 serves 100 % (LATEST=100, PREV empty)"),
    ("01-create", lambda c: c.columns(ready="True", prev="", latest=100), "✔ you read the row correctly"),
    ("01-create", lambda c: c.predict(), '✔ {"predictions":[1,1]} – both flowers are Versicolour'),
    ("01-create", lambda c: c.two_404s(),
     "✔ a 404 without a body comes from the gateway, a 404 that names the model from the model server"),
    ("01-create", lambda c: c.same_object(OLD, NEW), "✔ old and new schema describe the same object"),
    ("02-canary-10", lambda c: c.canary_spec(10), "✔ the spec requests 10 %"),
    ("02-canary-10", lambda c: c.split_status(10), "✔ PREV=90 (00001) LATEST=10 (00002)"),
    ("02-canary-10", lambda c: c.pods({"00001": 1, "00002": 1}), "✔ ready pods: 00001×1, 00002×1"),
    ("02-canary-10", lambda c: c.split_observed(10),
     "✔ the observed share is consistent with 10 %: 100 of 1000 = 10.0 % [8.3–12.0]"),
    ("02-canary-10", lambda c: c.no_failures(Split({"a": 3})), "✔ every request was answered"),
    ("04-promote", lambda c: c.promoted(), "✔ 00002 serves 100 % (LATEST=100, PREV empty)"),
    ("05-rollback", lambda c: c.pinned(), "✔ users are back on 00001: PREV=100 (00001) LATEST=0 (00002)"),
    ("06-tag", lambda c: c.pods(), "✔ ready pods: 00001×1, 00003×1"),
    ("06-tag", lambda c: c.scaled_down("00002"), "✔ 00002 has no pods"),
    ("06-tag", lambda c: c.tags(), "✔ both tag hosts answer: latest-→00003, prev-→00001"),
]


@pytest.mark.parametrize(("step", "call", "line"), PASSING, ids=[line for _, _, line in PASSING])
def test_a_check_passes_with_one_line(
    api: FakeApi, gateway: FakeGateway, check: Checks, capsys: pytest.CaptureFixture[str],
    step: str, call: Call, line: str,
) -> None:
    api.load(step)
    gateway.tagged = True

    record = call(check)

    assert capsys.readouterr().out == f"{line}\n"
    assert f"✔ {record.line}" == line


FAILING: list[tuple[str, Call, str]] = [
    ("02-canary-10", lambda c: c.first_ready(), "PREV 90 % → 00001 · LATEST 10 % → 00002"),
    ("02-canary-10", lambda c: c.columns(ready="True", prev="", latest=100), 'READY=True, PREV="", LATEST=100'),
    ("01-create", lambda c: c.canary_spec(10), "saw no such field"),
    ("01-create", lambda c: c.split_status(10), "LATEST 100 % → 00001"),
    ("broken-canary", lambda c: c.split_status(10), "GCS resource 'kfserving-examples' not found"),
    ("04-promote", lambda c: c.pods({"00002": 1}), "00001 2/2 Running, 00002 2/2 Running"),
    ("04-promote", lambda c: c.split_observed(10), "saw LATEST 100 % → 00002"),
    ("04-promote", lambda c: c.no_failures(Split({"a": 3}, failed=2)), "2 of 5 failed"),
    ("04-promote", lambda c: c.no_failures(Split({})), "0 of 0 failed"),
    ("04-promote", lambda c: c.scaled_down("00001"), "00001 2/2 Running; it waits"),
    ("05-rollback", lambda c: c.scaled_down("00001"), "the route names it"),
    ("02-canary-10", lambda c: c.promoted(), "canaryTrafficPercent: 10"),
    ("01-create", lambda c: c.promoted(), "LATEST 100 % → 00001"),
    ("04-promote", lambda c: c.pinned(), "LATEST 100 % → 00002"),
    ("02-canary-10", lambda c: c.tags(), "saw prev → 00001"),
    ("01-create", lambda c: c.same_object(NEW, to_yaml(inference_service("x", MODEL))), "model-2"),
]


@pytest.mark.parametrize(("step", "call", "saw"), FAILING)
def test_a_check_fails_with_three_lines(
    api: FakeApi, check: Checks, capsys: pytest.CaptureFixture[str], step: str, call: Call, saw: str
) -> None:
    api.load(step)
    if step == "broken-canary":
        for path, obj in list(api.objects.items()):
            if path.endswith(("/sklearn-iris", "-predictor")):
                api.put(path, obj)

    with pytest.raises(CheckFailed) as failed:
        call(check)

    lines = failed.value._render_traceback_()
    assert len(lines) == 3 and lines[0].startswith("✖ ")
    assert "expected " in lines[1] and saw in lines[1] and lines[2].startswith("  do: ")
    assert capsys.readouterr().out == ""


class Hinting:
    """The same checks, called with `hint=True`."""

    def __init__(self, check: Checks):
        self._check = check

    def __getattr__(self, name: str) -> Any:
        return functools.partial(getattr(self._check, name), hint=True)


@pytest.mark.parametrize(("step", "call", "_saw"), FAILING)
def test_a_failure_names_the_next_step_and_a_hint_adds_the_command(
    api: FakeApi, check: Checks, step: str, call: Call, _saw: str
) -> None:
    api.load(step)
    told = []

    for asked in (check, Hinting(check)):
        with pytest.raises(CheckFailed) as failed:
            call(asked)  # type: ignore[arg-type]
        told.append(failed.value.do)

    pointer = told[0].removesuffix(" (hint=True tells how)")
    assert pointer != told[0]
    assert told[1].startswith(f"{pointer}: ") and "hint=True" not in told[1]


def test_a_hint_contains_the_command(api: FakeApi, check: Checks) -> None:
    api.load("02-canary-10")

    with pytest.raises(CheckFailed) as without:
        check.promoted()
    with pytest.raises(CheckFailed) as hinted:
        check.promoted(hint=True)

    assert "rollout.promote()" not in without.value.do and "hint=True" in without.value.do
    assert "rollout.promote()" in hinted.value.do


def test_a_percent_at_the_wrong_depth_is_named(api: FakeApi, check: Checks) -> None:
    api.load("01-create")
    api.objects[f"{ISVC}/sklearn-iris"]["spec"]["predictor"]["model"]["canaryTrafficPercent"] = 10

    with pytest.raises(CheckFailed, match="the field is under model:, KServe reads it under predictor:"):
        check.canary_spec(10)


def test_a_control_plane_namespace_is_named(api: FakeApi, check: Checks) -> None:
    api.put(NAMESPACE, {"metadata": {"name": "kserve-test", "labels": {"control-plane": "x"}}})

    with pytest.raises(CheckFailed, match="downloads no model"):
        check.namespace()


def test_a_mode_without_canaries_is_named(api: FakeApi, check: Checks) -> None:
    api.put(CONFIG, configuration("RawDeployment"))

    with pytest.raises(CheckFailed, match="RawDeployment mode: canaryTrafficPercent would be ignored"):
        check.backend()


def test_a_cluster_without_knative_is_named(check: Checks, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fake_api, "COLLECTIONS", ("inferenceservices",))

    with pytest.raises(CheckFailed, match=r"saw Kubernetes v1.35.4 without serving.knative.dev"):
        check.backend()


def test_a_forbidden_configuration_leaves_the_version_out(
    api: FakeApi, check: Checks, capsys: pytest.CaptureFixture[str]
) -> None:
    api.put(CONFIG, {}, "DELETED")

    check.backend()

    assert capsys.readouterr().out == "✔ KServe in Knative mode, on Kubernetes v1.35.4\n"


def test_without_a_namespace_a_check_names_the_next_step(check: Checks) -> None:
    with pytest.raises(CheckFailed, match="do: Create it: %kubectl create namespace kserve-test"):
        check.first_ready()


def test_a_split_fails_only_after_two_samples_deviate(
    api: FakeApi, gateway: FakeGateway, check: Checks
) -> None:
    api.load("02-canary-10")
    unlucky, fair = shares(50), shares(10)
    gateway.draws = (next(unlucky) if n < 800 else next(fair) for n in range(10**5))

    assert check.split_observed(10, count=1000).seen["p_value"] > 0.001


def test_a_gateway_that_splits_unlike_the_traffic_list_fails_the_check(
    api: FakeApi, gateway: FakeGateway, check: Checks
) -> None:
    api.load("02-canary-10")
    gateway.draws = shares(50)

    with pytest.raises(CheckFailed, match=r"saw not 10 %: 1000 of 2000 = 50\.0 %"):
        check.split_observed(10)


def test_no_request_is_sent_when_the_traffic_list_has_another_percent(
    api: FakeApi, gateway: FakeGateway, check: Checks
) -> None:
    api.load("02-canary-10")

    with pytest.raises(CheckFailed, match="LATEST does not receive 25 %"):
        check.split_observed(25)

    assert gateway.seen == []


def test_a_failure_shows_only_the_last_line_of_a_log(api: FakeApi, check: Checks) -> None:
    api.load("broken-canary")

    with pytest.raises(CheckFailed) as failed:
        check.split_status(10)

    assert "GCS resource 'kfserving-examples' not found" in failed.value.saw and "Initializing" not in failed.value.saw


def test_a_missing_service_has_not_scaled_down(api: FakeApi, check: Checks) -> None:
    api.put(NAMESPACE, {"metadata": {"name": "kserve-test"}})

    with pytest.raises(CheckFailed, match="There is nothing to check yet"):
        check.scaled_down()


def test_a_cluster_that_is_gone_fails_a_check_in_three_lines(api: FakeApi, check: Checks) -> None:
    api.close()

    with pytest.raises(CheckFailed) as failed:
        check.first_ready()

    assert len(failed.value._render_traceback_()) == 3


def test_the_column_that_was_misread_is_explained(api: FakeApi, check: Checks) -> None:
    api.load("02-canary-10")

    with pytest.raises(CheckFailed, match="LATEST: the row has another value") as failed:
        check.columns(ready="True", prev=90, latest=2, hint=True)

    assert "not its number: the row has READY=True, PREV=90, LATEST=10" in failed.value.do


def test_pods_that_are_not_ready_fail_the_check(api: FakeApi, check: Checks) -> None:
    api.load("02-canary-10")
    name = next(path for path in api.objects if path.startswith(PODS))
    api.objects[name]["status"]["containerStatuses"][0]["ready"] = False

    with pytest.raises(CheckFailed, match="00001 1/2 Running"):
        check.pods()


def test_a_percent_of_100_promotes_as_well(api: FakeApi, check: Checks) -> None:
    api.load("04-promote")
    api.objects[f"{ISVC}/sklearn-iris"]["spec"]["predictor"]["canaryTrafficPercent"] = 100

    assert check.promoted().line == "00002 serves 100 % (LATEST=100, PREV empty)"


def test_a_failure_contains_the_doctors_first_blocker(api: FakeApi, gateway: FakeGateway) -> None:
    asked = []

    def doctor() -> str:
        asked.append(1)
        return "K13 the model cannot be downloaded (pod a-b)"

    check = Checks(Client(api.cluster()), Ingress(gateway.address), doctor=doctor)
    api.load("02-canary-10")

    check.split_status(10)
    assert asked == []

    for failing in (check.promoted, check.first_ready):
        with pytest.raises(CheckFailed) as failed:
            failing()
        lines = failed.value._render_traceback_()
        assert len(lines) == 3 and lines[2].endswith("; the doctor: K13 the model cannot be downloaded (pod a-b)")
    assert asked == [1, 1]


@pytest.mark.parametrize("name", [name for name, _ in inspect.getmembers(Checks, callable)
                                  if name[0] != "_" and name != "of"])
def test_every_check_takes_a_hint(name: str) -> None:
    assert inspect.signature(getattr(Checks, name)).parameters["hint"].default is False
