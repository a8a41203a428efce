"""The tutorial and its variations on all reconcilers, compared with the states of a real cluster."""

from __future__ import annotations

import json

import pytest

from kserve_nb.clusters.embedded.apimachinery.kinds import (
    CLUSTER_SERVING_RUNTIME,
    CONFIG_MAP,
    EVENT,
    INFERENCE_SERVICE,
    KNATIVE_SERVICE,
    POD,
    REVISION,
    SERVICE,
    VIRTUAL_SERVICE,
)
from kserve_nb.clusters.embedded.apimachinery.objects import Object, condition
from kserve_nb.clusters.embedded.control.kserve.canary_traffic import make_traffic
from kserve_nb.clusters.embedded.control.kserve.inference_service_ingress import short_url
from kserve_nb.clusters.embedded.control.kserve.serving_runtime import PredictorError, choose_runtime
from kserve_nb.clusters.embedded.storage_initializer import merge_containers
from tests.unit.recorded import FOLDER, differences, load, masked
from tests.unit.simulator import BROKEN, MODEL, MODEL_2, NAME, NS, Simulator, isvc

pytestmark = pytest.mark.slow

TAG = {"serving.kserve.io/enable-tag-routing": "true"}
TUTORIAL: list[tuple[str, int | None, dict[str, str] | None]] = [
    (MODEL, None, None), (MODEL_2, 10, None), (MODEL_2, None, None), (MODEL_2, 0, None), (MODEL_2, 10, TAG)]
RESOURCES = {"limits": {"cpu": "1", "memory": "512Mi"}, "requests": {"cpu": "100m", "memory": "256Mi"}}
# Where the Istio form was recorded, Knative used Kourier's parts. Here each form has its own names.
OF_KOURIER = ("ingress.class", "domainInternal", "externalName")


def tutorial(uri: str, percent: int | None = None, annotations: dict[str, str] | None = None) -> Object:
    body = isvc(uri, percent, annotations)
    body["spec"]["predictor"]["model"]["resources"] = RESOURCES
    return body


def rolled_out(gateway: str = "kourier") -> Simulator:
    """A cluster with the first model at 100 %."""
    cluster = Simulator(gateway)
    cluster.apply(isvc(MODEL))
    cluster.settle(5)
    cluster.path()
    return cluster


def promoted() -> Simulator:
    """A cluster on which model-2 was a canary and has all the traffic."""
    cluster = rolled_out()
    for percent in (10, None):
        cluster.apply(isvc(MODEL_2, percent))
        cluster.settle(5)
    cluster.path()
    return cluster


def test_the_tutorial_makes_the_recorded_objects_step_by_step() -> None:
    cluster = Simulator()
    steps = [("create", MODEL, None, None, 5), ("canary-10", MODEL_2, 10, None, 5),
             ("promote", MODEL_2, None, None, 1), ("promote-settled", MODEL_2, None, None, 200),
             ("pin", MODEL_2, 0, None, 30), ("tag", MODEL_2, 10, TAG, 30)]

    for name, uri, percent, notes, for_s in steps:
        cluster.apply(tutorial(uri, percent, notes))
        cluster.settle(for_s)

        assert differences(name, cluster) == []


def test_the_istio_form_makes_the_recorded_objects() -> None:
    cluster = Simulator("istio")
    steps = [("", MODEL, None, None), ("istio-canary-10", MODEL_2, 10, None), ("istio-promote", MODEL_2, None, None),
             ("", MODEL_2, 0, None), ("istio-tag", MODEL_2, 10, TAG)]

    for name, uri, percent, notes in steps:
        cluster.apply(isvc(uri, percent, notes))
        cluster.settle(5 if name == "istio-promote" else 90)

        assert not name or differences(name, cluster, OF_KOURIER) == []


