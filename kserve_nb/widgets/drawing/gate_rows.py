"""A gated rollout as HTML: its steps, each gate with its evidence, the users who were affected, and the log. Pure."""

from __future__ import annotations

import time

from kserve_nb.gates import run_report
from kserve_nb.gates.criteria.gate import GateResult
from kserve_nb.gates.execution import state_machine
from kserve_nb.gates.execution.run_state import RunState
from kserve_nb.gates.plan import RolloutPlan
from kserve_nb.widgets.drawing.markup import chip, note, safe, table

_LOOKS = {"promoted": "good", "rolled back": "bad", "rolling back": "bad", "superseded": "warn", "held": "warn",
          "paused": "warn"}  # fmt: skip
_GLYPHS = {"promoted": "✔", "rolled back": "✖", "rolling back": "✖", "superseded": "⚠", "held": "॥", "paused": "॥"}
_WORDS = {"pass": "good", "fail": "bad", "inconclusive": "warn"}
_LOG_LINES = 5


def html(name: str, plan: RolloutPlan, state: RunState | None, now: float) -> str:
    """The whole picture of a gated rollout; without a state, the plan before its start."""
    if state is None:
        return _head(name, chip("·", "not started")) + _steps(plan, -1) + note("·", "Press Start to follow the plan.")
    why = state.reason
    if state.phase == "baking":
        why = state_machine.lacking(plan, state, now) or "complete"
    look = chip(_GLYPHS.get(state.phase, "◌"), state.phase, _LOOKS.get(state.phase, ""))
    message = note("·", why, urgent=state.phase in ("rolling back", "rolled back"))
    return (_head(name, look) + _steps(plan, state.step) + f"<div class='knb-message'>{message}</div>"
            + _gates(state) + f"<div>{safe(run_report.users(state))}</div>" + _log(state))


def _head(name: str, state: str) -> str:
    return f"<div class='knb-head'><span class='knb-title'>{safe(name)}</span>{state}</div>"


def _steps(plan: RolloutPlan, present: int) -> str:
    shown = [f"<b aria-current='step'>{percent} %</b>" if number == present else f"{percent} %"
             for number, percent in enumerate(plan.steps)]
    where = f"step {present + 1} of {len(plan.steps)}: " if present >= 0 else "steps: "
    return f"<div>{where}{' → '.join(shown)}</div>"


def _gates(state: RunState) -> str:
    rows = "".join(_gate(result) for result in state.results)
    return table(("gate", "result", "evidence against the canary", "what is known"), rows, "Gates") if rows else ""


def _gate(result: GateResult) -> str:
    width = round(100 * min(result.weight, 1))
    bar = (f"<div class='knb-bar' role='img' aria-label='{width} % of the limit'>"
           f"<div style='width:{width}%;background:var(--knb-{'bad' if width >= 100 else 'warn'})'></div></div>")
    needed = f"; about {result.needed} requests needed" if result.needed is not None else ""
    summary = f"{result.summary} (n = {result.n}{needed})" if result.word == "inconclusive" else result.summary
    word = chip(result.sign, result.word, _WORDS[result.word])
    return (f"<tr><th scope='row'>{safe(result.gate)}</th><td>{word}</td><td>{bar}{width} % of the limit</td>"
            f"<td class='knb-wrap'>{safe(summary)}</td></tr>")


def _log(state: RunState) -> str:
    lines = "".join(f"<li>{time.strftime('%H:%M:%S', time.localtime(at))} {safe(line)}</li>"
                    for at, line in reversed(state.log[-_LOG_LINES:]))
    return f"<ol class='knb-journal' tabindex='0' aria-label='Log, the newest first'>{lines}</ol>"
