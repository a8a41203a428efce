"""The result of a gated rollout for people and for CI: a line, an HTML page, and JUnit XML. Pure."""

from __future__ import annotations

from datetime import UTC, datetime
from xml.etree import ElementTree as ET

from kserve_nb.gates import plan_file
from kserve_nb.gates.execution import state_machine
from kserve_nb.gates.execution.run_state import RunState
from kserve_nb.gates.plan import RolloutPlan
from kserve_nb.values.text.foreign_text import safe_html

_STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}"
    "table{border-collapse:collapse}td,th{border-bottom:1px solid #8884;padding:.3rem .8rem;text-align:left}"
    "pre{background:#8881;padding:1rem;overflow:auto}"
)
_GOOD = ("promoted",)


def progress_line(plan: RolloutPlan, state: RunState, now: float) -> str:
    """One line about where a rollout is and what it waits for.

    >>> progress_line(RolloutPlan(), RunState(phase="promoted", step=5, reason="all users get it"), 0)
    'promoted at 100 %: all users get it · 0 of 0 user requests failed'
    """
    where = f"{state.phase} at {state.percent(plan)} %" if state.step >= 0 else state.phase
    why = state.reason
    if state.phase == "baking":
        why = f"step {state.step + 1} of {len(plan.steps)}, {state_machine.lacking(plan, state, now) or 'complete'}"
    return f"{where}: {why} · {users(state)}"


def users(state: RunState) -> str:
    """How many of the user requests that the runner sent have failed."""
    return f"{state.affected} of {state.evidence.users} user requests failed"


def html(name: str, plan: RolloutPlan, state: RunState) -> str:
    """The page: result, gates, log and plan."""
    gates = "".join(
        f"<tr><td>{result.sign} {result.word}</td><td>{safe_html(result.gate)}</td><td>{safe_html(result.summary)}</td>"
        f"<td>{result.n}</td><td>{'' if result.needed is None else result.needed}</td></tr>"
        for result in state.results)
    log = "".join(f"<tr><td>{_time(at)}</td><td>{safe_html(line)}</td></tr>" for at, line in state.log)
    title = f"{name}: {state.phase}"
    return (
        f"<!DOCTYPE html><html lang='en'><head><meta charset='utf-8'><title>{safe_html(title)}</title>"
        f"<style>{_STYLE}</style></head><body><h1>{safe_html(title)}</h1><p>{safe_html(state.reason)}</p>"
        f"<p>{safe_html(users(state))}. {_sides(state)}</p>"
        "<h2>Gates</h2><table><tr><th>result</th><th>gate</th><th>evidence</th><th>n</th><th>needed</th></tr>"
        f"{gates}</table><h2>Log</h2><table>{log}</table>"
        f"<h2>Plan</h2><pre>{safe_html(plan_file.to_yaml(plan))}</pre></body></html>"
    )


def junit(name: str, plan: RolloutPlan, state: RunState) -> str:
    """JUnit XML: a test case for the rollout, and one for each gate."""
    bad = state.phase not in _GOOD
    failures = int(bad) + sum(result.word == "fail" for result in state.results)
    suite = ET.Element("testsuite", name=f"rollout {name}", tests=str(1 + len(state.results)), failures=str(failures))
    case = ET.SubElement(suite, "testcase", classname=name, name="rollout")
    if bad:
        ET.SubElement(case, "failure", message=f"{state.phase}: {state.reason}").text = "\n".join(
            f"{_time(at)} {line}" for at, line in state.log)
    for result in state.results:
        case = ET.SubElement(suite, "testcase", classname=name, name=f"gate {result.gate}")
        if result.word == "fail":
            ET.SubElement(case, "failure", message=result.summary)
        elif result.word == "inconclusive":
            ET.SubElement(case, "skipped", message=str(result))
    ET.indent(suite)
    return ET.tostring(suite, encoding="unicode", xml_declaration=True) + "\n"


def _sides(state: RunState) -> str:
    evidence = state.evidence
    return (f"In all, {evidence.canary_failed} of {evidence.canary} requests failed on the canary, and "
            f"{evidence.previous_failed} of {evidence.previous} on the previous revision.")


def _time(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
