"""The panel of a gated rollout: what it shows, which buttons have an effect, and why others do not."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from kserve_nb.gates.criteria.evidence import Evidence
from kserve_nb.gates.criteria.gate import GateResult
from kserve_nb.gates.execution.run_state import RunState
from kserve_nb.gates.plan import RolloutPlan
from kserve_nb.rollout.errors import NotPossibleError
from kserve_nb.widgets import RunnerPanel
from tests.widgets.page import buttons, press, text_of

PLAN = RolloutPlan(steps=(1, 10, 100), bake_s=0, minimum_exposure=0)
RESULTS = (GateResult("errors", "inconclusive", "no <error> yet", 3, 90, 0.25),
           GateResult("split", "fail", "30 % observed", 200, weight=1.4))
BAKING = RunState(step=1, results=RESULTS, evidence=Evidence(users=40, users_failed=2)).enter(
    "baking", "users get 10 %", 0.0)


class Rollout:
    """A fake GatedRollout, which records the commands and ends at once."""

    name, read_only = "sklearn-iris", ""

    def __init__(self) -> None:
        self.commands: list[str] = []

    def __getattr__(self, name: str) -> Any:
        return lambda: self.commands.append(name)

    async def follow(self, plan: RolloutPlan, *, on_change: Any) -> RunState:
        on_change(plan, BAKING)
        on_change(plan, BAKING.enter("promoted", "all users get the new revision", 1.0, step=2))
        return BAKING


@pytest.fixture
def panel() -> RunnerPanel:
    return RunnerPanel(Rollout(), PLAN)  # type: ignore[arg-type]


def test_before_the_start_it_shows_the_plan(panel: RunnerPanel) -> None:
    assert "steps: 1 % → 10 % → 100 %" in text_of(panel)
    assert not buttons(panel)["Start"].is_disabled and buttons(panel)["Pause"].is_disabled
    assert "no rollout is in progress" in buttons(panel)["Abort"].attributes["title"]


def test_it_shows_each_gate_with_its_evidence_and_the_users(panel: RunnerPanel) -> None:
    panel.state = BAKING

    shown = text_of(panel)
    assert "step 2 of 3: 1 % → 10 % → 100 %" in shown
    assert "no <error> yet (n = 3; about 90 requests needed)" in shown and "25 % of the limit" in shown
    assert "100 % of the limit" in shown and "30 % observed" in shown
    assert "2 of 40 user requests failed" in shown and "baking: users get 10 %" in shown
    assert "? errors" in panel.text and panel.json["phase"] == "baking"


def test_a_button_without_an_effect_gives_the_reason(panel: RunnerPanel) -> None:
    panel.state = BAKING

    assert not buttons(panel)["Pause"].is_disabled and not buttons(panel)["Roll back"].is_disabled
    assert "not while it is baking" in buttons(panel)["Resume"].attributes["title"]
    assert "in progress" in buttons(panel)["Start"].attributes["title"]


@pytest.mark.parametrize(("label", "command"), [
    ("Pause", "pause"), ("Skip this step", "skip"), ("Roll back", "roll_back"), ("Abort", "abort")])
def test_a_button_gives_the_command_of_its_name(panel: RunnerPanel, label: str, command: str) -> None:
    panel.state = BAKING

    press(panel, label)

    assert panel.rollout.commands == [command]  # type: ignore[attr-defined]


def test_a_command_that_fails_is_shown(panel: RunnerPanel, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails() -> None:
        raise NotPossibleError("no <rollout> is in progress")

    panel.state = BAKING
    monkeypatch.setattr(panel.rollout, "pause", fails, raising=False)
    press(panel, "Pause")

    assert "✖ no <rollout> is in progress" in text_of(panel)


def test_start_follows_the_plan_as_the_code_does(panel: RunnerPanel) -> None:
    async def start() -> None:
        press(panel, "Start")
        await asyncio.sleep(0)
        await asyncio.sleep(0)

    asyncio.run(start())
    assert panel.state and panel.state.phase == "promoted"
    panel.state = None
    asyncio.run(panel.follow())

    assert panel.state and panel.state.phase == "promoted"
    assert "promoted at 100 %" in panel.text and "✔ promoted" in text_of(panel)
    assert not buttons(panel)["Start"].is_disabled


def test_it_has_text_and_html_beside_the_widget(panel: RunnerPanel) -> None:
    panel.state = BAKING
    bundle = panel._repr_mimebundle_()

    assert bundle["text/plain"] == panel.text and "30 % observed" in bundle["text/html"]