def test_the_tutorial_passes_through_the_states_of_a_real_cluster() -> None:
    cluster, paths = Simulator(), []

    for uri, percent, notes in TUTORIAL:
        cluster.apply(isvc(uri, percent, notes))
        cluster.settle(5)
        paths.append(cluster.path())

    assert paths == [
        ["- c- r- L- P-", "Unknown c- r- L- P-", "Unknown c1 r- L- P-", "Unknown c1 r1 L1 P- r1:100",
         "True c1 r1 L1 P- r1:100"],
        ["True c1 r1 L1 P- r1:100", "Unknown c2 r1 L1 P- r1:10 r1:90 prev", "Unknown c2 r2 L1 P- r2:10 r1:90 prev",
         "True c2 r2 L1 P- r2:10 r1:90 prev"],
        ["True c2 r2 L1 P- r2:10 r1:90 prev", "Unknown c2 r2 L2 P1 r2:100", "True c2 r2 L2 P1 r2:100"],
        ["True c2 r2 L2 P1 r2:100", "Unknown c2 r2 L1 P1 r2:0 r2:100 prev", "Unknown c2 r2 L1 P1 r2:0 r1:100 prev",
         "True c2 r2 L1 P1 r2:0 r1:100 prev"],
        ["True c2 r2 L1 P1 r2:0 r1:100 prev", "Unknown c3 r2 L1 P1 r2:10 latest r1:90 prev",
         "Unknown c3 r3 L1 P1 r3:10 latest r1:90 prev", "True c3 r3 L1 P1 r3:10 latest r1:90 prev"],
    ]


def test_observed_generation_counts_the_knative_services_generations() -> None:
    cluster, counted = Simulator(), []

    for uri, percent, notes in TUTORIAL:
        cluster.apply(isvc(uri, percent, notes))
        cluster.settle(5)
        counted.append((cluster.isvc()["metadata"]["generation"], cluster.isvc()["status"]["observedGeneration"]))

    assert counted == [(1, 1), (2, 2), (3, 3), (4, 5), (5, 6)]


@pytest.mark.parametrize(("first", "steps"), [
    ("create", [((MODEL, None), "True c1 r1 L1 P- r1:100")]),
    ("create at 10 %", [((MODEL, 10), "True c1 r1 L1 P- r1:10 r1:90 prev")]),
    ("second canary, first not promoted", [
        ((MODEL, None), "True c1 r1 L1 P- r1:100"), ((MODEL_2, 10), "True c2 r2 L1 P- r2:10 r1:90 prev"),
        (("gs://a/third", 20), "True c3 r3 L1 P- r3:20 r1:80 prev")]),
    ("second canary after a promotion", [
        ((MODEL, None), "True c1 r1 L1 P- r1:100"), ((MODEL_2, 10), "True c2 r2 L1 P- r2:10 r1:90 prev"),
        ((MODEL_2, None), "True c2 r2 L2 P1 r2:100"), (("gs://a/third", 10), "True c3 r3 L2 P1 r3:10 r2:90 prev")]),
    ("pin before promotion", [
        ((MODEL, None), "True c1 r1 L1 P- r1:100"), ((MODEL_2, 10), "True c2 r2 L1 P- r2:10 r1:90 prev"),
        ((MODEL_2, 0), "True c2 r2 L1 P- r2:0 r1:100 prev"), ((MODEL_2, None), "True c2 r2 L2 P1 r2:100")]),
    ("100 promotes like no percent", [
        ((MODEL, None), "True c1 r1 L1 P- r1:100"), ((MODEL_2, 10), "True c2 r2 L1 P- r2:10 r1:90 prev"),
        ((MODEL_2, 100), "True c2 r2 L2 P1 r2:100")]),
    ("10 % after a promotion, same template", [
        ((MODEL, None), "True c1 r1 L1 P- r1:100"), ((MODEL_2, None), "True c2 r2 L2 P1 r2:100"),
        ((MODEL_2, 10), "True c2 r2 L1 P1 r2:10 r1:90 prev")]),
    ("un-pin", [
        ((MODEL, None), "True c1 r1 L1 P- r1:100"), ((MODEL_2, None), "True c2 r2 L2 P1 r2:100"),
        ((MODEL_2, 0), "True c2 r2 L1 P1 r2:0 r1:100 prev"), ((MODEL_2, None), "True c2 r2 L2 P1 r2:100")]),
    ("un-pin with a third model", [
        ((MODEL, None), "True c1 r1 L1 P- r1:100"), ((MODEL_2, None), "True c2 r2 L2 P1 r2:100"),
        ((MODEL_2, 0), "True c2 r2 L1 P1 r2:0 r1:100 prev"), (("gs://a/third", None), "True c3 r3 L3 P2 r3:100")]),
    ("broken without percent", [
        ((MODEL, None), "True c1 r1 L1 P- r1:100"), ((BROKEN, None), "Unknown c2 r1 L1 P- r1:100")]),
    ("broken canary and its repair", [
        ((MODEL, None), "True c1 r1 L1 P- r1:100"), ((BROKEN, 20), "Unknown c2 r1 L1 P- r1:20 r1:80 prev"),
        ((MODEL_2, 20), "True c3 r3 L1 P- r3:20 r1:80 prev")]),
], ids=lambda value: value if isinstance(value, str) else "")
def test_revision_names_and_traffic_settle_as_worked_out(
        first: str, steps: list[tuple[tuple[str, int | None], str]]) -> None:
    cluster = Simulator()

    for (uri, percent), expected in steps:
        cluster.apply(isvc(uri, percent))
        cluster.settle(5)

        assert cluster.brief() == expected


