"""`kserve-nb rollout`: follow a plan with gates, in a terminal, a CI job or a Kubernetes Job."""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path

import click

from kserve_nb.cli.command_group import CommandFailure
from kserve_nb.cli.common_options import INGRESS, KUBECONFIG, NAME, NAMESPACE, connected, echo, notify
from kserve_nb.gates import plan_file, run_report
from kserve_nb.gates.execution.run_state import EXIT_CODES, RunState
from kserve_nb.gates.gated_rollout import GatedRollout
from kserve_nb.gates.plan import PlanError, RolloutPlan
from kserve_nb.values.text.foreign_text import safe
from kserve_nb.values.text.readable_error import ReadableError


@click.command()
@NAME
@KUBECONFIG
@INGRESS
@NAMESPACE
@click.option("--plan", "plan_path", type=click.Path(path_type=Path, dir_okay=False), help="The plan, a YAML file.")
@click.option("--dry-run", is_flag=True, help="Read the plan and the cluster, print what would happen, and end.")
@click.option("--report", type=click.Path(path_type=Path, dir_okay=False), help="Write a report to this HTML file.")
@click.option("--junit", type=click.Path(path_type=Path, dir_okay=False), help="Write JUnit XML to this file.")
@click.option("--pause", "command", flag_value="pause", help="Keep the runner at the present step.")
@click.option("--resume", "command", flag_value="resume", help="Resume a paused runner.")
@click.option("--skip", "command", flag_value="skip", help="Make the runner go to the next step.")
@click.option("--abort", "command", flag_value="abort", help="End the runner, and leave traffic unchanged.")
@click.option("--rollback", "command", flag_value="rollback", help="Make the runner roll back.")
@click.option("--show", "command", flag_value="show", help="Print the state of the last rollout.")
@click.argument("inference_service")
def rollout(name: str, kubeconfig: Path | None, ingress: str | None, namespace: str | None,
            plan_path: Path | None, dry_run: bool, report: Path | None, junit: Path | None, command: str | None,
            inference_service: str) -> None:
    """Move users of INFERENCE_SERVICE to a canary step by step, as a plan and its gates allow.

    \b
    Exit codes: 0 promoted, 3 rolled back, 4 held (inconclusive at the end of the
    time), 5 superseded (somebody else changed the InferenceService), 6 aborted,
    1 another error, 2 a wrong option.
    """
    if (plan_path is None) == (command is None):
        raise click.UsageError(
            "Pass either --plan FILE, or one of --pause, --resume, --skip, --abort, --rollback, --show.")
    _check_writable(report, junit)
    try:
        plan = plan_file.read_plan_file(plan_path) if plan_path else RolloutPlan()
        gated = connected(name, kubeconfig, ingress, namespace, inference_service)
        if command:
            _command(gated, command)
            return
        if dry_run:
            echo(_dry_run(gated, plan))
            return
        state = asyncio.run(gated.follow(plan, on_change=_printer()))
    except PlanError as error:
        raise click.UsageError(str(error)) from None
    except (ReadableError, asyncio.CancelledError) as error:
        raise CommandFailure(str(error)) from None
    _end(inference_service, plan, state, report, junit)


def _check_writable(*reports: Path | None) -> None:
    """Raise UsageError now, and not at the end of the rollout, if a report cannot be written."""
    for path in filter(None, reports):
        if not os.access(path if path.exists() else path.parent, os.W_OK):
            raise click.UsageError(f"Cannot write the report {path}: its folder does not exist, or you may not write "
                                   "there. Name another file.")


def _end(name: str, plan: RolloutPlan, state: RunState, report: Path | None, junit: Path | None) -> None:
    """Write the reports, print the result, and exit with its code."""
    for path, content in ((report, run_report.html), (junit, run_report.junit)):
        if path:
            try:
                path.write_text(content(name, plan, state), encoding="utf-8")
            except OSError as error:
                notify(f"Cannot write the report {path}: {error.strerror}. The result of the rollout stays as it is.")
    echo(repr(state))
    sys.exit(EXIT_CODES.get(state.phase, 1))


def _command(gated: GatedRollout, command: str) -> None:
    if command == "show":
        state = gated.run_state()
        echo(repr(state) if state else f"{gated.name}: no plan has been followed yet.")
        return
    {"pause": gated.pause, "resume": gated.resume, "skip": gated.skip, "abort": gated.abort,
     "rollback": gated.roll_back}[command]()
    echo(f"{gated.name}: the runner acts on {command!r} within a few seconds. See: --show")


def _dry_run(gated: GatedRollout, plan: RolloutPlan) -> str:
    """What following the plan would do. Reads the InferenceService and writes nothing."""
    status = gated.status()
    lines = [f"{gated.name}: users get {status.canary_percent or 0} % of the latest revision now."]
    if plan.model:
        lines.append(f"The canary is a new revision with the model {plan.model}.")
    elif status.canary_percent is None:
        lines.append("There is no canary, and the plan names no model. Add it to the plan: model: gs://…")
    needed = f"at least {plan.bake_s:g} s, {plan.minimum_exposure} requests to the canary, and every gate passes"
    lines += [f"{percent} %: {needed}" for percent in plan.steps[:-1]]
    lines.append("100 %: promote")
    if plan.probe is None:
        lines.append("The plan has no probe, so the runner sends no requests and observes none.")
    lines.append("Gates: " + ", ".join(f"{gate.name} (failure: {gate.on_failure})" for gate in plan.gates))
    return "\n".join(lines)


def _printer() -> Callable[[RolloutPlan, RunState], None]:
    """Prints progress: one line that is rewritten on a terminal, and in a log a line per change of phase."""
    shown: list[object] = [None]
    is_terminal = sys.stderr.isatty()

    def show(plan: RolloutPlan, state: RunState) -> None:
        line = run_report.progress_line(plan, state, time.time())
        last = state.log[-1] if state.log else None
        if is_terminal:
            click.echo(f"\r\x1b[2K{safe(line)[:shutil.get_terminal_size().columns - 1]}", err=True, nl=False)
        if last != shown[0]:
            shown[0] = last
            click.echo("\r\x1b[2K" if is_terminal else "", err=True, nl=False)
            echo(f"{time.strftime('%H:%M:%S')} {state.log[-1][1]} · {run_report.users(state)}", err=True)

    return show
