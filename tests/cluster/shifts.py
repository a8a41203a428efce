"""The events that can happen to a model while users send requests, and their effect on the users."""

from __future__ import annotations

import asyncio
import json
import signal
import statistics
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from itertools import pairwise

import psutil

from kserve_nb.clusters import state
from kserve_nb.lab import Lab
from kserve_nb.rollout.discriminating_input import DiscriminatingInput, find_discriminating_input
from kserve_nb.rollout.errors import NotReadyError
from kserve_nb.rollout.rollout import Rollout
from kserve_nb.values import manifest
from kserve_nb.values.manifest import MODEL, MODEL_2
from tests.cluster.feed import Feed
from tests.cluster.load import RATE, Endpoint, Load, Shot

BROKEN = f"{MODEL}-that-is-not-there"
SETTLES_S = 120.0


@dataclass(frozen=True)
class Stage:
    """A model that receives requests all the time, and one that is scaled to zero."""

    rollout: Rollout
    asleep: Rollout
    load: Load
    feeds: dict[str, Feed]  # by name of the InferenceService
    probe: DiscriminatingInput
    kubeconfig: str
    kills: list[float] = field(default_factory=list)  # when a shift has killed a process

    def settle(self) -> None:
        """Wait until the traffic is as requested."""
        asyncio.run(self.rollout.wait(SETTLES_S))


@dataclass(frozen=True)
class Shift:
    """One event, and its part of the 10,000 requests of a test."""

    name: str
    part: int
    act: Callable[[Stage], object]
    settle: Callable[[Stage], None] = Stage.settle


@dataclass(frozen=True)
class Noticed:
    """The effect of a shift on the users."""

    shift: str
    shots: list[Shot]
    failures: list[str]  # with their times: lost requests, and answers of a revision that had no traffic then
    answers: Counter[str]  # by model

    @property
    def took_s(self) -> list[float]:
        """The duration of each request, in ascending order."""
        return sorted(shot.ended - shot.sent for shot in self.shots)

    @property
    def p50_s(self) -> float:
        return statistics.median(self.took_s)

    @property
    def p99_s(self) -> float:
        return self.took_s[int(len(self.shots) * 0.99)]

    @property
    def longest_gap_s(self) -> float:
        """The longest time without a correct response."""
        ends = sorted(shot.ended for shot in self.shots if not shot.trouble)
        return max((later - earlier for earlier, later in pairwise(ends)), default=float("inf"))


def _broken(stage: Stage) -> None:
    """No pod of the canary becomes ready; `wait` reports it early."""
    try:
        asyncio.run(stage.rollout.wait(10))
    except NotReadyError:
        return
    raise AssertionError(f"{BROKEN} was rolled out")


def _kill_while_it_rolls_out(stage: Stage) -> None:
    stage.rollout.canary(MODEL_2, percent=30)
    for process in _reconcilers(stage.kubeconfig):
        stage.kills.append(time.monotonic())
        process.send_signal(signal.SIGKILL)


def _reconcilers(kubeconfig: str) -> list[psutil.Process]:
    """The process with the controllers, if the cluster runs on this machine."""
    records = [record for record in map(state.read, state.names()) if record and record.kubeconfig == kubeconfig]
    return [process for record in records if record.pid for process in psutil.Process(record.pid).children()
            if any(word.endswith("embedded.server") for word in process.cmdline())]


def _ask_who_sleeps(stage: Stage) -> None:
    deadline = time.monotonic() + SETTLES_S
    while pods := stage.asleep.pods():
        assert time.monotonic() < deadline, f"nobody sends requests to {stage.asleep.name}, and it still has {pods}"
        time.sleep(0.1)
    stage.load.endpoint = _endpoint(stage.asleep)


def _awake(stage: Stage) -> None:
    asyncio.run(stage.asleep.wait_pods(SETTLES_S))