def test_a_tag_right_after_a_promotion_keeps_90_percent_on_the_promoted_revision() -> None:
    cluster = promoted()

    cluster.apply(isvc(MODEL_2, 10, TAG))
    cluster.settle(5)

    assert cluster.brief() == "True c3 r3 L2 P1 r3:10 latest r2:90 prev"


def test_unpinning_with_a_new_model_gives_all_to_the_pinned_away_revision_meanwhile() -> None:
    cluster = promoted()
    cluster.apply(isvc(MODEL_2, 0))
    cluster.settle(5)
    cluster.path()

    cluster.apply(isvc("gs://a/third"))
    cluster.settle(5)

    assert "Unknown c3 r2 L2 P1 r2:100" in cluster.path()


def test_an_annotation_makes_a_revision_and_a_percent_does_not() -> None:
    cluster = rolled_out()

    cluster.annotate(**{"some-note": "1"})
    cluster.settle(5)
    cluster.apply(isvc(MODEL, 50))
    cluster.settle(5)

    assert len(cluster.store.list(REVISION, NS)) == 2
    assert cluster.isvc()["metadata"]["generation"] == 2


@pytest.mark.parametrize("scale", ["0", "many"])
def test_an_initial_scale_that_means_nothing_is_left_out(scale: str) -> None:
    cluster = Simulator()
    cluster.apply(isvc(MODEL))
    cluster.settle()

    cluster.apply(isvc(MODEL, annotations={"autoscaling.knative.dev/initial-scale": scale}))
    cluster.settle()

    assert cluster.brief() == "True c1 r1 L1 P- r1:100"


def test_a_rollout_duration_that_is_none_fails_in_the_controller() -> None:
    cluster = Simulator()
    cluster.apply(isvc(MODEL))
    cluster.settle()

    cluster.apply(isvc(MODEL_2, annotations={"serving.knative.dev/rollout-duration": "soon"}))
    cluster.settle()

    ready = condition(cluster.isvc(), "Ready")
    assert (ready["status"], ready["reason"]) == ("False", "ReconcileFailed")
    assert "invalid value: soon: metadata.annotations.serving.knative.dev/rollout-duration" in ready["message"]
    assert cluster.brief() == "False c1 r1 L1 P- r1:100"


