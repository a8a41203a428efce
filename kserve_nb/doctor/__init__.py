"""The doctor: look once at a cluster and a session, name the first broken hop, and say what to do. Changes nothing."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import requests

from kserve_nb.access.ingress import Ingress
from kserve_nb.doctor import (
    cluster_rules,
    curl_rules,
    error_rules,
    model_rules,
    request_rules,
    rollout_rules,
    session_rules,
)
from kserve_nb.doctor.facts import Facts
from kserve_nb.doctor.finding import TITLES, Finding, Report, in_order
from kserve_nb.doctor.look import look, send
from kserve_nb.doctor.session import Session
from kserve_nb.doctor.session import look as look_at_session
from kserve_nb.rollout.sampling import Tally
from kserve_nb.values.cluster import Cluster

__all__ = ["TITLES", "Facts", "Finding", "Report", "Session", "diagnose", "examine"]

_RULES = (
    *cluster_rules.RULES, *model_rules.RULES, *request_rules.RULES, *rollout_rules.RULES, *session_rules.RULES,
)  # fmt: skip


def diagnose(facts: Facts) -> tuple[Finding, ...]:
    """What the rules find in these facts, the first broken hop first."""
    if facts.unreachable:  # nothing else is known
        rules = (*cluster_rules.RULES, *session_rules.RULES)
        return in_order(finding for rule in rules for finding in rule(facts))
    return in_order(finding for rule in _RULES for finding in rule(facts))


def examine(
    cluster: Cluster,
    *,
    curl: str | None = None,
    error: str | None = None,
    tally: Tally | None = None,
    variables: Mapping[str, Any] | None = None,
    folder: Path | None = None,
) -> Report:
    """Look at a cluster and the session, and report what is wrong.

    Args:
        curl: a command to explain; what it will meet comes first.
        error: a message to explain; what it means comes first.
        tally: a sample of requests to explain.
        variables: what $NAME in the command stands for, before the environment.
        folder: where notebooks and `-d @file` are; the current folder by default.

    Raises:
        CommandError: `curl` is no command that can be read.
    """
    began = time.monotonic()
    folder = folder or Path.cwd()
    session = look_at_session(folder=folder)
    facts = replace(look(cluster, session), tally=tally)
    pasted: list[Finding] = []
    if curl:
        pasted += _explain_curl(curl, facts, variables or {}, folder)
    if error:
        pasted += error_rules.explain(error)
    found = diagnose(facts)
    if pasted:
        known = {finding.id for finding in pasted}
        found = (*pasted, *(f for f in found if f.severity == "blocker" and f.id not in known))
    about = ["the command gets its answer"] if curl else []
    about += ["the message is not known here"] if error else []
    return Report(found, "; ".join([facts.looked, *about]), time.monotonic() - began)


def _explain_curl(line: str, facts: Facts, variables: Mapping[str, Any], folder: Path) -> list[Finding]:
    """What is wrong with the command, and what is answered to it. An answer of 200 is right, whatever it looks like."""
    host, _, port = facts.ingress.rpartition(":")
    named = {"INGRESS_HOST": host, "INGRESS_PORT": port, "MODEL_NAME": facts.services[0].name if facts.services else ""}
    named["SERVICE_HOSTNAME"] = facts.hosts[0] if facts.hosts else ""
    environ = facts.session.environ if facts.session else {}
    command = curl_rules.read(line, {**named, **environ, **variables}, folder)
    found = list(curl_rules.explain(command, facts))
    if not curl_rules.may_be_sent(command, facts):
        return found
    probe = send(Ingress(command.address), command.method, command.host, command.path, command.headers, command.body)
    if probe.answer is None:
        return [curl_rules.unanswered(command, facts, probe.error), *found]
    answer = probe.answer
    if answer.status == requests.codes.ok:
        return [finding for finding in found if finding.severity == "note"]
    if found:
        return found
    text = f"HTTP/1.1 {answer.status} \nserver: {answer.headers.get('server', '')}\n\n{answer.text}"
    return list(error_rules.explain(text, command.line)) or [curl_rules.refused(command, answer.status, answer.text)]
