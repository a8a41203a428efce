"""Knative's webhooks: what they fill in, and what they refuse in which words."""

from __future__ import annotations

from typing import Any

import pytest

from kserve_nb.clusters.embedded.kinds import KNATIVE_SERVICE, POD_AUTOSCALER
from kserve_nb.clusters.embedded.objects import Object, StatusError
from tests.unit.api_lab import items, new_store

DENIED = 'admission webhook "validation.webhook.serving.knative.dev" denied the request: validation failed: '
KSERVE = "system:serviceaccount:kserve:kserve-controller-manager"


def service(*, name: str = "iris", traffic: list[Object] | None = None, annotations: dict[str, str] | None = None,
            **spec: Any) -> Object:
    template = {"metadata": {"annotations": annotations or {}}, "spec": {"containers": [{"image": "i"}]} | spec}
    body: Object = {"metadata": {"name": name, "namespace": "kserve-test"}, "spec": {"template": template}}
    if traffic is not None:
        body["spec"]["traffic"] = traffic
    return body


def refusal_of(body: Object) -> StatusError:
    with pytest.raises(StatusError) as refused:
        new_store("kserve-test").create(KNATIVE_SERVICE, body)
    return refused.value


def test_a_bare_service_gets_the_defaults_of_a_real_one() -> None:
    body = service(containers=[{"image": "i", "name": "kserve-container"}])
    body["metadata"]["ownerReferences"] = [
        {"apiVersion": "serving.kserve.io/v1beta1", "kind": "InferenceService", "name": "iris", "uid": "1"}]

    stored = new_store("kserve-test").create(KNATIVE_SERVICE, body)

    assert stored["spec"]["traffic"] == [{"latestRevision": True, "percent": 100}]
    assert stored["spec"]["template"]["spec"] == {
        "containerConcurrency": 0, "enableServiceLinks": False, "timeoutSeconds": 300,
        "containers": [{"image": "i", "name": "kserve-container", "resources": {},
                        "readinessProbe": {"successThreshold": 1, "tcpSocket": {"port": 0}}}]}
    assert stored["metadata"]["annotations"] == {
        "serving.knative.dev/creator": KSERVE, "serving.knative.dev/lastModifier": KSERVE}


@pytest.mark.parametrize(("traffic", "words"), [
    ([{"latestRevision": True, "percent": 101}],
     "Traffic targets sum to 101, want 100: spec.traffic\nexpected 0 <= 101 <= 100: spec.traffic[0].percent"),
    ([{"latestRevision": True, "percent": -1}, {"revisionName": "iris-00001", "percent": 101}],
     "expected 0 <= -1 <= 100: spec.traffic[0].percent\nexpected 0 <= 101 <= 100: spec.traffic[1].percent"),
])
def test_impossible_traffic_is_refused_in_knatives_words(traffic: list[Object], words: str) -> None:
    error = refusal_of(service(traffic=traffic))

    assert (error.code, error.reason, error.message) == (400, "BadRequest", DENIED + words)


@pytest.mark.parametrize(("body", "words"), [
    (service(name="a" * 64), "not a DNS 1035 label: [must be no more than 63 characters]: metadata.name"),
    (service(timeoutSeconds=-1), "expected 0 <= -1 <= 600: spec.template.spec.timeoutSeconds"),
    (service(annotations={"autoscaling.knative.dev/target": "-1"}),
     "target -1 should be at least 0.01: spec.template.metadata.annotations.autoscaling.knative.dev/target"),
])
def test_other_impossible_services_are_refused_in_knatives_words(body: Object, words: str) -> None:
    assert refusal_of(body).message == DENIED + words


