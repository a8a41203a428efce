"""The faults of the drill: each breaks a request or the cluster, has a rule of the doctor, and a scripted repair.

The tests of the doctor's rules use the same list.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from kserve_nb.observe.snapshot import Snapshot
from kserve_nb.tasks import states
from kserve_nb.tasks.task import SolutionStep, Start, Targets
from kserve_nb.values.manifest import BUCKET, MODEL, MODEL_2

PERCENT = 10  # each drill begins with a canary of this percent
_ROWS = "[[6.8, 2.8, 4.8, 1.4], [6.0, 3.4, 4.5, 1.6]]"
_JSON = "-H 'Content-Type: application/json'"
_BODY = f"""-d '{{"instances": {_ROWS}}}'"""
_PATH = "/v1/models/sklearn-iris:predict"

Break = Callable[[str, str], str]  # (correct command, host) → the command that the user sent


@dataclass(frozen=True)
class Fault:
    """One fault: what a user reports, how it is caused, the rule that names it, and a repair."""

    id: str
    report: str  # the user's complaint; it does not name the fault
    rule: str  # the rule of the doctor's first finding
    hint: str  # shown after two minutes
    break_command: Break | None = None  # for a fault in a request
    changes: Sequence[SolutionStep] = ()  # for a fault in the cluster: changes of a canary of 10 %
    repair: Sequence[SolutionStep] = ()

    @property
    def in_request(self) -> bool:
        """Whether the user's command is wrong, and not the cluster."""
        return self.break_command is not None

    def command(self, host: str, address: str) -> str:
        """The user's command; empty for a fault in the cluster."""
        return self.break_command(correct_command(host, address), host) if self.break_command else ""


def correct_command(host: str, address: str) -> str:
    """The command that works on a healthy cluster."""
    return f"curl -v -H 'Host: {host}' {_JSON} http://{address}{_PATH} {_BODY}"


def unrepaired(seen: Snapshot) -> str:
    """What is missing until the cluster has a healthy canary again, as before the fault; empty if it has."""
    why, status = states.unsettled(seen), seen.status
    if why or status is None:
        return why
    if status.model != MODEL_2:
        return f"the model is {status.model}"
    start = Start(seen, Targets(percent=PERCENT))
    return states.split(seen, start)


def _replaced(old: str, new: str) -> Break:
    return lambda command, _host: command.replace(old, new)


def _predictor(**values: Any) -> SolutionStep:
    return SolutionStep(patch={"spec": {"predictor": values}})


_HEALTHY = _predictor(canaryTrafficPercent=PERCENT, model={"storageUri": MODEL_2})
_404, _500 = "My request gets 404. It worked for a colleague.", "My request gets 500."
_CPU = {"requests": {"cpu": "500"}, "limits": {"cpu": "500"}}
_GPU = {"requests": {"nvidia.com/gpu": "1"}, "limits": {"nvidia.com/gpu": "1"}}
_LATE = "The new model does not arrive."
_OLD_PORT = ":18080"  # the port of a port-forward that has ended

FAULTS: tuple[Fault, ...] = (
    Fault("old-host", _404, "R05", "Compare the Host header with status.url.",
          lambda command, host: command.replace(
              host, re.sub(r"(-predictor)?\.", "-predictor-default.", host, count=1))),
    Fault("mistyped-host", _404, "R04", "Compare the Host header with status.url, letter by letter.",
          lambda command, host: command.replace(host, host.replace("iris", "irsi", 1))),
    Fault("no-host", _404, "R04", "Which part of a request does the gateway use to select a service?",
          lambda command, host: command.replace(f"-H 'Host: {host}' ", "")),
    Fault("inside-host", _404, "R06", "Is this name known outside the cluster?",
          lambda command, host: command.replace(host, "sklearn-iris-predictor.kserve-test.svc.cluster.local")),
    Fault("wrong-model", _404, "R04", "Does the 404 have a body? Who sent it?", _replaced("/sklearn-iris:", "/iris:")),
    Fault("no-verb", "My request gets an answer, but no prediction.", "R04", "What is the path of a prediction?",
          _replaced(":predict", "")),
    Fault("wrong-path", _404, "R04", "What is the path of a prediction?", _replaced("/models/", "/model/")),
    Fault("wrong-method", "My request gets 405.", "R14", "A prediction has a body. Which method sends one?",
          _replaced("curl -v", "curl -v -X GET")),
    Fault("no-content-type", _500, "R07", "What does curl declare the body as?", _replaced(f"{_JSON} ", "")),
    Fault("charset", _500, "R07", "Read the content type, letter by letter.",
          _replaced("application/json", "application/json; charset=utf-8")),
    Fault("no-body", "My request gets 400.", "R08", "What does the server predict for?", _replaced(f" {_BODY}", "")),
    Fault("few-numbers", _500, "R08", "How many numbers describe a flower?",
          _replaced("6.8, 2.8, 4.8, 1.4", "6.8, 2.8")),
    Fault("wrong-key", "My request gets 400.", "R08", "What is the key of the rows in the v1 protocol?",
          _replaced("instances", "rows")),
    Fault("https", "My request gets no answer at all.", "R09", "Which protocol does the gateway speak on this port?",
          _replaced("http://", "https://")),
    Fault("stale-port-forward", "My request gets no answer at all. It worked before lunch.", "R09",
          "Which address does the gateway have now? The lab shows it.",
          lambda command, _host: re.sub(r"(http://[^/:]+):\d+", rf"\1{_OLD_PORT}", command)),
    Fault("over-hundred", "I raised the percent, and nothing happens.", "C12", "Read the percent in the spec.",
          changes=[_predictor(canaryTrafficPercent=101)], repair=[_HEALTHY]),
    Fault("bad-uri", _LATE, "K13", "Read the log of the pod that does not start.",
          changes=[_predictor(model={"storageUri": f"{BUCKET}/model-3"})], repair=[_HEALTHY]),
    Fault("too-much-cpu", _LATE, "K04", "Why is the pod Pending?",
          changes=[_predictor(model={"storageUri": MODEL, "resources": _CPU})],
          repair=[_predictor(canaryTrafficPercent=PERCENT, model={"storageUri": MODEL_2, "resources": None})]),
    Fault("no-pod", _LATE, "P02", "Compare what the pod requests with what a node has.",
          changes=[_predictor(model={"storageUri": MODEL, "resources": _GPU})],
          repair=[_predictor(canaryTrafficPercent=PERCENT, model={"storageUri": MODEL_2, "resources": None})]),
    Fault("crash", _LATE, "P05", "The pod restarts. Read the log of its last run.",
          changes=[_predictor(model={"args": ["--workers=two"]})],
          repair=[_predictor(canaryTrafficPercent=PERCENT, model={"storageUri": MODEL_2, "args": None})]),
    Fault("unpin-order", "We rolled back with 0. Then I applied the repaired model with 10 %. Users get wrong answers "
          "again.", "K13", "Which revision gets a percent while the newest one is not ready?",
          changes=[_predictor(canaryTrafficPercent=0),
                   _predictor(canaryTrafficPercent=PERCENT, model={"storageUri": f"{BUCKET}/model-2-repaired"})],
          repair=[_predictor(canaryTrafficPercent=0, model={"storageUri": MODEL_2}), _HEALTHY]),
)  # fmt: skip


def fault_of(seed: int) -> Fault:
    """The fault of a seed: seeds from 0 on go through all of them."""
    return FAULTS[seed % len(FAULTS)]
