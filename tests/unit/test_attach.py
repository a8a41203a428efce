"""Attaching a cluster: which context is used, where its gateway is, and whether the lab may change it."""

from __future__ import annotations

import asyncio
import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result

from kserve_nb import clusters
from kserve_nb.access.api_client import Client, ReadOnlyError
from kserve_nb.cli import main
from kserve_nb.clusters import state
from kserve_nb.clusters.state import ClusterError
from kserve_nb.doctor import examine
from kserve_nb.lab import Lab
from kserve_nb.values.cluster import Cluster
from tests.fake_api import ISVC, FakeApi, one
from tests.fake_gateway import FakeGateway

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def _own_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    for name in ("KUBECONFIG", "KSERVE_INGRESS_HOST_PORT", "INGRESS_HOST", "INGRESS_PORT"):
        monkeypatch.delenv(name, raising=False)


def kubeconfig(file: Path, *contexts: str, server: str = "https://10.0.0.1:6443") -> Path:
    """A kubeconfig with these contexts, the first one current."""
    file.write_text(yaml.safe_dump({
        "current-context": contexts[0], "users": [{"name": "u", "user": {"token": "t"}}],
        "clusters": [{"name": "c", "cluster": {"server": server}}],
        "contexts": [{"name": name, "context": {"cluster": "c", "user": "u"}} for name in contexts]}))
    return file


def up(file: Path, context: str | None = None, **others: Any) -> state.Record:
    return clusters.start("mine", "attach", kubeconfig=file, context=context, namespace="team", **others)


@pytest.mark.parametrize("context", ["prod", "prod-eu", "gke_team_europe_production", "PRD2", "eu.live", "admin@prod1"])
def test_a_current_context_that_looks_like_production_is_refused(context: str, tmp_path: Path) -> None:
    file = kubeconfig(tmp_path / "config", context)

    with pytest.raises(ClusterError, match=f"looks like production .*name it: --context {context}"):
        up(file)

    assert state.read("mine") is None
    assert up(file, context).cluster == "attach"


def test_a_server_that_looks_like_production_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ClusterError, match=r"its server is 'https://api\.prod\."):
        up(kubeconfig(tmp_path / "config", "mine", server="https://api.prod.example.com"))


@pytest.mark.parametrize("context", ["kind-demo", "minikube", "reproduce", "delivery", "olive", "product-a"])
def test_other_contexts_are_not(context: str, tmp_path: Path) -> None:
    assert up(kubeconfig(tmp_path / "config", context)).ingress == ""


def test_of_several_files_the_one_with_the_context_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = kubeconfig(tmp_path / "a", "one"), kubeconfig(tmp_path / "b", "two", "three")
    monkeypatch.setenv("KUBECONFIG", f"{tmp_path / 'absent'}:{first}:{second}")

    for context, current in ((None, "one"), ("three", "three")):
        record = clusters.start("mine", "attach", context=context, namespace="team")
        assert yaml.safe_load(Path(record.kubeconfig).read_text())["current-context"] == current


def test_the_learners_files_are_copied_and_never_written(tmp_path: Path) -> None:
    file = kubeconfig(tmp_path / "config", "kind-demo")
    before = file.read_text()

    record = up(file)

    assert file.read_text() == before
    assert yaml.safe_load(Path(record.kubeconfig).read_text())["contexts"][0]["context"]["namespace"] == "team"


