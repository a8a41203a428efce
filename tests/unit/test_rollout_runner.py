"""The runner on a small API server that moves traffic at once: the writes that it makes, and those that it omits."""

from __future__ import annotations

import asyncio
import copy
import random
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from kserve_nb.access.api_client import Client
from kserve_nb.access.ingress import Ingress
from kserve_nb.gates.criteria.evidence import Outcome
from kserve_nb.gates.criteria.request_gates import ErrorsGate
from kserve_nb.gates.execution import rollout_runner
from kserve_nb.gates.execution.probe import Prober, RoundResult
from kserve_nb.gates.execution.rollout_runner import RolloutRunner
from kserve_nb.gates.execution.run_state import Intent, RunState
from kserve_nb.gates.execution.run_store import LEASE_S, LeaseLostError, RunStore
from kserve_nb.gates.gated_rollout import GatedRollout
from kserve_nb.gates.plan import ProbeTraffic, RolloutPlan
from kserve_nb.rollout.errors import ChangedError, NotPossibleError
from kserve_nb.values.rollout_status import RolloutStatus
from tests.fake_api import ISVC, KSVC, NAMESPACE, FakeApi
from tests.fake_gateway import FakeGateway, shares
from tests.virtual_clock import VirtualClock

PATH = f"{ISVC}/sklearn-iris"
STATE = f"{NAMESPACE}/configmaps/kserve-nb-rollout-sklearn-iris"
LEASE = "/apis/coordination.k8s.io/v1/namespaces/kserve-test/leases/kserve-nb-rollout-sklearn-iris"
PLAN = RolloutPlan(steps=(5, 50, 100), gates=(ErrorsGate(),), bake_s=3, minimum_exposure=20, limit_s=60,
                   probe=ProbeTraffic(rate=20))


class FollowingApi(FakeApi):
    """An API server whose controllers have always finished: traffic is what the spec requests."""

    def put(self, path: str, obj: dict[str, Any], type_: str | None = None) -> None:
        if path == PATH and type_ is None:
            obj = copy.deepcopy(obj)
            percent = obj["spec"]["predictor"].get("canaryTrafficPercent")
            rows = self._rows(obj["status"]["components"]["predictor"]["traffic"], percent)
            obj["status"]["components"]["predictor"]["traffic"] = rows
            service = copy.deepcopy(self.objects.get(f"{KSVC}/sklearn-iris-predictor"))
            if service:
                service["spec"]["traffic"] = [
                    {**{key: value for key, value in row.items() if key != "url"},
                     **({"revisionName": ""} if row.get("latestRevision") else {})} for row in rows]
                super().put(f"{KSVC}/sklearn-iris-predictor", service)
        super().put(path, obj, type_)

    def _rows(self, rows: list[dict[str, Any]], percent: int | None) -> list[dict[str, Any]]:
        latest = next(row for row in rows if row.get("latestRevision"))
        previous = [row for row in rows if not row.get("latestRevision")]
        if percent is None:
            return [{**latest, "percent": 100}]
        return [{**latest, "percent": percent}, *({**row, "percent": 100 - percent} for row in previous)]


@pytest.fixture
def api(tmp_path: Path) -> Iterator[FollowingApi]:
    served = FollowingApi(tmp_path)
    served.load("02-canary-10")
    yield served
    served.close()


@pytest.fixture
def gated(api: FollowingApi, gateway: FakeGateway) -> GatedRollout:
    return GatedRollout(Client(api.cluster()), Ingress(gateway.address))


class Runner:
    """A runner on a virtual clock, with simulated rounds."""

    def __init__(self, rollout: GatedRollout, plan: RolloutPlan = PLAN, *, failing: bool = False,
                 write: Any = None, each: Any = None, clock: VirtualClock | None = None):
        self.clock, self.failing, self.each = clock or VirtualClock(), failing, each
        self.states: list[RunState] = []
        self.store = RunStore(rollout.client, rollout.name, self.clock)
        self.runner = RolloutRunner(
            rollout, plan, self.store, write or (lambda intent, seen: rollout_runner.carry_out(rollout, intent, seen)),
            self.clock, lambda _plan, state: self.states.append(state), self.round if plan.probe else None)

    def round(self, status: RolloutStatus) -> RoundResult:
        if self.each:
            self.each(status)
        return RoundResult((Outcome(0.5, True, self.failing, 5, "canary"), Outcome(0.5, False, False, 5, "previous"),
                            Outcome(0, user=True, failed=False)))

    def run(self) -> RunState:
        return asyncio.run(self.runner.run())