@pytest.mark.parametrize(("percent", "lines"), [
    (101, ["Traffic targets sum to 101, want 100: spec.traffic", "expected 0 <= 101 <= 100: spec.traffic[0].percent"]),
    (-1, ["expected 0 <= -1 <= 100: spec.traffic[0].percent", "expected 0 <= 101 <= 100: spec.traffic[1].percent"]),
])
def test_a_percent_out_of_range_fails_in_the_controller_and_does_not_change_traffic(
        percent: int, lines: list[str]) -> None:
    cluster = rolled_out()
    cluster.apply(isvc(MODEL_2, 20))
    cluster.settle(5)

    cluster.apply(isvc(MODEL_2, percent))
    cluster.settle(5)

    said = condition(cluster.isvc(), "Ready")
    assert (said["status"], said["reason"]) == ("False", "ReconcileFailed")
    assert said["message"] == (
        'fails to reconcile predictor: fails to reconcile knative service: admission webhook '
        '"validation.webhook.serving.knative.dev" denied the request: validation failed: ' + "\n".join(lines))
    assert cluster.brief() == "False c2 r2 L1 P- r2:20 r1:80 prev"

    cluster.apply(isvc(MODEL_2, 20))
    cluster.settle(5)

    assert cluster.brief() == "True c2 r2 L1 P- r2:20 r1:80 prev"
    assert (cluster.isvc()["metadata"]["generation"], cluster.isvc()["status"]["observedGeneration"]) == (4, 2)


def test_specs_that_no_controller_can_use_get_the_recorded_status() -> None:
    real = {obj["metadata"]["name"]: obj for obj in load("bad-specs")}
    cluster = Simulator()

    for name in ("bad-fmt", "bad-rt", "bad-uri", "a" * 54):
        body = json.loads(json.dumps(real[name]))
        cluster.apply({**isvc(name=name), "spec": body["spec"]})
        cluster.settle(3)

        assert masked(cluster.isvc(name)["status"]) == masked(real[name]["status"])


def test_a_predictor_without_a_model_gets_the_path_of_its_model_list() -> None:
    cluster = Simulator()

    cluster.apply(isvc(None))
    cluster.settle(0.1)

    template = cluster.store.get(KNATIVE_SERVICE, NS, f"{NAME}-predictor")["spec"]["template"]
    assert template["metadata"]["annotations"]["internal.serving.kserve.io/configVolumeName"] == f"modelconfig-{NAME}-0"
    assert cluster.store.get(CONFIG_MAP, NS, f"modelconfig-{NAME}-0")["data"] == {"models.json": "[]"}


def test_a_broken_canary_blocks_the_model_and_serves_from_the_first_revision() -> None:
    cluster = rolled_out()

    cluster.apply(isvc(BROKEN, 20))
    cluster.settle(20)

    real = next(obj for obj in load("broken-canary") if obj["kind"] == "InferenceService")["status"]
    here = cluster.isvc()["status"]
    real["modelStatus"]["lastFailureInfo"]["message"] = here["modelStatus"]["lastFailureInfo"]["message"]
    assert masked(here) == masked(real)


def test_a_broken_canary_fails_at_the_progress_deadline_and_users_stay() -> None:
    cluster = rolled_out()
    cluster.apply(isvc(BROKEN, 20))

    cluster.settle(700)

    assert cluster.brief() == "False c2 r1 L1 P- r1:20 r1:80 prev"
    assert condition(cluster.isvc(), "Ready")["reason"] == "RevisionFailed"


def test_a_stopped_service_loses_its_children_and_comes_back_as_new() -> None:
    cluster = rolled_out("istio")

    cluster.annotate(stop="true")
    cluster.settle(5)

    status = cluster.isvc()["status"]
    assert {c["type"]: (c["status"], c.get("reason")) for c in status["conditions"]} == {
        "IngressReady": ("False", "Stopped"), "PredictorReady": ("False", "Stopped"), "Ready": ("False", "Stopped"),
        "Stopped": ("True", None)}
    for kind in (KNATIVE_SERVICE, REVISION, POD, VIRTUAL_SERVICE):
        assert cluster.store.list(kind, NS) == []
    assert [s for s in cluster.store.list(SERVICE, NS) if s["metadata"]["name"] == NAME] == []

    cluster.annotate(stop=None)
    cluster.settle(5)

    assert cluster.brief() == "True c1 r1 L1 P- r1:100"


