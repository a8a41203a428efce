"""A task: a state of one InferenceService to reach by any means, the hints on the way, and a solution."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from kserve_nb.access.api_client import INFERENCE_SERVICE
from kserve_nb.observe.snapshot import Snapshot
from kserve_nb.rollout.rollout import Rollout
from kserve_nb.values import manifest
from kserve_nb.values.manifest import MODEL, MODEL_2, Document

SERVICES = ("iris-two", "petals", "flowers", "botanist", "garden")  # names that a task can draw
TUTORIAL_SERVICE = "sklearn-iris"


@dataclass(frozen=True)
class Targets:
    """The values of one attempt at a task: they differ from attempt to attempt, and stay the same within one."""

    number: int = 0  # one of the task's numbers
    service: str = TUTORIAL_SERVICE
    model: str = MODEL_2
    percent: int = 0  # what LATEST should receive

    @property
    def rest(self) -> int:
        """The percent that is left for PREV."""
        return 100 - self.percent


@dataclass(frozen=True)
class Start:
    """The state of the cluster when an attempt at a task began."""

    snapshot: Snapshot
    targets: Targets

    @property
    def newest(self) -> str:
        """The newest revision at the start; empty if there was none."""
        return self.snapshot.status.latest_created if self.snapshot.status else ""


@dataclass(frozen=True)
class SolutionStep:
    """One change of a solution: a document that is applied, or a merge patch."""

    document: Document = field(default_factory=dict)
    patch: Mapping[str, Any] = field(default_factory=dict)

    def command(self, service: str, namespace: str) -> str:
        """The change as a command for a terminal."""
        from kserve_nb.doctor.remedy import merge_patch  # all rules of the doctor are slow to import

        if not self.document:
            return merge_patch("isvc", service, namespace, self.patch)
        return f"kubectl apply -n {namespace} -f - <<'EOF'\n{manifest.to_yaml(self.document)}EOF"


Goal = Callable[[Snapshot, Start], str]  # returns what is missing; empty once the state is reached
Mistake = Callable[[Snapshot, Start], str]  # returns a sentence if the state shows this mistake; else empty


@dataclass(frozen=True)
class CourseTask:
    """A state to reach by any means, and everything that helps on the way. Which command was run does not matter.

    The state has to be reached after the task began: a state that was there before completes nothing.
    """

    id: str
    notebook: str  # 03_canary
    title: str
    statement: str  # with {percent}, {rest}, {number}, {service}, {model}
    goal: Goal
    mistakes: Sequence[Mistake]
    nudge: str  # the first hint for a mistake that is not listed
    patch: Callable[[Targets], Mapping[str, Any]]  # the fields that the state needs, as a merge patch
    solution: Callable[[Targets], Sequence[SolutionStep]]
    numbers: Sequence[int] = (0,)  # an attempt draws one; the first is the default
    percent: Callable[[int], int] = int  # the percent that a number leads to
    service: str = TUTORIAL_SERVICE
    model: str = MODEL_2  # the model that the solution deploys
    draws_service: bool = False  # works on a new service, with a drawn name and model
    spoiled: Mistake | None = None  # a state on the way that no user may meet; the attempt does not count then
    minutes: int = 3

    def targets(self, seed: str = "") -> Targets:
        """The values of the attempt with this seed; without a seed, the defaults."""
        draw = random.Random(f"{seed} {self.id}") if seed else None
        number = draw.choice(list(self.numbers)) if draw else self.numbers[0]
        percent = self.percent(number)
        if not self.draws_service:
            return Targets(number, self.service, self.model, percent)
        service = draw.choice(SERVICES) if draw else SERVICES[0]
        model = draw.choice((MODEL, MODEL_2)) if draw else MODEL_2
        return Targets(number, service, model, percent)

    def text(self, targets: Targets) -> str:
        """The statement with the values of an attempt."""
        return self.statement.format(
            percent=targets.percent, rest=targets.rest, number=targets.number, service=targets.service,
            model=targets.model)  # fmt: skip

    def commands(self, targets: Targets, namespace: str) -> str:
        """The solution as commands for a terminal."""
        steps = [step.command(targets.service, namespace) for step in self.solution(targets)]
        wait = f"kubectl wait isvc/{targets.service} -n {namespace} --for=condition=Ready --timeout=180s"
        return f"\n{wait}\n".join(steps)


async def solve(rollout: Rollout, steps: Sequence[SolutionStep], timeout_s: float = 180) -> None:
    """Make the changes of a solution, and wait for the traffic after each."""
    for step in steps:
        if step.document:
            rollout.apply(step.document)
        else:
            rollout.client.patch(INFERENCE_SERVICE, rollout.name, json.loads(json.dumps(step.patch)))
        await rollout.wait(timeout_s)
