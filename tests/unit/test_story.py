"""The story of a change, made of the watch events that were recorded on a real cluster."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from kserve_nb.access.api_client import INFERENCE_SERVICE, POD
from kserve_nb.observe.feed.story_recording import StoryRecording
from kserve_nb.observe.snapshot import belongs_to
from kserve_nb.values.pods import Pod
from kserve_nb.values.rollout_status import RolloutStatus
from kserve_nb.values.story import NO_STORY, Story, StoryState
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