def test_connect_attaches_by_context(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBECONFIG", str(kubeconfig(tmp_path / "config", "one", "two-prod")))

    found = clusters.connect(name="mine", context="two-prod")

    assert (found.kind, found.ingress) == ("attach", "")
    assert yaml.safe_load(found.kubeconfig.read_text())["current-context"] == "two-prod"


def test_the_command_states_that_the_gateway_is_found_later(api: FakeApi) -> None:
    api.logs["/version"] = '{"gitVersion": "v1.35.4"}'

    shown = cli("up", "--cluster", "attach", "--kubeconfig", str(api.kubeconfig))

    assert shown.exit_code == 0 and "found by connect(): LoadBalancer, NodePort or port-forward" in shown.output


def test_the_command_reports_that_there_is_no_answer(api: FakeApi) -> None:
    api.close()

    shown = cli("up", "--cluster", "attach", "--kubeconfig", str(api.kubeconfig))

    assert shown.exit_code == 1 and "does not answer. Find out why: kserve-nb doctor --name mine" in shown.output


def test_down_states_that_an_attached_cluster_keeps_running(tmp_path: Path) -> None:
    up(kubeconfig(tmp_path / "config", "kind-demo"))

    assert "is forgotten here; it keeps running" in cli("down").output
    assert state.read("mine") is None


def cli(command: str, *words: str) -> Result:
    return CliRunner().invoke(main, [command, "--name", "mine", *words])


def test_env_sets_the_variable_of_kserves_own_tests_too(tmp_path: Path) -> None:
    up(kubeconfig(tmp_path / "config", "kind-demo"), ingress="localhost:8080")

    lines = CliRunner().invoke(main, ["env", "--name", "mine"]).output.splitlines()

    exports = dict(word.split("=", 1) for line in lines for word in shlex.split(line)[1:])
    assert exports["KSERVE_INGRESS_HOST_PORT"] == "localhost:8080"
    assert (exports["INGRESS_HOST"], exports["INGRESS_PORT"]) == ("localhost", "8080")


@pytest.fixture
def lab(api: FakeApi, gateway: FakeGateway) -> Lab:
    """A lab on a cluster on which the learner may only read."""
    api.load("02-canary-10")
    api.denied = {"patch"}
    return Lab(api.cluster(gateway.address))


def test_the_lab_reports_that_rbac_forbids_writing(lab: Lab) -> None:
    why = "RBAC does not let you patch inferenceservices in namespace kserve-test"

    assert lab.read_only == lab.cluster.read_only == lab.rollout().read_only == why
    assert f"read-only: {why}" in repr(lab)


def test_requests_are_made_as_the_impersonated_user(api: FakeApi, gateway: FakeGateway) -> None:
    api.load("02-canary-10")
    _act_as(api.kubeconfig, {"as": "somebody", "as-groups": ["viewers"]})

    lab = Lab(api.cluster(gateway.address))
    lab.rollout().status()

    assert api.users == {"somebody"}


def test_a_kubeconfig_that_acts_as_more_than_can_be_sent_is_refused(api: FakeApi) -> None:
    _act_as(api.kubeconfig, {"as": "somebody", "as-groups": ["a", "b"]})

    with pytest.raises(ValueError, match="several as-groups"):
        Client(api.cluster())
    assert "several as-groups" in examine(api.cluster()).text


def _act_as(file: Path, user: dict[str, Any]) -> None:
    config = yaml.safe_load(file.read_text())
    config["users"][0]["user"] |= user
    file.write_text(yaml.safe_dump(config))


def test_read_only_verbs_need_no_cluster(lab: Lab, api: FakeApi) -> None:
    rollout = lab.rollout()
    verbs = [lambda: rollout.canary(percent=20), rollout.promote, rollout.pin, rollout.tag, rollout.delete,
             lambda: rollout.deploy("gs://x/y"), lambda: asyncio.run(lab.reset())]

    for verb in verbs:
        with pytest.raises(ReadOnlyError, match=r"Cannot change anything, .* read-only: RBAC does not .*connect\("):
            verb()

    assert api.writes == []


def test_read_only_looking_works(lab: Lab, capsys: pytest.CaptureFixture[str]) -> None:
    assert lab.rollout().status().canary_percent == 10
    assert len(lab.rollout().pods()) == 2 and lab.rollout().predict() == [1, 1]
    lab.check.split_status(percent=10)


def test_read_only_ensure_is_content_where_the_step_is_reached(lab: Lab, api: FakeApi) -> None:
    recorded = one("02-canary-10", "isvc")
    del recorded["spec"]["predictor"]["model"]["resources"]
    api.put(f"{ISVC}/sklearn-iris", recorded)

    with pytest.raises(ReadOnlyError, match="is not at step 'promoted', and cannot be changed"):
        asyncio.run(lab.ensure("promoted"))

    assert asyncio.run(lab.ensure("canary-10")).canary_percent == 10
    assert api.writes == []


def test_a_cluster_that_answers_no_such_question_is_written_to(api: FakeApi, gateway: FakeGateway) -> None:
    lab = Lab(api.cluster(gateway.address))

    assert lab.read_only == ""
    asyncio.run(lab._make_namespace(timeout_s=5))
    assert api.writes[0][:2] == ("POST", "/api/v1/namespaces")


def test_nothing_is_written_outside_the_namespace(api: FakeApi, gateway: FakeGateway) -> None:
    api.load("02-canary-10")
    rollout = Lab(api.cluster(gateway.address)).rollout()

    rollout.canary(percent=30)
    rollout.pin()
    rollout.promote()
    rollout.delete()

    assert {path for _, path, _ in api.writes} == {f"{ISVC}/sklearn-iris"}


def test_models_with_equal_answers_are_reported_and_pass(
    api: FakeApi, gateway: FakeGateway, capsys: pytest.CaptureFixture[str]
) -> None:
    api.load("02-canary-10")
    gateway.draws = iter(lambda: False, None)  # the canary's model gives the same answers as the other one
    lab = Lab(Cluster(api.kubeconfig, gateway.address))

    lab.check.split_observed(percent=10)

    said = capsys.readouterr().out
    assert "the split shows only in the traffic list: 10 %" in said
    with pytest.raises(AssertionError, match="LATEST does not receive 20 %"):
        lab.check.split_observed(percent=20)