def percents(api: FakeApi) -> list[Any]:
    """The percents that were written."""
    return [body["spec"]["predictor"]["canaryTrafficPercent"] for method, path, body in api.writes
            if method == "PATCH" and path == PATH]


def test_a_good_canary_gets_each_percent_once_and_is_promoted(api: FollowingApi, gated: GatedRollout) -> None:
    runner = Runner(gated)

    state = runner.run()

    assert (state.phase, percents(api)) == ("promoted", [5, 50, None])
    assert [shown.phase for shown in runner.states][-1] == "promoted"
    assert api.objects[LEASE]["spec"]["holderIdentity"] == ""
    assert gated.run_state() == state


def test_a_bad_canary_is_pinned_within_the_tick(api: FollowingApi, gated: GatedRollout) -> None:
    state = Runner(gated, failing=True).run()

    assert (state.phase, percents(api)) == ("rolled back", [5, 0])
    assert state.evidence.canary_failed < 10  # it stops in the middle of a tick of twenty rounds


def test_without_traffic_the_plan_is_on_hold_with_the_reason(api: FollowingApi, gated: GatedRollout) -> None:
    state = Runner(gated, replace(PLAN, probe=None, limit_s=20)).run()

    assert (state.phase, percents(api)) == ("held", [5])
    assert "the runner observes no traffic" in state.reason


def test_a_write_of_somebody_else_ends_it_as_superseded(api: FollowingApi, gated: GatedRollout) -> None:
    def somebody(_status: RolloutStatus) -> None:
        if len(percents(api)) == 1:
            gated.canary(percent=33)

    state = Runner(gated, each=somebody).run()

    assert (state.phase, percents(api)) == ("superseded", [5, 33])
    assert "it requests 33 %" in state.reason


def test_a_conflicting_write_ends_the_rollout_as_superseded(api: FollowingApi, gated: GatedRollout) -> None:
    def meets(_intent: Intent, _seen: RolloutStatus) -> RolloutStatus:
        raise ChangedError("somebody else changed it meanwhile.")

    state = Runner(gated, write=meets).run()

    assert (state.phase, percents(api)) == ("superseded", [])
    stored = gated.run_state()
    assert stored and stored.phase == "superseded"


def test_a_user_commands_it_from_elsewhere(api: FollowingApi, gated: GatedRollout) -> None:
    def somebody(_status: RolloutStatus) -> None:
        if len(percents(api)) == 1:
            gated.roll_back()

    state = Runner(gated, each=somebody).run()

    assert (state.phase, percents(api), state.reason) == ("rolled back", [5, 0], "a user rolled it back")


def test_without_a_rollout_a_command_is_an_error(gated: GatedRollout) -> None:
    with pytest.raises(NotPossibleError, match="no gated rollout is in progress"):
        gated.pause()


@pytest.mark.parametrize("when", ["before the write", "after the write"])
def test_a_killed_runner_is_continued_without_repeating_a_step(
    api: FollowingApi, gated: GatedRollout, when: str
) -> None:
    def dies(intent: Intent, seen: RolloutStatus) -> RolloutStatus:
        if intent.percent == 50:
            if when == "after the write":
                rollout_runner.carry_out(gated, intent, seen)
            raise KeyboardInterrupt
        return rollout_runner.carry_out(gated, intent, seen)

    with pytest.raises(KeyboardInterrupt):
        Runner(gated, write=dies).run()
    state = Runner(gated).run()

    assert (state.phase, percents(api)) == ("promoted", [5, 50, None])


def test_a_finished_rollout_is_not_repeated(api: FollowingApi, gated: GatedRollout) -> None:
    first = Runner(gated).run()
    api.writes.clear()

    assert Runner(gated).run() == first
    assert percents(api) == []


def test_a_runner_waits_for_the_lease_of_one_that_was_killed(api: FollowingApi, gated: GatedRollout) -> None:
    clock = VirtualClock()
    asyncio.run(RunStore(gated.client, gated.name, clock).acquire())
    before = clock.now()

    asyncio.run(RunStore(gated.client, gated.name, clock).acquire())

    assert clock.now() - before > LEASE_S