def test_a_service_with_disabled_updates_is_left_alone_while_it_is_ready() -> None:
    cluster = rolled_out()
    cluster.annotate(**{"disable-auto-update": "true"})

    cluster.apply(isvc(MODEL_2))
    cluster.settle(5)

    assert cluster.brief() == "True c1 r1 L1 P- r1:100"


def test_scaled_to_zero_the_model_counts_as_loaded_still() -> None:
    cluster = Simulator()
    cluster.apply(isvc(MODEL, minReplicas=0))

    cluster.settle(300)

    assert cluster.store.list(POD, NS) == []
    assert cluster.brief() == "True c1 r1 L1 P- r1:100"
    assert cluster.isvc()["status"]["modelStatus"]["transitionStatus"] == "UpToDate"


def test_deleted_it_takes_everything_with_it() -> None:
    cluster = rolled_out("istio")

    cluster.store.delete(INFERENCE_SERVICE, NS, NAME)
    cluster.settle(60)

    for kind in (INFERENCE_SERVICE, KNATIVE_SERVICE, REVISION, POD, VIRTUAL_SERVICE, SERVICE):
        assert cluster.store.list(kind, NS) == []


def test_the_events_are_the_recorded_ones() -> None:
    cluster = Simulator()
    for uri, percent, notes in TUTORIAL:
        cluster.apply(isvc(uri, percent, notes))
        cluster.settle(90)

    real = [e for e in json.loads((FOLDER / "events.json").read_text()) if "the object has been modified" not in
            e["message"]]
    kinds = {e["involvedObject"]["kind"] for e in real}
    here = [e for e in cluster.store.list(EVENT, NS) if e["involvedObject"]["kind"] in kinds]

    def by_words(events: list[Object]) -> dict[tuple[str, str, str], Object]:
        return {(e["involvedObject"]["kind"], e["reason"], e["message"]): masked(e) for e in events}

    for event in [*here, *real]:
        event["metadata"].pop("name")
        if event["reason"] == "InferenceServiceReady":
            event.pop("count")  # how often it was Unknown in between depends on timing
    assert by_words(here) == by_words(real)


def test_traffic_follows_the_percent_once_a_revision_is_rolled_out() -> None:
    def listed(percent: int | None, rolled_out: str = "r1", tagged: bool = False) -> list[tuple[str, int, str]]:
        return [(t.get("revisionName", "latest"), t["percent"], t.get("tag", ""))
                for t in make_traffic(percent, rolled_out, tagged=tagged)]

    assert listed(None) == [("latest", 100, "")]
    assert listed(10, rolled_out="") == [("latest", 100, "")]
    assert listed(0) == [("latest", 0, ""), ("r1", 100, "prev")]
    assert listed(99) == [("latest", 99, ""), ("r1", 1, "prev")]
    assert listed(100, tagged=True) == [("latest", 100, "latest")]
    assert listed(10, tagged=True) == [("latest", 10, "latest"), ("r1", 90, "prev")]


def test_the_short_url_drops_the_predictors_suffix() -> None:
    assert short_url("http://iris-predictor.test.example.com") == "http://iris.test.example.com"
    assert short_url("http://iris-predictor.team-default.example.com") == \
        "http://iris-predictor.team-default.example.com"  # kserve issue 4021


