"""Examine a cluster and explain what a person pastes: read the facts, run the rules, and report. Changes nothing."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import requests

from kserve_nb.access.ingress import Ingress
from kserve_nb.doctor.commands import curl_rules
from kserve_nb.doctor.commands.curl_command import CurlCommand
from kserve_nb.doctor.fact_collector import collect, namespaces_with_services, send
from kserve_nb.doctor.facts import Facts, ServiceFacts
from kserve_nb.doctor.finding import Finding, one_line, shortened
from kserve_nb.doctor.messages.message_table import Names, explain
from kserve_nb.doctor.report import Report, in_order
from kserve_nb.doctor.rules import CHECKS
from kserve_nb.doctor.session import inspect_session
from kserve_nb.rollout.sampling import Tally
from kserve_nb.values.cluster import Cluster

# Notes that say what users experience while something is wrong. All other notes are left out then.
_RELATED_NOTES = {"C02", "C03", "C04", "C05", "C08", "C19", "C20", "K01", "R01", "R10", "R12"}
_CLUSTER_HOPS = ("command", "cluster", "node", "KServe", "gateway", "notebook")  # hops of no single namespace
_QUOTED = 120  # characters of an unknown message


@dataclass(frozen=True)
class Question:
    """What to examine and to explain.

    Args:
        curl: a command to explain; its faults come first.
        error: a message to explain; its meaning comes first.
        tally: a sample of requests to explain.
        namespace: the namespace to examine; by default the cluster's own, and others are reported as not examined.
        all_namespaces: examine every namespace that has InferenceServices.
        variables: values of $NAME in the command; they go before the environment.
        folder: the folder of the notebooks and of `-d @file`; the current folder by default.
        notebook: print commands as cells.
    """

    curl: str | None = None
    error: str | None = None
    tally: Tally | None = None
    namespace: str | None = None
    all_namespaces: bool = False
    variables: Mapping[str, Any] = field(default_factory=dict)
    folder: Path = field(default_factory=Path.cwd)
    notebook: bool = False


def diagnose(facts: Facts) -> tuple[Finding, ...]:
    """What the rules find in these facts, the first broken hop first."""
    checks = [check for check in CHECKS if check.offline or not facts.unreachable]
    return _relevant(in_order(finding for check in checks for finding in check.find(facts)))


def examine(cluster: Cluster, **question: Any) -> Report:
    """Examine a cluster and the session, and report what is wrong; `question` has the fields of Question.

    Raises:
        CommandError: `curl` cannot be read as a command.
    """
    began = time.monotonic()
    asked = Question(**question)
    every = _facts(cluster, asked)
    first = every[0]
    command = None if asked.curl is None else CurlCommand.read(asked.curl, _variables(first, asked), asked.folder)
    unsent = curl_rules.not_sent(command, first) if command else ""
    pasted = list(_explain_curl(command, first)) if command else []
    known = list(explain(asked.error, names=names_for(asked.error, every))) if asked.error else []
    unknown = _unknown(asked.error) if asked.error is not None and not known else ""
    found = () if unknown and not pasted else _combined([*pasted, *known], every)
    about = ["the command gets its answer"] if command and not unsent else []
    left = _not_examined(cluster, asked, every)
    if unsent and not pasted:
        left = f"the answer to the command, which was not sent: {unsent}"
    return Report(found, "; ".join([_examined(every), *about]), time.monotonic() - began, unknown, left, asked.notebook)


def names_for(text: str, every: Sequence[Facts]) -> Names:
    """The names for the commands about a message: of the InferenceService that it mentions, else of a failing one."""
    pairs = [(facts, service) for facts in every for service in facts.services]
    found = next((pair for pair in pairs if _mentions(text, pair[1])), None)
    found = found or next((pair for pair in pairs if pair[1].failures), None) or next(iter(pairs), None)
    if found is None:
        return Names(every[0].namespace, ingress=every[0].ingress)
    facts, service = found
    return Names(facts.namespace, service.name, host=next(iter(service.hosts), ""), ingress=facts.ingress)


def _facts(cluster: Cluster, asked: Question) -> list[Facts]:
    """The facts of each namespace to examine."""
    session = inspect_session(folder=asked.folder)
    names = [asked.namespace or cluster.namespace]
    if asked.all_namespaces:
        names = list(namespaces_with_services(cluster)) or names
    every = [collect(replace(cluster, namespace=name), session) for name in names]
    return [replace(every[0], tally=asked.tally), *every[1:]]


def _combined(pasted: list[Finding], every: Sequence[Facts]) -> tuple[Finding, ...]:
    """The findings about the pasted text, then the cluster's own findings that block it and are not repetitions."""
    if not pasted:
        return _of_all(every)
    known = {finding.id for finding in pasted}
    others = (finding for finding in _of_all(every) if finding.severity == "blocker" and finding.id not in known)
    return (*pasted, *others)


