"""`kserve-nb rollout`: exit codes, reports, and messages."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from click.testing import CliRunner, Result

from kserve_nb.access import in_cluster
from kserve_nb.access.api_client import Client
from kserve_nb.cli import main
from kserve_nb.gates import run_report
from kserve_nb.gates.criteria.gate import GateResult
from kserve_nb.gates.execution.run_state import Phase, RunState
from kserve_nb.gates.execution.run_store import CONFIG_MAP, RunStore
from kserve_nb.gates.gated_rollout import GatedRollout
from kserve_nb.gates.plan import RolloutPlan
from kserve_nb.values.cluster import Cluster
from tests.fake_api import FakeApi
from tests.fake_gateway import FakeGateway
from tests.virtual_clock import VirtualClock

RESULTS = (GateResult("errors", "pass", "none"), GateResult("split", "fail", "30 % <seen>"),
           GateResult("latency", "inconclusive", "few", 3, 50))


@pytest.fixture
def plan(tmp_path: Path) -> Path:
    path = tmp_path / "plan.yaml"
    path.write_text("steps: [10, 100]\nbake: 0s\nlimit: 2s\n")
    return path


def run(api: FakeApi, gateway: FakeGateway, *words: str) -> Result:
    return CliRunner().invoke(main, ["rollout", "sklearn-iris", "--kubeconfig", str(api.kubeconfig), "--ingress",
                                     gateway.address, *words])


@pytest.mark.parametrize(("phase", "code"), [
    ("promoted", 0), ("rolled back", 3), ("held", 4), ("superseded", 5), ("aborted", 6)])
def test_the_exit_code_shows_how_the_rollout_ended(
    api: FakeApi, gateway: FakeGateway, plan: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, phase: Phase,
    code: int,
) -> None:  # fmt: skip
    api.load("02-canary-10")

    async def follow(_self: object, _plan: RolloutPlan, *, on_change: object) -> RunState:
        return RunState(step=1, results=RESULTS).enter(phase, "why", 1000.0)

    monkeypatch.setattr(GatedRollout, "follow", follow)
    page, xml = tmp_path / "out.html", tmp_path / "out.xml"
    done = run(api, gateway, "--plan", str(plan), "--report", str(page), "--junit", str(xml))

    assert (done.exit_code, f"{phase} · step 2: why" in done.output) == (code, True), done.output
    assert f"sklearn-iris: {phase}" in page.read_text() and "30 % &lt;seen&gt;" in page.read_text()
    suite = ET.parse(xml).getroot()
    assert (suite.get("tests"), suite.get("failures")) == ("4", "1" if phase == "promoted" else "2")
    assert len(suite.findall("testcase/skipped")) == 1


def test_a_plan_that_cannot_be_read_is_a_usage_error(
    api: FakeApi, gateway: FakeGateway, plan: Path
) -> None:
    plan.write_text("steps: [10, 100]\nbake: soon\n")

    done = run(api, gateway, "--plan", str(plan))

    assert (done.exit_code, "line 2: bake: 'soon' is not a duration" in done.output) == (2, True)


@pytest.mark.slow
def test_without_traffic_it_ends_as_held(api: FakeApi, gateway: FakeGateway, plan: Path) -> None:
    api.load("02-canary-10")

    done = run(api, gateway, "--plan", str(plan))

    assert done.exit_code == 4, done.output
    assert "the runner observes no traffic" in done.output
    assert "baking: users get 10 %" in done.output  # a line per phase, as this is not a terminal


def test_a_dry_run_writes_nothing(api: FakeApi, gateway: FakeGateway, plan: Path) -> None:
    api.load("02-canary-10")

    done = run(api, gateway, "--plan", str(plan), "--dry-run")

    assert (done.exit_code, api.writes) == (0, [])
    assert "users get 10 % of the latest revision now" in done.output and "100 %: promote" in done.output


def test_commands_are_left_for_the_runner(api: FakeApi, gateway: FakeGateway) -> None:
    api.load("02-canary-10")
    store = RunStore(Client(api.cluster()), "sklearn-iris", VirtualClock())
    store._create(CONFIG_MAP, {"data": {"holder": store.holder}})
    store.save("", RunState(phase="baking"))

    assert run(api, gateway, "--pause").exit_code == 0
    assert store.take_command() == "pause"
    assert store.take_command() is None
    assert "baking" in run(api, gateway, "--show").output


def test_a_command_without_a_rollout_is_an_error(api: FakeApi, gateway: FakeGateway) -> None:
    api.load("02-canary-10")

    done = run(api, gateway, "--abort")

    assert (done.exit_code, "no gated rollout is in progress" in done.output) == (1, True)


def test_either_a_plan_or_a_command_is_needed(api: FakeApi, gateway: FakeGateway) -> None:
    assert run(api, gateway).exit_code == 2


def test_a_progress_line_names_what_is_missing() -> None:
    plan = RolloutPlan(steps=(10, 100), bake_s=30)
    state = RunState(phase="baking", step=0, step_since=100)

    assert run_report.progress_line(plan, state, 110) == (
        "baking at 10 %: step 1 of 2, 20 s of the bake time are left · 0 of 0 user requests failed")


def test_a_pod_uses_the_token_of_its_service_account(tmp_path: Path) -> None:
    for file, text in (("token", "t0ken"), ("namespace", "models\n"), ("ca.crt", "")):
        (tmp_path / file).write_text(text)

    path = in_cluster.kubeconfig(tmp_path, {"KUBERNETES_SERVICE_HOST": "10.0.0.1", "KUBERNETES_SERVICE_PORT": "443"})

    assert path
    client = Client(Cluster(path, "", "models"))
    assert client.server == "10.0.0.1:443"
    assert client._api.configuration.auth_settings()["BearerToken"]["value"] == "Bearer t0ken"
    assert in_cluster.kubeconfig(tmp_path, {}) is None
    assert in_cluster.kubeconfig(tmp_path / "none", {"KUBERNETES_SERVICE_HOST": "10.0.0.1"}) is None


def test_the_file_with_the_token_goes_with_its_process(tmp_path: Path) -> None:
    (tmp_path / "token").touch()
    code = "import pathlib, sys; from kserve_nb.access import in_cluster\n" \
           "path = in_cluster.kubeconfig(pathlib.Path(sys.argv[1]), {'KUBERNETES_SERVICE_HOST': '10.0.0.1'})\n" \
           "print(path, path.exists())"

    done = subprocess.run([sys.executable, "-c", code, tmp_path], capture_output=True, text=True, check=True)

    path, existed = done.stdout.split()
    assert existed == "True" and not Path(path).parent.exists()
