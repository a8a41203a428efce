"""The methods of a rollout on a small API server: their writes and refusals, and when `wait` returns."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from kserve_nb.access.api_client import UNREACHABLE, ObjectNotFoundError, RefusedError
from kserve_nb.rollout import waiting
from kserve_nb.rollout.errors import ChangedError, NotPossibleError, NotReadyError
from kserve_nb.rollout.rollout import Rollout
from kserve_nb.values import manifest
from kserve_nb.values.labels import LAST_APPLIED
from kserve_nb.values.manifest import MODEL, MODEL_2
from kserve_nb.values.revisions import short
from tests.fake_api import DATA, ISVC, KSVC, NAMESPACE, PODS, REVISIONS, FakeApi, one, recorded

NEVER = "gs://kfserving-examples/models/sklearn/1.0/model-3"


def predictor(api: FakeApi) -> Any:
    """The predictor in the last write."""
    return api.writes[-1][2]["spec"]["predictor"]


def test_deploy_creates_an_object_that_kubectl_apply_can_update(api: FakeApi, rollout: Rollout) -> None:
    api.put(NAMESPACE, {"metadata": {"name": "kserve-test"}})

    rollout.deploy(MODEL)

    method, path, body = api.writes[-1]
    assert (method, path) == ("POST", ISVC)
    assert LAST_APPLIED in body["metadata"]["annotations"]


def test_deploy_on_an_existing_service_gives_all_users_the_model(api: FakeApi, rollout: Rollout) -> None:
    api.load("02-canary-10")

    rollout.deploy(NEVER)

    assert predictor(api) == {
        "canaryTrafficPercent": None, "model": {"modelFormat": {"name": "sklearn"}, "storageUri": NEVER}}


@pytest.mark.parametrize(
    ("step", "verb", "kwargs", "asked"),
    [
        ("01-create", "canary", {"model": MODEL_2, "percent": 10},
         {"canaryTrafficPercent": 10, "model": {"storageUri": MODEL_2}}),
        ("02-canary-10", "canary", {"percent": 20}, {"canaryTrafficPercent": 20}),
        ("02-canary-10", "canary", {"model": NEVER},
         {"canaryTrafficPercent": 10, "model": {"storageUri": NEVER}}),
        ("02-canary-10", "promote", {}, {"canaryTrafficPercent": None}),
        ("04-promote", "pin", {}, {"canaryTrafficPercent": 0}),
        ("05-rollback", "canary", {"model": NEVER, "percent": 0},
         {"canaryTrafficPercent": 0, "model": {"storageUri": NEVER}}),
    ],
)
def test_a_verb_is_one_merge_patch(
    api: FakeApi, rollout: Rollout, step: str, verb: str, kwargs: dict[str, Any], asked: dict[str, Any]
) -> None:
    api.load(step)

    getattr(rollout, verb)(**kwargs)

    assert [method for method, _, _ in api.writes] == ["PATCH"]
    assert predictor(api) == asked


def test_tag_writes_the_annotation_as_a_string(api: FakeApi, rollout: Rollout) -> None:
    api.load("05-rollback")

    assert rollout.tag().tag_routing
    body = api.writes[-1][2]
    assert body["metadata"]["annotations"] == {"serving.kserve.io/enable-tag-routing": "true"} and "spec" not in body
    assert not rollout.tag(on=False).tag_routing


def test_a_verb_comes_again_where_only_a_controller_was_faster(
    api: FakeApi, rollout: Rollout, monkeypatch: pytest.MonkeyPatch
) -> None:
    api.load("02-canary-10")
    patch, late = rollout.client.patch, [1, 2]

    def raced(*args: Any) -> Any:
        if late:
            status = one("02-canary-10", "isvc")
            status["metadata"]["resourceVersion"] = f"9{late.pop()}"
            api.put(f"{ISVC}/sklearn-iris", status)
        return patch(*args)

    monkeypatch.setattr(rollout.client, "patch", raced)

    assert rollout.canary(percent=20).requested_percent == 20 and len(api.writes) == 3


def test_a_verb_does_not_write_over_somebody_elses_edit(
    api: FakeApi, rollout: Rollout, monkeypatch: pytest.MonkeyPatch
) -> None:
    api.load("02-canary-10")
    patch = rollout.client.patch

    def raced(*args: Any) -> Any:
        other = one("02-canary-10", "isvc")
        other["spec"]["predictor"]["canaryTrafficPercent"] = 50
        other["metadata"] |= {"resourceVersion": "99", "generation": 99}
        api.put(f"{ISVC}/sklearn-iris", other)
        return patch(*args)

    monkeypatch.setattr(rollout.client, "patch", raced)

    with pytest.raises(ChangedError, match="the requested percent is 50 %, it was 10 %"):
        rollout.promote()
    assert rollout.status().requested_percent == 50


@pytest.mark.parametrize(
    ("step", "verb", "kwargs", "says"),
    [
        ("01-create", "canary", {"percent": 10}, "only one revision"),
        ("01-create", "canary", {"model": MODEL_2}, "no canary percent"),
        ("01-create", "pin", {}, "no previous revision"),
        ("05-rollback", "canary", {"model": NEVER, "percent": 10}, "00002, which is pinned away"),
        ("05-rollback", "deploy", {"model": NEVER}, "100 % would go to 00002"),
    ],
)
def test_invalid_or_harmful_options_are_refused(
    api: FakeApi, rollout: Rollout, step: str, verb: str, kwargs: dict[str, Any], says: str
) -> None:
    api.load(step)

    with pytest.raises(NotPossibleError, match=says):
        getattr(rollout, verb)(**kwargs)

    assert api.writes == []


@pytest.mark.parametrize(("verb", "kwargs"), [("canary", {"percent": 10}), ("promote", {})])
@pytest.mark.parametrize("made", [True, False])
def test_no_percent_leads_users_to_a_revision_that_is_pinned_away(
    api: FakeApi, rollout: Rollout, verb: str, kwargs: dict[str, Any], made: bool
) -> None:
    api.load("05-rollback")
    pending, old = api.objects[f"{ISVC}/sklearn-iris"], f"{REVISIONS}/sklearn-iris-predictor-00002"
    annotations = {"internal.serving.kserve.io/storage-initializer-sourceuri": MODEL_2}
    if made:
        pending["status"]["components"]["predictor"]["latestCreatedRevision"] = "sklearn-iris-predictor-00003"
    else:  # no revision of the new model exists yet
        pending["spec"]["predictor"]["model"]["storageUri"] = NEVER
        api.put(old, {"metadata": {"name": old.rpartition("/")[2], "annotations": annotations}})

    with pytest.raises(NotPossibleError, match=r"to 00002, which is pinned away.*First await rollout\.wait\(\)"):
        getattr(rollout, verb)(**kwargs)

    assert api.writes == []


@pytest.mark.parametrize("percent", [-1, 101, 12.5, "10", True])
def test_a_percent_is_a_whole_number_up_to_100(api: FakeApi, rollout: Rollout, percent: Any) -> None:
    api.load("02-canary-10")

    with pytest.raises(ValueError, match="0 to 100"):
        rollout.canary(percent=percent)


def test_without_a_namespace_verbs_name_the_next_step(rollout: Rollout) -> None:
    for verb in (rollout.status, rollout.promote, lambda: rollout.deploy(MODEL)):
        with pytest.raises(ObjectNotFoundError, match="kubectl create namespace kserve-test"):
            verb()


def test_without_the_service_verbs_name_the_next_step(api: FakeApi, rollout: Rollout) -> None:
    api.put(NAMESPACE, {"metadata": {"name": "kserve-test"}})

    with pytest.raises(ObjectNotFoundError, match=r"rollout\.deploy"):
        rollout.status()


def test_without_a_cluster_verbs_raise_a_clear_error(api: FakeApi, rollout: Rollout) -> None:
    api.close()

    with pytest.raises(RefusedError, match="does not respond"):
        rollout.status()


def test_plan_lists_the_effects_of_a_document(api: FakeApi, rollout: Rollout) -> None:
    api.load("02-canary-10")

    plan = rollout.plan(manifest.to_yaml(manifest.inference_service("sklearn-iris", MODEL_2)))

    assert ("spec.predictor.canaryTrafficPercent", None) in [(change.path, change.after) for change in plan.changes]


def test_tagged_hosts_are_those_of_the_traffic_list(api: FakeApi, rollout: Rollout) -> None:
    api.load("06-tag")

    assert rollout.host("prev") == "prev-sklearn-iris-predictor.kserve-test.example.com"
    assert rollout.host("latest") == "latest-sklearn-iris-predictor.kserve-test.example.com"
    api.load("02-canary-10")
    with pytest.raises(NotPossibleError, match=r"rollout\.tag\(\)"):
        rollout.host("latest")


def test_both_protocols_give_the_same_answer(api: FakeApi, rollout: Rollout) -> None:
    api.load("05-rollback")

    assert rollout.predict(tag="prev") == rollout.predict(tag="prev", protocol="v2") == [1, 1]


def test_wait_returns_when_traffic_has_moved(api: FakeApi, rollout: Rollout) -> None:
    api.load("01-create")
    api.frames = [frame for frame in frames() if generation(frame) == 2]

    status = asyncio.run(rollout.wait(timeout_s=20))

    assert [(short(t.revision), t.percent) for t in status.traffic] == [("00002", 10), ("00001", 90)]


def test_wait_passes_through_both_passes_of_a_pin(api: FakeApi, rollout: Rollout) -> None:
    api.load("04-promote")
    api.frames = [frame for frame in frames() if generation(frame) == 4]

    status = asyncio.run(rollout.wait(timeout_s=20))

    assert [(short(t.revision), t.percent) for t in status.traffic] == [("00002", 0), ("00001", 100)]


def test_wait_ends_early_with_the_controllers_message(api: FakeApi, rollout: Rollout) -> None:
    api.load("broken-canary")
    for path, name in ((ISVC, ""), (KSVC, "-predictor")):
        service = next(obj for known, obj in api.objects.items() if known.startswith(path))
        api.put(f"{path}/sklearn-iris{name}", service)

    with pytest.raises(NotReadyError, match=r"00002 does not become ready: .* not found\. Users are served by 00001"):
        asyncio.run(rollout.wait(timeout_s=20))


def test_wait_does_not_believe_a_single_reading(api: FakeApi, rollout: Rollout) -> None:
    settled, moving = state("02-canary-10"), state("02-canary-10")
    moving[f"{ISVC}/sklearn-iris"]["status"]["components"]["predictor"]["traffic"][0]["percent"] = 100
    api.load("02-canary-10")
    api.frames = [settled, moving, settled, settled]

    asyncio.run(rollout.wait(timeout_s=20))

    assert api.frames == []


def test_wait_does_not_believe_two_readings_that_differ(api: FakeApi, rollout: Rollout) -> None:
    promoted, canary = state("04-promote"), state("02-canary-10")
    api.load("02-canary-10")
    api.frames = [promoted, canary, canary]

    status = asyncio.run(rollout.wait(timeout_s=20))

    assert status.canary_percent == 10 and api.frames == []


def test_wait_ignores_a_failure_that_two_controllers_cause_for_a_moment(api: FakeApi, rollout: Rollout) -> None:
    failing, settled = failed_state("Operation cannot be fulfilled"), state("02-canary-10")
    api.load("02-canary-10")
    api.frames = [*[failing] * int(waiting.FAILED_FOR_S / waiting.POLL_S), settled, settled]

    assert asyncio.run(rollout.wait(timeout_s=20)).canary_percent == 10


def test_wait_ends_at_a_failure_that_lasts(api: FakeApi, rollout: Rollout) -> None:
    api.load("02-canary-10")
    api.frames = [failed_state("Operation cannot be fulfilled")] * 100

    with pytest.raises(NotReadyError, match="Operation cannot be fulfilled"):
        asyncio.run(rollout.wait(timeout_s=20))

    assert waiting.FAILED_FOR_S <= (100 - len(api.frames)) * waiting.POLL_S <= waiting.FAILED_FOR_S + 1


def test_wait_measures_each_failure_for_itself(api: FakeApi, rollout: Rollout) -> None:
    most = int(waiting.FAILED_FOR_S / waiting.POLL_S)
    settled = state("02-canary-10")
    api.load("02-canary-10")
    api.frames = [*[failed_state("one")] * most, *[failed_state("another")] * most, settled, settled]

    assert asyncio.run(rollout.wait(timeout_s=20)).canary_percent == 10


def test_wait_bears_an_api_server_that_restarts(
    api: FakeApi, rollout: Rollout, monkeypatch: pytest.MonkeyPatch
) -> None:
    api.load("04-promote")
    looks = iter([RefusedError("…", UNREACHABLE), RefusedError("…", UNREACHABLE)])
    find = rollout.client.find

    def sometimes(*args: Any) -> Any:
        for refused in looks:
            raise refused
        return find(*args)

    monkeypatch.setattr(rollout.client, "find", sometimes)

    assert asyncio.run(rollout.wait(timeout_s=20)).latest_ready.endswith("00002")


def test_an_expired_wait_names_the_missing_condition(api: FakeApi, rollout: Rollout) -> None:
    api.load("02-canary-10")
    rollout.canary(percent=30)

    with pytest.raises(NotReadyError, match="after 1 s: KServe has not requested this traffic from Knative"):
        asyncio.run(rollout.wait(timeout_s=1))


@pytest.mark.parametrize("verb", ["wait", "wait_pods"])
def test_an_interrupted_wait_ends_in_one_line_and_is_a_cancellation(
    api: FakeApi, rollout: Rollout, verb: str
) -> None:
    api.load("02-canary-10")
    api.forget_pods()
    rollout.canary(percent=30)

    async def interrupt() -> list[str]:
        waiting_cell = asyncio.create_task(shown())
        await asyncio.sleep(0)
        waiting_cell.cancel()
        return await waiting_cell

    async def shown() -> list[str]:
        try:
            await getattr(rollout, verb)(timeout_s=10**9)
        except asyncio.CancelledError as error:
            return error._render_traceback_()  # type: ignore[attr-defined]  # WaitInterrupted has it
        raise AssertionError("it was not interrupted")

    (line,) = asyncio.run(interrupt())
    assert line.startswith("Interrupted: the ") and line.endswith("Run the cell again to keep waiting.")


def test_an_error_is_shown_as_its_message(api: FakeApi, rollout: Rollout) -> None:
    api.load("01-create")

    with pytest.raises(NotPossibleError) as error:
        rollout.canary(percent=10)

    shown = error.value._render_traceback_()
    assert shown[0].startswith("NotPossibleError: sklearn-iris: it has only one revision")
    assert max(map(len, shown)) <= 100


def test_wait_pods_ignores_terminating_pods(api: FakeApi, rollout: Rollout) -> None:
    api.load("06-tag")

    pods = asyncio.run(rollout.wait_pods(timeout_s=5))

    assert [short(pod.revision) for pod in pods if not pod.terminating] == ["00001", "00003"]


def test_wait_pods_lists_the_pods(api: FakeApi, rollout: Rollout) -> None:
    api.load("04-promote")

    seen = "after 1 s the pods are 00001 2/2 Running, 00002 2/2 Running; expected ready pods of 00002 only"
    with pytest.raises(NotReadyError, match=seen):
        asyncio.run(rollout.wait_pods(timeout_s=1))


def test_pods_are_those_of_the_service(api: FakeApi, rollout: Rollout) -> None:
    api.load("02-canary-10")

    assert len(rollout.pods()) == len(recorded("02-canary-10", "pods")["items"])
    assert all(path.startswith(PODS) for path in api.objects if "deployment" in path)


def frames() -> list[dict[str, dict[str, Any]]]:
    """The recorded tutorial as frames of both objects."""
    seen: list[dict[str, dict[str, Any]]] = []
    now: dict[str, dict[str, Any]] = {}
    for line in (DATA / "watch.jsonl").read_text().splitlines():
        event = json.loads(line)
        path = f"{ISVC}/sklearn-iris" if event["kind"] == "isvc" else f"{KSVC}/sklearn-iris-predictor"
        now = {**now, path: event["object"]}
        seen.append(now)
    return [frame for frame in seen if len(frame) == 2]


def generation(frame: dict[str, dict[str, Any]]) -> Any:
    """The number of the learner's last write before a frame."""
    return frame[f"{ISVC}/sklearn-iris"]["metadata"]["generation"]


def state(step: str) -> dict[str, dict[str, Any]]:
    """Both objects of a recorded step, as one frame."""
    return {f"{ISVC}/sklearn-iris": one(step, "isvc"), f"{KSVC}/sklearn-iris-predictor": one(step, "ksvc")}


def failed_state(message: str) -> dict[str, dict[str, Any]]:
    """A canary whose reconciliation fails with this message."""
    frame = state("02-canary-10")
    rows = frame[f"{ISVC}/sklearn-iris"]["status"]["conditions"]
    for row in rows:
        if row["type"] in ("PredictorReady", "Ready"):
            row |= {"status": "False", "reason": "ReconcileFailed", "message": message}
    return frame