def _of_all(every: Sequence[Facts]) -> tuple[Finding, ...]:
    """The findings of all namespaces; findings about the cluster appear once."""
    if len(every) == 1:
        return diagnose(every[0])
    found = [replace(finding, where=_placed(finding, facts)) for facts in every for finding in diagnose(facts)]
    return _relevant(in_order(dict.fromkeys(found)))


def _placed(finding: Finding, facts: Facts) -> str:
    return finding.where if finding.hop in _CLUSTER_HOPS else f"{finding.where} in namespace {facts.namespace}"


def _relevant(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """The findings without notes that have nothing to do with the faults."""
    found = tuple(findings)
    if all(finding.severity == "note" for finding in found):
        return found
    return tuple(finding for finding in found if finding.severity != "note" or finding.hop == "notebook"
                 or finding.id in _RELATED_NOTES)  # fmt: skip


def _examined(every: Sequence[Facts]) -> str:
    if len(every) == 1:
        return every[0].examined
    return "; ".join([f"cluster, KServe, gateway, {len(every)} namespaces", *(
        f"{facts.namespace}: {', '.join(service.name for service in facts.services)}" for facts in every)])


def _not_examined(cluster: Cluster, asked: Question, every: Sequence[Facts]) -> str:
    """The namespaces that have InferenceServices and were left out; empty when the question names its namespaces."""
    if asked.namespace or asked.all_namespaces or every[0].unreachable or asked.curl or asked.error:
        return ""
    others = {name: count for name, count in namespaces_with_services(cluster).items() if name != cluster.namespace}
    if not others:
        return ""
    listed = ", ".join(f"{name} ({count} InferenceService{'s' if count > 1 else ''})" for name, count in others.items())
    how = "lab.doctor(all_namespaces=True)" if asked.notebook else "kserve-nb doctor --all-namespaces"
    return f"namespaces {listed}; to examine them: {how}"


def _unknown(text: str) -> str:
    if not text.strip():
        return "there is no message to explain: the text is empty. Paste the message between the quotes"
    quoted = shortened(one_line(text))[:_QUOTED]
    return (f'the doctor does not know this message: "{quoted}". To examine the cluster itself, run it without the '
            "message; KServe's issues may have it: https://github.com/kserve/kserve/issues")  # fmt: skip


def _mentions(text: str, service: ServiceFacts) -> bool:
    names = [service.name, *(str(revision["metadata"]["name"]) for revision in service.revisions)]
    return any(name in text for name in names)


def _explain_curl(command: CurlCommand, facts: Facts) -> Iterator[Finding]:
    """What is wrong with a command, and what the answer to it means. A command that gets 200 has no fault."""
    found = curl_rules.explain(command, facts)
    if curl_rules.not_sent(command, facts) or command.curly:
        yield from found
        return
    probe = send(Ingress(command.address), command.method, command.host, command.path, command.headers, command.body)
    answer = probe.answer
    if answer is None:
        yield curl_rules.unanswered(command, facts, probe.error)
        yield from found
    elif answer.status == requests.codes.ok:
        yield from (finding for finding in found if finding.severity == "note")
    elif found and found[0].severity == "blocker":
        yield from found
    else:
        text = f"HTTP/1.1 {answer.status} \nserver: {answer.headers.get('server', '')}\n\n{answer.text}"
        known = explain(text, names=names_for(command.line, [facts]), where="the answer to the command")
        yield from known or [curl_rules.refused(command, facts, answer.status, answer.text)]
        yield from found


def _variables(facts: Facts, asked: Question) -> dict[str, str]:
    """Values of the tutorial's variables, the environment's and the notebook's; a later one replaces an earlier one."""
    host, _, port = facts.ingress.rpartition(":")
    model = facts.services[0].name if facts.services else ""
    named = {"INGRESS_HOST": host, "INGRESS_PORT": port, "MODEL_NAME": model,
             "SERVICE_HOSTNAME": facts.hosts[0] if facts.hosts else ""}  # fmt: skip
    environ = facts.session.environ if facts.session else {}
    return {**named, **environ, **{name: str(value) for name, value in asked.variables.items()}}