@pytest.mark.parametrize(("model", "expected"), [
    ({"modelFormat": {"name": "sklearn"}}, "kserve-sklearnserver"),
    ({"modelFormat": {"name": "sklearn"}, "protocolVersion": "v2"}, "kserve-mlserver"),
    ({"modelFormat": {"name": "xgboost"}}, "kserve-xgbserver"),
    ({"modelFormat": {"name": "sklearn"}, "runtime": "kserve-predictiveserver"}, "kserve-predictiveserver"),
])
def test_a_model_gets_the_runtime_of_the_highest_priority(model: Object, expected: str) -> None:
    cluster = Simulator()
    body = isvc()
    body["spec"]["predictor"]["model"] = model

    assert choose_runtime(body, cluster.store).name == expected


@pytest.mark.parametrize(("model", "message"), [
    ({"modelFormat": {"name": "xgboost"}, "runtime": "kserve-sklearnserver"},
     "specified runtime kserve-sklearnserver does not support specified framework/version"),
    ({"modelFormat": {"name": "sklearn"}, "protocolVersion": "grpc-v2", "runtime": "kserve-sklearnserver"},
     "specified runtime kserve-sklearnserver does not support specified protocol version"),
    ({"modelFormat": {"name": "sklearn", "version": "9"}},
     "no runtime found to support predictor with model type: {sklearn 9}"),
])
def test_a_runtime_that_does_not_fit_is_named(model: Object, message: str) -> None:
    cluster = Simulator()
    body = isvc()
    body["spec"]["predictor"]["model"] = model

    with pytest.raises(PredictorError, match=message.replace("{", r"\{")):
        choose_runtime(body, cluster.store)


def test_a_disabled_runtime_is_refused() -> None:
    cluster = Simulator()
    runtime = cluster.store.get(CLUSTER_SERVING_RUNTIME, None, "kserve-sklearnserver")
    cluster.store.update(CLUSTER_SERVING_RUNTIME, {**runtime, "spec": {**runtime["spec"], "disabled": True}})
    body = isvc()
    body["spec"]["predictor"]["model"]["runtime"] = "kserve-sklearnserver"

    cluster.apply(body)
    cluster.settle(3)

    assert cluster.isvc()["status"]["modelStatus"]["lastFailureInfo"] == {
        "reason": "RuntimeDisabled", "message": "Specified runtime is disabled"}


def test_a_models_own_container_fields_win_over_the_runtimes() -> None:
    base = {"name": "kserve-container", "image": "a:1",
            "env": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}],
            "resources": {"limits": {"cpu": "1", "memory": "2Gi"}}}

    merged = merge_containers(base, {"env": [{"name": "B", "value": "3"}], "resources": {"limits": {"cpu": "2"}}})

    assert merged["env"] == [{"name": "A", "value": "1"}, {"name": "B", "value": "3"}]
    assert merged["resources"] == {"limits": {"cpu": "2", "memory": "2Gi"}}


def test_arguments_and_version_of_a_model_reach_the_container() -> None:
    cluster = Simulator()
    body = isvc(MODEL, timeout=30, containerConcurrency=2, maxReplicas=3, scaleTarget=5, scaleMetric="rps")
    body["spec"]["predictor"]["model"] |= {"args": ["--workers=2"], "runtimeVersion": "v0.19.0"}

    cluster.apply(body)
    cluster.settle(0.1)

    template = cluster.store.get(KNATIVE_SERVICE, NS, f"{NAME}-predictor")["spec"]["template"]
    container, annotations = template["spec"]["containers"][0], template["metadata"]["annotations"]
    assert container["image"] == "kserve/sklearnserver:v0.19.0"
    assert container["args"] == ["--model_name=sklearn-iris", "--model_dir=/mnt/models", "--http_port=8080",
                                 "--workers=2"]
    assert (template["spec"]["timeoutSeconds"], template["spec"]["containerConcurrency"]) == (30, 2)
    assert {k.removeprefix("autoscaling.knative.dev/"): v for k, v in annotations.items() if "autoscaling" in k} == {
        "class": "kpa.autoscaling.knative.dev", "min-scale": "1", "max-scale": "3", "target": "5", "metric": "rps"}