SHIFTS = (
    Shift("first model", 400, lambda stage: None),
    Shift("canary 10 %", 1000, lambda stage: stage.rollout.canary(MODEL_2, percent=10)),
    Shift("percent 50", 700, lambda stage: stage.rollout.canary(percent=50)),
    Shift("percent 90", 700, lambda stage: stage.rollout.canary(percent=90)),
    Shift("promote", 1000, lambda stage: stage.rollout.promote()),
    Shift("pin", 700, lambda stage: stage.rollout.pin()),
    Shift("pin released", 700, lambda stage: stage.rollout.canary(percent=20)),
    Shift("promote again", 600, lambda stage: stage.rollout.promote()),
    Shift("broken canary", 800, lambda stage: stage.rollout.canary(BROKEN, percent=20), _broken),
    Shift("its repair", 700, lambda stage: stage.rollout.canary(MODEL, percent=20)),
    Shift("tags on", 700, lambda stage: stage.rollout.tag()),
    Shift("tags off", 700, lambda stage: stage.rollout.tag(False)),
    Shift("killed reconciler", 800, _kill_while_it_rolls_out),
    Shift("scale from zero", 500, _ask_who_sleeps, _awake),
)


@contextmanager
def stage(lab: Lab, kubeconfig: str) -> Iterator[Stage]:
    """Two ready InferenceServices, an input on which their models disagree, and a load on the first one."""
    rollout, asleep = lab.rollout("asked"), lab.rollout("asleep")
    rollout.apply(_document(rollout.name, 1))
    probe = _put_to_sleep(asleep)
    asyncio.run(rollout.wait(SETTLES_S))
    with ExitStack() as stack:
        feeds = {each.name: stack.enter_context(Feed(each)) for each in (rollout, asleep)}
        load = stack.enter_context(Load(lab.ingress.address, probe.rows, _endpoint(rollout)))
        yield Stage(rollout, asleep, load, feeds, probe, kubeconfig)


def _put_to_sleep(asleep: Rollout) -> DiscriminatingInput:
    """Roll model-2 out on the InferenceService without load, and find an input on which the two models differ."""
    asleep.apply(_document(asleep.name, 0))
    asyncio.run(asleep.wait(SETTLES_S))
    asleep.canary(MODEL_2, percent=50)
    status = asyncio.run(asleep.wait(SETTLES_S))
    probe = find_discriminating_input(asleep, status)
    asleep.promote()
    asyncio.run(asleep.wait(SETTLES_S))
    return probe


def _document(name: str, least: int) -> dict[str, object]:
    """At most one pod per revision: on a busy machine the autoscaler would add pods, and slow it further."""
    document = manifest.inference_service(name, MODEL)
    document["spec"]["predictor"] |= {"minReplicas": least, "maxReplicas": 1}
    return document


def _endpoint(rollout: Rollout) -> Endpoint:
    return Endpoint(rollout.host(), rollout.name)


def play(stage: Stage, least: Callable[[Shift], int]) -> list[float]:
    """Play all shifts with at least so many requests each. Returns when each shift began, and the end."""
    moments = []
    for shift in SHIFTS:
        moments.append(time.monotonic())
        count = stage.load.sent + least(shift)
        shift.act(stage)
        shift.settle(stage)
        stage.load.wait_for(count, timeout_s=SETTLES_S + 10 * least(shift) / RATE)
    return [*moments, time.monotonic()]


def noticed(stage: Stage, moments: list[float]) -> list[Noticed]:
    """The effect of each shift on the users, after the load has ended."""
    expected = {model: json.dumps(list(answers)) for model, answers in _answers(stage).items()}
    models = {name: model for feed in stage.feeds.values() for name, model in feed.models().items()}
    found = []
    for shift, (begin, end) in zip(SHIFTS, pairwise(moments), strict=True):
        shots = [shot for shot in stage.load.shots if begin <= shot.sent < end]
        failures = [f"{shot.sent - begin:.2f} s into {shift.name}, after {shot.ended - shot.sent:.2f} s: {why}"
                    for shot in shots if (why := _why(stage, shot, models, expected))]
        answers = Counter(model for shot in shots for model, answer in expected.items() if answer == shot.answer)
        found.append(Noticed(shift.name, shots, failures, answers))
    return found


def _answers(stage: Stage) -> dict[str, tuple[object, ...]]:
    models = stage.feeds[stage.asleep.name].models()
    return {models[name]: answers for name, answers in stage.probe.answers.items()}


def _why(stage: Stage, shot: Shot, models: dict[str, str], expected: dict[str, str]) -> str:
    """What is wrong with a request; empty if nothing is."""
    if shot.trouble:
        return f"lost: {shot.trouble}"
    may = stage.feeds[shot.endpoint.name].may_answer(shot.sent, shot.ended)
    if shot.answer in {expected.get(models[name]) for name in may}:
        return ""
    return f"{shot.answer} was answered, while {' and '.join(sorted(may)) or 'nobody'} had traffic"