def test_a_runner_does_not_start_while_another_renews_its_lease(api: FollowingApi, gated: GatedRollout) -> None:
    first = RunStore(gated.client, gated.name, VirtualClock())
    asyncio.run(first.acquire())

    class RenewingClock(VirtualClock):
        async def sleep(self, seconds: float) -> None:
            first.renew()
            await super().sleep(seconds)

    with pytest.raises(NotPossibleError, match=f"the runner {first.holder} follows it already"):
        asyncio.run(RunStore(gated.client, gated.name, RenewingClock()).acquire())


def test_a_runner_that_lost_its_lease_writes_nothing_more(api: FollowingApi, gated: GatedRollout) -> None:
    clock = VirtualClock()
    first, second = (RunStore(gated.client, gated.name, clock) for _ in range(2))
    asyncio.run(first.acquire())
    asyncio.run(second.acquire())

    with pytest.raises(LeaseLostError):
        first.renew()
    with pytest.raises(LeaseLostError):
        first.save("", RunState())
    first.release()

    second.renew()
    assert api.objects[LEASE]["spec"]["holderIdentity"] == second.holder


def test_a_plan_without_a_canary_is_an_error_that_can_be_mended(gateway: FakeGateway, api: FollowingApi) -> None:
    api.load("01-create")
    rollout = GatedRollout(Client(api.cluster()), Ingress(gateway.address))

    with pytest.raises(NotPossibleError, match="there is no canary to roll out"):
        Runner(rollout).run()

    stored = rollout.run_state()
    assert stored and stored.phase == "aborted" and stored.intent is None


def test_a_plan_for_the_model_that_all_users_have_is_an_error(gateway: FakeGateway, api: FollowingApi) -> None:
    api.load("01-create")
    rollout = GatedRollout(Client(api.cluster()), Ingress(gateway.address))

    with pytest.raises(NotPossibleError, match=r"all users have the model .* already"):
        Runner(rollout, replace(PLAN, model=rollout.status().model)).run()

    assert percents(api) == []


@pytest.mark.parametrize("tagged", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_a_round_compares_both_revisions(
    api: FollowingApi, gated: GatedRollout, gateway: FakeGateway, tagged: bool
) -> None:
    status = gated.status()
    gateway.tagged = tagged
    if tagged:
        latest = replace(status.traffic[0], url="http://latest-sklearn-iris-predictor.kserve-test.example.com")
        status = replace(status, traffic=(latest, *status.traffic[1:]))
    gateway.draws = shares(50)
    prober = Prober(gated, ProbeTraffic(), _draw=random.Random(1))

    rounds = [prober.round(status) for _ in range(100)]

    outcomes = [outcome for each in rounds for outcome in each.outcomes]
    users = [outcome for outcome in outcomes if outcome.user]
    attributed = [outcome for outcome in users if outcome.answered_by]
    assert len(users) == 100 and {outcome.percent for outcome in users} == {10}
    assert {outcome.share for outcome in outcomes} == ({0.0, 0.5} if tagged else {0.1})
    assert attributed and any(outcome.answered_by == "canary" for outcome in attributed)
    assert not any(outcome.failed for outcome in outcomes)
    assert any(pair.differ for each in rounds for pair in each.pairs) == tagged


@pytest.mark.parametrize(("labels", "word"), [((1, 2), "1"), (("1", "2"), "'1'"), (([1], [2]), "(1,)")])
def test_a_round_with_labels_reports_what_was_right(
    gated: GatedRollout, gateway: FakeGateway, labels: tuple[Any, ...], word: str
) -> None:
    gateway.tagged = True
    status = gated.status()
    latest = replace(status.traffic[0], url="http://latest-sklearn-iris-predictor.kserve-test.example.com")
    status = replace(status, traffic=(latest, *status.traffic[1:]))
    rows = ((6.8, 2.8, 4.8, 1.4), (9.0, 9.0, 6.0, 9.0))

    prober = Prober(gated, ProbeTraffic(rows=rows, labels=labels))
    pairs = [pair for _ in range(2) for pair in prober.round(status).pairs]

    assert {pair.label for pair in pairs} >= {word} and {answer for pair in pairs for answer in pair.answers} >= {"1"}
    assert any(pair.canary_right or pair.previous_right for pair in pairs) == (word == "1")


def test_requests_that_fail_are_counted_on_their_side(
    api: FollowingApi, gated: GatedRollout, gateway: FakeGateway
) -> None:
    gateway.failing = True

    outcomes = Prober(gated, ProbeTraffic()).round(gated.status()).outcomes

    assert [outcome.canary_side for outcome in outcomes if outcome.failed] == [True] + [False] * 9