@pytest.mark.parametrize(("name", "value", "words"), [
    ("min-scale", "two", "invalid value: two"), ("min-scale", "-1", "expected 0 <= -1 <= 2147483647"),
    ("window", "1s", "expected 6s <= 1s <= 1h0m0s"), ("window", "soon", "invalid value: soon"),
    ("window", "6500ms", "must be specified with at most second precision"),
    ("scale-down-delay", "-1s", "expected 0s <= -1s <= 1h0m0s"),
    ("scale-to-zero-pod-retention-period", "2h", "expected 0s <= 2h <= 1h0m0s"),
    ("target-utilization-percentage", "0", "expected 1 <= 0 <= 100"),
    ("target-burst-capacity", "-2", "invalid value: -2"),
    ("class", "vpa.autoscaling.knative.dev", "invalid value: vpa.autoscaling.knative.dev"),
    ("metric", "cpu", "invalid value: cpu"), ("metric-aggregation-algorithm", "mean", "invalid value: mean"),
])
def test_impossible_scaling_is_refused_in_knatives_words(name: str, value: str, words: str) -> None:
    refused = refusal_of(service(annotations={f"autoscaling.knative.dev/{name}": value}))

    assert refused.message == f"{DENIED}{words}: spec.template.metadata.annotations.autoscaling.knative.dev/{name}"


@pytest.mark.parametrize(("value", "why"), [
    ("0", "=0 not allowed by cluster"), ("-1", " must be greater than 0"), ("many", "")])
def test_an_impossible_initial_scale_is_refused_in_knatives_words(value: str, why: str) -> None:
    refused = refusal_of(service(annotations={"autoscaling.knative.dev/initial-scale": value}))

    assert refused.message == (f"{DENIED}invalid value: {value}: spec.template.metadata.annotations."
                               f"autoscaling.knative.dev/initial-scale{why}")


def test_a_maximum_below_the_minimum_is_refused_once_for_both() -> None:
    refused = refusal_of(service(annotations={"autoscaling.knative.dev/min-scale": "3",
                                              "autoscaling.knative.dev/max-scale": "2"}))

    at = "spec.template.metadata.annotations.autoscaling.knative.dev"
    assert refused.message == f"{DENIED}max-scale=2 is less than min-scale=3: {at}/max-scale, {at}/min-scale"


@pytest.mark.parametrize(("value", "words"), [
    ("abc", "invalid value: abc"), ("1500ms", "rollout-duration=1500ms is not at second precision"),
    ("-10s", "rollout-duration=-10s must be positive")])
def test_an_impossible_rollout_duration_is_refused_in_knatives_words(value: str, words: str) -> None:
    body = service()
    body["metadata"]["annotations"] = {"serving.knative.dev/rollout-duration": value}

    assert refusal_of(body).message == f"{DENIED}{words}: metadata.annotations.serving.knative.dev/rollout-duration"


def test_a_wrong_type_is_refused_while_decoding() -> None:
    error = refusal_of(service(traffic=[{"latestRevision": True, "percent": "ten"}]))

    assert error.message == (
        'admission webhook "webhook.serving.knative.dev" denied the request: mutation failed: cannot decode incoming '
        "new object: json: cannot unmarshal string into Go struct field TrafficTarget.spec.traffic.percent "
        "of type int64")


def test_the_last_modifier_stays_while_the_spec_stays() -> None:
    store = new_store("kserve-test")
    stored = store.create(KNATIVE_SERVICE, service())
    stored["metadata"]["labels"] = {"a": "b"}
    del stored["metadata"]["annotations"]

    updated = store.update(KNATIVE_SERVICE, stored)

    assert updated["metadata"]["annotations"]["serving.knative.dev/creator"] == "kubernetes-admin"


def test_an_autoscaler_gets_its_class_and_metric() -> None:
    body: Object = {"metadata": {"name": "iris-00001", "namespace": "kserve-test"}, "spec": {}}

    stored = new_store("kserve-test").create(POD_AUTOSCALER, body)

    assert stored["metadata"]["annotations"] == {
        "autoscaling.knative.dev/class": "kpa.autoscaling.knative.dev", "autoscaling.knative.dev/metric": "concurrency"}


def test_traffic_of_a_canary_is_left_as_it_is() -> None:
    traffic = items("ksvc")[0]["spec"]["traffic"]

    stored = new_store("kserve-test").create(KNATIVE_SERVICE, service(traffic=traffic))

    assert stored["spec"]["traffic"] == traffic
