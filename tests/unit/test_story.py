"""The story of a change, made of the watch events that were recorded on a real cluster."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace

import pytest

from kserve_nb.access.api_client import INFERENCE_SERVICE, POD
from kserve_nb.observe.feed.story_recorder import StoryRecorder
from kserve_nb.observe.feed.story_recording import StoryRecording
from kserve_nb.observe.snapshot import belongs_to
from kserve_nb.rollout.errors import NotPossibleError, NotReadyError
from kserve_nb.rollout.rollout import Rollout
from kserve_nb.values.pods import Pod
from kserve_nb.values.rollout_status import RolloutStatus
from kserve_nb.values.story import NO_STORY, Story, StoryState
from tests.fake_api import ISVC, FakeApi, one
from tests.virtual_clock import VirtualClock
from tests.widgets.replay import DATA, KINDS, NAME

BOTH_00001 = "both names are 00001, which serves all users: 00002 is not ready yet"


def recorded() -> list[StoryState]:
    """The states after each event about the InferenceService or a pod."""
    objects: dict[str, dict[str, dict[str, object]]] = {INFERENCE_SERVICE.plural: {}, POD.plural: {}}
    states = [StoryState(0.0, None)]
    for line in (DATA / "tutorial.jsonl").read_text().splitlines():
        row = json.loads(line)
        kind, obj = KINDS[row["object"]["kind"]], row["object"]
        if kind.plural not in objects or not belongs_to(NAME, kind, obj):
            continue
        objects[kind.plural][obj["metadata"]["name"]] = obj
        if row["type"] == "DELETED":
            del objects[kind.plural][obj["metadata"]["name"]]
        services = list(objects[INFERENCE_SERVICE.plural].values())
        status = RolloutStatus.of(services[0]) if services else None
        states.append(StoryState(row["t"], status, tuple(map(Pod.of, objects[POD.plural].values()))))
    return states


def stories() -> list[Story]:
    """The story of each of the five changes, as it was before the next one."""
    states, found = recorded(), []
    for count, state in enumerate(states):
        if count > 1 and state.edition != states[count - 1].edition:
            found.append(Story.of(NAME, states[:count]))
    return [*found, Story.of(NAME, states)]


def columns(story: Story) -> list[list[str]]:
    """Seconds, READY, PREV, LATEST and the last column."""
    return [[*row[:4], row[5]] for row in story.table[1]]


def test_the_first_create_shows_its_conditions() -> None:
    rows = columns(stories()[0])

    assert rows[0] == ["", "", "", "", "no InferenceService"]
    assert rows[1][0] == "0.00" and rows[1][4] == "created: model"
    assert rows[-2][4] == "00001 gets 100 % of the users; ✔ LatestDeploymentReady, PredictorConfigurationReady"
    assert rows[-1][1:] == ["True", "", "100 → 00001",
                            "✔ IngressReady, PredictorReady, PredictorRouteReady, Ready, RoutesReady"]


def test_a_canary_shows_a_stale_ready_then_both_names_00001_then_00002() -> None:
    rows = columns(stories()[1])

    assert rows[1][1:4] == ["True", "", "100 → 00001"]
    assert rows[1][4] == "requested: 10 %, model-2; READY still describes the state before"
    assert ["Unknown", "90 → 00001", "10 → 00001", BOTH_00001] in [row[1:] for row in rows]
    assert [row[2:4] for row in rows[-2:]] == [["90 → 00001", "10 → 00002"]] * 2
    assert [row[1] for row in rows[-2:]] == ["Unknown", "True"]


def test_a_promote_shows_how_the_old_pod_drains() -> None:
    story = stories()[2]

    pods = [row[4] for row in story.table[1][-4:]]
    assert pods == ["00001 2/2 Terminating, 00002 2/2", "00001 1/2 Terminating, 00002 2/2",
                    "00001 0/2 Terminating, 00002 2/2", "00002 2/2"]
    assert columns(story)[-1][4] == "pod of 00001 is gone"
    assert columns(story)[1][4].startswith("requested: no percent, so all users")


def test_a_pin_shows_its_two_passes() -> None:
    rows = columns(stories()[3])

    assert ["Unknown", "100 → 00002", "0 → 00002", "both names are 00002, which serves all users"] in [
        row[1:] for row in rows]
    assert ["True", "100 → 00001", "0 → 00002", "users: 100 % to 00001, 0 % to 00002"] in [row[1:] for row in rows]


def test_a_change_of_tag_routing_is_named() -> None:
    assert columns(stories()[4])[1][4].startswith("requested: 10 %, tag routing on;")


def test_a_revision_that_fails_is_in_the_story() -> None:
    created = stories()[0].states[:3]
    status = created[-1].status
    assert status is not None
    failed = {**status.conditions, "Ready": replace(status.ready, status="False", reason="RevisionFailed")}

    story = Story(NAME, (*created, StoryState(created[-1].at + 9, replace(status, conditions=failed))))

    assert "✖ Ready: RevisionFailed" in repr(story)


def test_without_a_change_there_is_no_story() -> None:
    settled = stories()[1].states[-1]

    for states in ((), (settled,), (settled, replace(settled, at=settled.at + 5))):
        assert not Story.of(NAME, states)
    assert repr(Story(NAME)) == NO_STORY and NO_STORY in Story(NAME)._repr_html_()


def test_text_and_html_have_the_same_cells() -> None:
    story = stories()[1]

    for row in story.table[1]:
        for cell in row:
            assert cell in repr(story) and cell in story._repr_html_().replace("\u00a0", " ")
    assert "90\u00a0→\u00a000001" in story._repr_html_()


@pytest.mark.parametrize(("version", "found"), [("2", True), ("3", False)])
def test_waiting_for_a_version_ends_when_it_is_recorded(version: str, found: bool) -> None:
    recording, status = StoryRecording(NAME), stories()[1].states[-1].status
    assert status is not None

    recording.add(StoryState(1.0, replace(status, version="2")))

    assert recording.wait_for(version, timeout_s=0) == found


def starting() -> dict[str, object]:
    """A canary whose revision is not ready yet: both targets name 00001."""
    changed = one("02-canary-10", "isvc")
    changed["metadata"]["resourceVersion"] = "starting"
    for target in changed["status"]["components"]["predictor"]["traffic"]:
        target["revisionName"] = "sklearn-iris-predictor-00001"
    return changed


def test_a_state_between_two_snapshots_is_in_the_story(api: FakeApi, rollout: Rollout) -> None:
    shown: list[Story] = []
    recorder = StoryRecorder(rollout, shown.append)
    api.load("01-create")
    recorder.start()
    settled = one("02-canary-10", "isvc")

    api.put(f"{ISVC}/sklearn-iris", starting())
    api.put(f"{ISVC}/sklearn-iris", settled)
    recorder.catch_up(settled["metadata"]["resourceVersion"])
    for _ in range(2):
        recorder.show(settled=True)

    (story,) = shown
    assert [row[1:3] for row in columns(story)[1:]] == [["True", "90 → 00001"]] * 2
    assert BOTH_00001 in repr(story)
    assert recorder.story().states == story.states
    assert recorder._subscription is not None
    recorder._subscription.end()


def test_a_story_that_is_skipped_is_not_shown(api: FakeApi, rollout: Rollout) -> None:
    shown: list[Story] = []
    recorder = StoryRecorder(rollout, shown.append)
    recorder.show(settled=True)
    api.load("01-create")
    recorder.start()
    api.put(f"{ISVC}/sklearn-iris", starting())
    recorder.catch_up("starting")

    recorder.skip()
    recorder.show(settled=True)

    assert shown == []
    assert recorder._subscription is not None
    recorder._subscription.end()


class Spy:
    """A recorder that notes its calls."""

    def __init__(self) -> None:
        self.calls: list[object] = []

    def story(self) -> Story:
        return Story(NAME)

    def catch_up(self, version: str) -> None:
        self.calls.append(version)

    def show(self, settled: bool) -> None:
        self.calls.append(settled)


def test_wait_shows_the_story_of_a_success_and_of_a_failure(api: FakeApi, rollout: Rollout) -> None:
    spy = Spy()
    recorded_one = Rollout(rollout.client, rollout.ingress, clock=VirtualClock(), recorder=spy)
    api.load("02-canary-10")

    status = asyncio.run(recorded_one.wait(timeout_s=20))
    api.put(f"{ISVC}/sklearn-iris", starting())
    with pytest.raises(NotReadyError):
        asyncio.run(recorded_one.wait(timeout_s=1))

    assert spy.calls == [status.version, True, False]
    assert recorded_one.story() == Story(NAME)
    with pytest.raises(NotPossibleError, match=r"Get the rollout from lab\.rollout\(\)"):
        rollout.story()
