"""Knative's webhooks for Services, Configurations, Routes and Revisions: defaults, and the texts of refusals."""

from __future__ import annotations

from typing import Any

import pytest

from kserve_nb.clusters.embedded.api.store.store import Store
from kserve_nb.clusters.embedded.apimachinery.kinds import (
    CONFIG_MAP,
    CONFIGURATION,
    INGRESS,
    KNATIVE_SERVICE,
    POD_AUTOSCALER,
    REVISION,
    ROUTE,
    SERVERLESS_SERVICE,
)
from kserve_nb.clusters.embedded.apimachinery.objects import Kind, Object, StatusError
from tests.unit.api_lab import items, new_store

DENIED = 'admission webhook "validation.webhook.serving.knative.dev" denied the request: validation failed: '
KSERVE = "system:serviceaccount:kserve:kserve-controller-manager"
AUTOSCALING = "spec.template.metadata.annotations.autoscaling.knative.dev"
CREATOR = "serving.knative.dev/creator"


def service(*, name: str = "iris", traffic: list[Object] | None = None, annotations: dict[str, str] | None = None,
            revision: str | None = None, **spec: Any) -> Object:
    meta: Object = {"annotations": annotations or {}} | ({"name": revision} if revision else {})
    template = {"metadata": meta, "spec": {"containers": [{"image": "app"}]} | spec}
    body: Object = {"metadata": {"name": name, "namespace": "kserve-test"}, "spec": {"template": template}}
    if traffic is not None:
        body["spec"]["traffic"] = traffic
    return body


def labelled(name: str, labels: dict[str, str], spec: Object) -> Object:
    return {"metadata": {"name": name, "namespace": "kserve-test", "labels": labels}, "spec": spec}


def refusal_of(body: Object, kind: Kind = KNATIVE_SERVICE) -> StatusError:
    with pytest.raises(StatusError) as refused:
        new_store("kserve-test").create(kind, body)
    return refused.value


def store_with(config: str, **data: str) -> Store:
    """A store in which a ConfigMap of Knative has some settings."""
    store = new_store("kserve-test")
    found = store.get(CONFIG_MAP, "knative-serving", config)
    store.update(CONFIG_MAP, found | {"data": {key.replace("_", "-"): value for key, value in data.items()}})
    return store


def created(body: Object, store: Store | None = None) -> Object:
    return (store or new_store("kserve-test")).create(KNATIVE_SERVICE, body)


def test_a_bare_service_gets_the_defaults_of_a_real_one() -> None:
    body = service(containers=[{"image": "app", "name": "kserve-container"}])
    body["metadata"]["ownerReferences"] = [
        {"apiVersion": "serving.kserve.io/v1beta1", "kind": "InferenceService", "name": "iris", "uid": "1"}]

    stored = created(body)

    assert stored["spec"]["traffic"] == [{"latestRevision": True, "percent": 100}]
    assert stored["spec"]["template"]["spec"] == {
        "containerConcurrency": 0, "enableServiceLinks": False, "timeoutSeconds": 300,
        "containers": [{"image": "app", "name": "kserve-container", "resources": {},
                        "readinessProbe": {"successThreshold": 1, "tcpSocket": {"port": 0}}}]}
    assert stored["metadata"]["annotations"] == {CREATOR: KSERVE, "serving.knative.dev/lastModifier": KSERVE}


@pytest.mark.parametrize(("spec", "field", "expected"), [
    ({"timeoutSeconds": 0}, "timeoutSeconds", 300),
    ({"timeoutSeconds": 600}, "responseStartTimeoutSeconds", 300),
    ({"timeoutSeconds": 300}, "responseStartTimeoutSeconds", None),
    ({"containers": [{"image": "app", "ports": [{"containerPort": 8080}]}, {"image": "app"}]}, "containers", [
        {"image": "app", "name": "user-container-0", "ports": [{"containerPort": 8080}], "resources": {},
         "readinessProbe": {"successThreshold": 1, "tcpSocket": {"port": 0}}},
        {"image": "app", "name": "user-container-1", "resources": {}}]),
    ({"containers": [{"image": "app", "readinessProbe": {"periodSeconds": 5, "grpc": {"port": 0}}}]}, "containers", [
        {"image": "app", "name": "user-container", "resources": {}, "readinessProbe": {
            "failureThreshold": 3, "grpc": {"port": 0, "service": ""}, "periodSeconds": 5, "successThreshold": 1,
            "timeoutSeconds": 1}}]),
    ({"containers": [{"image": "app", "volumeMounts": [{"name": "s", "mountPath": "/s"}]}],
      "volumes": [{"name": "s", "secret": {"secretName": "s"}}]}, "containers", [
        {"image": "app", "name": "user-container", "resources": {},
         "readinessProbe": {"successThreshold": 1, "tcpSocket": {"port": 0}},
         "volumeMounts": [{"name": "s", "mountPath": "/s", "readOnly": True}]}]),
])
def test_a_revision_template_gets_defaults(spec: Object, field: str, expected: Any) -> None:
    assert created(service(**spec))["spec"]["template"]["spec"].get(field) == expected


def test_traffic_without_a_percent_gets_none_of_it() -> None:
    stored = created(service(traffic=[{"percent": 100}, {"revisionName": "iris-00001", "tag": "a"}]))

    assert stored["spec"]["traffic"] == [
        {"latestRevision": True, "percent": 100},
        {"latestRevision": False, "percent": 0, "revisionName": "iris-00001", "tag": "a"}]


def test_the_settings_of_the_cluster_are_the_defaults() -> None:
    store = store_with("config-defaults", revision_timeout_seconds="120", container_concurrency="7",
                       revision_cpu_request="400m", revision_memory_limit="200M", enable_service_links="default")

    spec = created(service(), store)["spec"]["template"]["spec"]

    assert (spec["timeoutSeconds"], spec["containerConcurrency"]) == (120, 7)
    assert "enableServiceLinks" not in spec
    assert spec["containers"][0]["resources"] == {"requests": {"cpu": "400m"}, "limits": {"memory": "200M"}}


@pytest.mark.parametrize(("config", "data", "words"), [
    ("config-defaults", {"revision_timeout_seconds": "soon"},
     'failed to parse "revision-timeout-seconds": strconv.ParseInt: parsing "soon": invalid syntax'),
    ("config-defaults", {"revision_timeout_seconds": "900"},
     "revision-timeout-seconds (900) cannot be greater than max-revision-timeout-seconds (600)"),
    ("config-defaults", {"revision_idle_timeout_seconds": "400"},
     "revision-idle-timeout-seconds (400) cannot be greater than revision-timeout-seconds (300)"),
    ("config-defaults", {"container_concurrency_max_limit": "0"},
     "expected 1 <= 0 <= 2147483647: container-concurrency-max-limit"),
    ("config-defaults", {"container_concurrency": "2000"}, "expected 0 <= 2000 <= 1000: container-concurrency"),
    ("config-defaults", {"revision_cpu_limit": "x"}, 'failed to parse "revision-cpu-limit": quantities must match'),
    ("config-autoscaler", {"stable_window": "5s"}, "stable-window = 5s, must be in [6s; 1h0m0s] range"),
    ("config-autoscaler", {"max_scale_up_rate": "1"}, "max-scale-up-rate = 1, must be greater than 1.0"),
    ("config-autoscaler", {"initial_scale": "0"}, "initial-scale = 0, must be at least 0 (or at least 1 when"),
    ("config-autoscaler", {"enable_scale_to_zero": "maybe"},
     'failed to parse data: failed to parse "enable-scale-to-zero": strconv.ParseBool: parsing "maybe"'),
    ("config-autoscaler", {"max_scale_limit": "5"}, "max-scale = 0, must be in [1, max-scale-limit(5)] range"),
    ("config-autoscaler", {"target_burst_capacity": "-2"},
     "target-burst-capacity must be either non-negative or -1 (for unlimited), was: -2.000000"),
    ("config-autoscaler", {"scale_to_zero_grace_period": "0s"}, "scale-to-zero-grace-period must be positive, was: 0s"),
])
def test_a_setting_that_cannot_be_read_is_refused(config: str, data: dict[str, str], words: str) -> None:
    with pytest.raises(StatusError) as refused:
        store_with(config, **data)

    assert refused.value.message.startswith(
        f'admission webhook "config.webhook.serving.knative.dev" denied the request: validation failed: {words}')


@pytest.mark.parametrize(("traffic", "words"), [
    ([{"latestRevision": True, "percent": 101}],
     "Traffic targets sum to 101, want 100: spec.traffic\nexpected 0 <= 101 <= 100: spec.traffic[0].percent"),
    ([{"latestRevision": True, "percent": -1}, {"revisionName": "iris-00001", "percent": 101}],
     "expected 0 <= -1 <= 100: spec.traffic[0].percent\nexpected 0 <= 101 <= 100: spec.traffic[1].percent"),
    ([{"latestRevision": True, "revisionName": "iris-00001", "percent": 100}],
     'may not set revisionName "iris-00001" when latestRevision is true: spec.traffic[0].latestRevision'),
    ([{"latestRevision": False, "percent": 100}],
     'may not set revisionName "" when latestRevision is false: spec.traffic[0].latestRevision'),
    ([{"percent": 100, "configurationName": "iris"}],
     "must not set the field(s): spec.traffic[0].configurationName"),
    ([{"percent": 100, "url": "http://a"}], "must not set the field(s): spec.traffic[0].url"),
    ([{"percent": 100, "tag": "A"}], "invalid value: not a DNS 1035 label: [a DNS-1035 label must consist of"),
    ([{"percent": 50, "tag": "a"}, {"percent": 50, "tag": "a"}],
     'Multiple definitions for "a": spec.traffic[0].tag, spec.traffic[1].tag'),
    ([{"percent": 100, "revisionName": "a/b/c"}], 'invalid key name "a/b/c": spec.traffic[0].revisionName\n'),
])
def test_invalid_traffic_is_refused_with_knatives_message(traffic: list[Object], words: str) -> None:
    error = refusal_of(service(traffic=traffic))

    assert (error.code, error.reason) == (400, "BadRequest")
    assert error.message.startswith(DENIED + words)


@pytest.mark.parametrize(("traffic", "words"), [
    ([{"percent": 100}], "expected exactly one, got neither: spec.traffic[0].configurationName, "
                         "spec.traffic[0].revisionName"),
    ([{"percent": 100, "configurationName": "iris", "revisionName": "iris-00001"}],
     "expected exactly one, got both: spec.traffic[0].configurationName, spec.traffic[0].revisionName"),
    ([], "Traffic targets sum to 0, want 100: spec.traffic"),
])
def test_a_route_names_its_revisions_or_configurations(traffic: list[Object], words: str) -> None:
    body = {"metadata": {"name": "iris", "namespace": "kserve-test"}, "spec": {"traffic": traffic}}

    assert refusal_of(body, ROUTE).message == DENIED + words


@pytest.mark.parametrize(("body", "words"), [
    (service(name="a" * 64), "not a DNS 1035 label: [must be no more than 63 characters]: metadata.name"),
    (service(timeoutSeconds=-1), "expected 0 <= -1 <= 600: spec.template.spec.timeoutSeconds"),
    (service(timeoutSeconds=601), "expected 0 <= 601 <= 600: spec.template.spec.timeoutSeconds"),
    (service(containerConcurrency=1001), "expected 0 <= 1001 <= 1000: spec.template.spec.containerConcurrency"),
    (service(annotations={"autoscaling.knative.dev/target": "-1"}),
     f"target -1 should be at least 0.01: {AUTOSCALING}/target"),
    (service(annotations={"networking.knative.dev/ingress": "a"}),
     'invalid key name "networking.knative.dev/ingress": spec.template.metadata.annotations'),
    (service(annotations={"serving.knative.dev/progress-deadline": "1500ms"}),
     "progress-deadline=1500ms is not at second precision: "
     "spec.template.metadata.annotations.serving.knative.dev/progress-deadline"),
    (service(annotations={"queue.sidecar.serving.knative.dev/cpu-resource-limit": "lots"}),
     "invalid value: lots: "
     "spec.template.metadata.annotations.[queue.sidecar.serving.knative.dev/cpu-resource-limit]"),
    (service(annotations={"queue.sidecar.serving.knative.dev/resource-percentage": "0.05"}),
     "expected 0.1 <= 0.05 <= 100: "
     "spec.template.metadata.annotations.[queue.sidecar.serving.knative.dev/resource-percentage]"),
    (service(revision="other-1"), 'invalid value: "other-1" must have prefix "iris-": spec.template.metadata.name'),
    (service(revision="iris-A"), "invalid value: not a DNS 1035 label: [a DNS-1035 label must consist of lower case "),
])
@pytest.mark.slow
def test_other_invalid_services_are_refused_with_knatives_message(body: Object, words: str) -> None:
    assert refusal_of(body).message.startswith(DENIED + words)


def test_autoscaling_annotations_of_a_service_belong_into_its_template() -> None:
    body = service()
    body["metadata"]["annotations"] = {"autoscaling.knative.dev/min-scale": "1"}

    assert refusal_of(body).message == (
        f'{DENIED}invalid key name "autoscaling.knative.dev/min-scale": metadata.annotations\n'
        'autoscaling annotations must be put under "spec.template.metadata.annotations" to work')


@pytest.mark.parametrize(("name", "value", "words"), [
    ("min-scale", "two", "invalid value: two"), ("min-scale", "-1", "expected 0 <= -1 <= 2147483647"),
    ("minScale", "two", "invalid value: two"), ("max-scale", "3000000000", "expected 0 <= 3000000000 <= 2147483647"),
    ("activation-scale", "1", "activation-scale=1 must be greater than 1"),
    ("activation-scale", "x", "invalid value: x"),
    ("window", "1s", "expected 6s <= 1s <= 1h0m0s"), ("window", "soon", "invalid value: soon"),
    ("window", "6500ms", "must be specified with at most second precision"),
    ("scale-down-delay", "-1s", "expected 0s <= -1s <= 1h0m0s"),
    ("scale-to-zero-pod-retention-period", "2h", "expected 0s <= 2h <= 1h0m0s"),
    ("panic-window-percentage", "0.5", "expected 1 <= 0.5 <= 100"),
    ("panic-threshold-percentage", "100", "expected 110 <= 100 <= 1000"),
    ("target-utilization-percentage", "0", "expected 1 <= 0 <= 100"), ("target", "x", "invalid value: x"),
    ("target-burst-capacity", "-2", "invalid value: -2"),
    ("class", "vpa.autoscaling.knative.dev", "invalid value: vpa.autoscaling.knative.dev"),
    ("metric", "cpu", "invalid value: cpu"),
])
@pytest.mark.slow
def test_invalid_scaling_is_refused_with_knatives_message(name: str, value: str, words: str) -> None:
    refused = refusal_of(service(annotations={f"autoscaling.knative.dev/{name}": value}))

    assert refused.message == f"{DENIED}{words}: {AUTOSCALING}/{name}"


def test_the_algorithm_is_checked_only_for_knatives_own_class() -> None:
    algorithm = {"autoscaling.knative.dev/metric-aggregation-algorithm": "mean"}

    created(service(annotations=algorithm))
    refused = refusal_of(service(annotations=algorithm | {
        "autoscaling.knative.dev/class": "kpa.autoscaling.knative.dev"}))

    assert refused.message == f"{DENIED}invalid value: mean: {AUTOSCALING}/metric-aggregation-algorithm"


@pytest.mark.parametrize(("scales", "words"), [
    ({"min-scale": "3", "activation-scale": "2"}, "min-scale=3 is greater than activation-scale=2"),
    ({"max-scale": "2", "activation-scale": "3"}, "max-scale=2 is less than activation-scale=3"),
])
def test_an_activation_scale_is_between_the_bounds(scales: dict[str, str], words: str) -> None:
    refused = refusal_of(service(annotations={f"autoscaling.knative.dev/{k}": v for k, v in scales.items()}))

    assert refused.message == f"{DENIED}{words}: {AUTOSCALING}/activation-scale"


@pytest.mark.parametrize(("value", "why"), [
    ("0", "=0 not allowed by cluster"), ("-1", " must be greater than 0"), ("many", "")])
def test_an_invalid_initial_scale_is_refused_with_knatives_message(value: str, why: str) -> None:
    refused = refusal_of(service(annotations={"autoscaling.knative.dev/initial-scale": value}))

    assert refused.message == f"{DENIED}invalid value: {value}: {AUTOSCALING}/initial-scale{why}"


def test_limits_of_the_cluster_hold_for_annotations() -> None:
    store = store_with("config-autoscaler", max_scale_limit="5", max_scale="3", allow_zero_initial_scale="true")

    created(service(annotations={"autoscaling.knative.dev/initial-scale": "0"}), store)
    with pytest.raises(StatusError) as refused:
        created(service(name="other", annotations={"autoscaling.knative.dev/max-scale": "6"}), store)
    with pytest.raises(StatusError) as unlimited:
        created(service(name="other", annotations={"autoscaling.knative.dev/max-scale": "0"}), store)

    assert refused.value.message == f"{DENIED}expected 1 <= 6 <= 5: {AUTOSCALING}/max-scale"
    assert unlimited.value.message == f"{DENIED}max-scale=0 (unlimited), must be less than 5: {AUTOSCALING}/max-scale"


def test_a_maximum_below_the_minimum_is_refused_once_for_both() -> None:
    refused = refusal_of(service(annotations={"autoscaling.knative.dev/min-scale": "3",
                                              "autoscaling.knative.dev/max-scale": "2"}))

    assert refused.message == (f"{DENIED}max-scale=2 is less than min-scale=3: {AUTOSCALING}/max-scale, "
                               f"{AUTOSCALING}/min-scale")


@pytest.mark.parametrize(("value", "words"), [
    ("abc", "invalid value: abc"), ("1500ms", "rollout-duration=1500ms is not at second precision"),
    ("-10s", "rollout-duration=-10s must be positive")])
def test_an_invalid_rollout_duration_is_refused_with_knatives_message(value: str, words: str) -> None:
    body = service()
    body["metadata"]["annotations"] = {"serving.knative.dev/rollout-duration": value}

    assert refusal_of(body).message == f"{DENIED}{words}: metadata.annotations.serving.knative.dev/rollout-duration"


def test_a_wrong_type_is_refused_while_decoding() -> None:
    error = refusal_of(service(traffic=[{"latestRevision": True, "percent": "ten"}]))

    assert error.message == (
        'admission webhook "webhook.serving.knative.dev" denied the request: mutation failed: cannot decode incoming '
        "new object: json: cannot unmarshal string into Go struct field TrafficTarget.spec.traffic.percent "
        "of type int64")


def test_the_creator_of_a_service_cannot_be_changed() -> None:
    store = new_store("kserve-test")
    stored = created(service(), store)
    del stored["metadata"]["annotations"]

    with pytest.raises(StatusError) as refused:
        store.update(KNATIVE_SERVICE, stored)

    assert refused.value.message == (
        f"{DENIED}annotation value is immutable: metadata.annotations.{CREATOR}\n"
        "invalid value: : metadata.annotations.serving.knative.dev/lastModifier")


def test_a_change_names_who_made_it() -> None:
    store = new_store("kserve-test")
    body = service()
    body["metadata"]["ownerReferences"] = [
        {"apiVersion": "serving.kserve.io/v1beta1", "kind": "InferenceService", "name": "iris", "uid": "1"}]
    stored = created(body, store)
    stored["metadata"].pop("ownerReferences")
    stored["spec"]["template"]["spec"]["timeoutSeconds"] = 10

    changed = store.update(KNATIVE_SERVICE, stored)

    assert changed["metadata"]["annotations"] == {
        CREATOR: KSERVE, "serving.knative.dev/lastModifier": "kubernetes-admin"}


def test_a_named_revision_cannot_be_changed_under_its_name() -> None:
    store = new_store("kserve-test")
    stored = created(service(revision="iris-green", containers=[{"image": "app", "env": [
        {"name": "A", "value": "1"}]}]), store)
    stored["spec"]["template"]["spec"]["containers"][0]["env"][0]["value"] = "2"

    with pytest.raises(StatusError) as refused:
        store.update(KNATIVE_SERVICE, stored)
    stored["spec"]["template"]["metadata"]["name"] = "iris-blue"
    renamed = store.update(KNATIVE_SERVICE, stored)

    assert refused.value.message == (
        f"{DENIED}Saw the following changes without a name change (-old +new): spec.template.metadata.name\n"
        '{*v1.RevisionTemplateSpec}.Spec.PodSpec.Containers[0].Env[0].Value:\n\t-: "1"\n\t+: "2"\n')
    assert renamed["spec"]["template"]["metadata"]["name"] == "iris-blue"


def test_a_revision_cannot_be_changed() -> None:
    store = new_store("kserve-test")
    stored = store.create(REVISION, {"metadata": {"name": "iris-00001", "namespace": "kserve-test"},
                                     "spec": {"containers": [{"image": "app"}]}})
    stored["spec"]["timeoutSeconds"] = 10

    with pytest.raises(StatusError) as refused:
        store.update(REVISION, stored)

    assert refused.value.message == (
        f'{DENIED}Immutable fields changed (-old +new): spec\n{{v1.RevisionSpec}}.TimeoutSeconds:\n\t-: "300"\n'
        '\t+: "10"\n')


@pytest.mark.parametrize(("kind", "label", "spec"), [
    (CONFIGURATION, "serving.knative.dev/service", {"template": {"spec": {"containers": [{"image": "app"}]}}}),
    (ROUTE, "serving.knative.dev/service", {"traffic": [{"configurationName": "iris", "percent": 100}]}),
    (REVISION, "serving.knative.dev/configuration", {"containers": [{"image": "app"}]}),
])
def test_a_label_that_names_an_owner_needs_the_owner(kind: Kind, label: str, spec: Object) -> None:
    refused = refusal_of(labelled("iris", {label: "iris"}, spec), kind)

    assert refused.message == f"{DENIED}missing field(s): metadata.labels.{label}"


def test_insecure_defaults_are_warned_about() -> None:
    warnings: list[str] = []
    secure = {"runAsNonRoot": True, "allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]},
              "seccompProfile": {"type": "RuntimeDefault"}}

    new_store("kserve-test").create(KNATIVE_SERVICE, service(), warnings=warnings)
    new_store("kserve-test").create(
        KNATIVE_SERVICE, service(containers=[{"image": "app", "securityContext": secure}]), warnings=warnings)

    at = "spec.template.spec.containers[0].securityContext"
    assert warnings == [
        "Kubernetes default value is insecure, Knative may default this to secure in a future release: "
        f"{at}.allowPrivilegeEscalation, {at}.capabilities, {at}.runAsNonRoot, {at}.seccompProfile"]


def test_secure_defaults_are_set_where_the_cluster_has_them() -> None:
    store = store_with("config-features", secure_pod_defaults="Enabled")

    container = created(service(), store)["spec"]["template"]["spec"]["containers"][0]

    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]},
        "seccompProfile": {"type": "RuntimeDefault"}}


def autoscaler(**spec: Any) -> Object:
    reference = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "iris-00001-deployment"}
    return {"metadata": {"name": "iris-00001", "namespace": "kserve-test"},
            "spec": {"scaleTargetRef": reference, "protocolType": "http1"} | spec}


def test_an_autoscaler_gets_its_class_and_metric() -> None:
    stored = new_store("kserve-test").create(POD_AUTOSCALER, autoscaler())

    assert stored["metadata"]["annotations"] == {
        "autoscaling.knative.dev/class": "kpa.autoscaling.knative.dev", "autoscaling.knative.dev/metric": "concurrency"}


@pytest.mark.parametrize(("kind", "body", "words"), [
    (POD_AUTOSCALER, autoscaler() | {"spec": {}}, "missing field(s): spec"),
    (POD_AUTOSCALER, autoscaler(scaleTargetRef={}),
     "missing field(s): spec.scaleTargetRef.apiVersion, spec.scaleTargetRef.kind, spec.scaleTargetRef.name"),
    (POD_AUTOSCALER, autoscaler(protocolType="grpc"), "invalid value: grpc: spec.protocolType"),
    (POD_AUTOSCALER, autoscaler(containerConcurrency=-1), "expected 0 <= -1 <= 1000: spec.containerConcurrency"),
    (SERVERLESS_SERVICE, labelled("a", {}, {"mode": "Both", "objectRef": {
        "apiVersion": "apps/v1", "kind": "Deployment", "name": "a"}, "protocolType": "http1"}),
     "invalid value: Both: spec.mode"),
    (SERVERLESS_SERVICE, labelled("a", {}, {"mode": "Serve", "protocolType": "http1"}),
     "missing field(s): spec.objectRef.apiVersion, spec.objectRef.kind, spec.objectRef.name"),
    (INGRESS, labelled("a", {}, {}), "missing field(s): spec"),
    (INGRESS, labelled("a", {}, {"rules": [{"hosts": ["a"]}]}), "missing field(s): spec.rules[0].http"),
    (INGRESS, labelled("a", {}, {"rules": [{"http": {"paths": [{"splits": [
        {"percent": 90, "serviceName": "a", "serviceNamespace": "kserve-test", "servicePort": 80}]}]}}]}),
     "traffic split percentage must total to 100, but was 90: spec.rules[0].http.paths[0].splits"),
    (INGRESS, labelled("a", {}, {"rules": [{"http": {"paths": [{"splits": [
        {"percent": 100, "serviceName": "a", "serviceNamespace": "other", "servicePort": 80}]}]}}]}),
     "service namespace must match ingress namespace: spec.rules[0].http.paths[0].splits[0].serviceNamespace"),
])
def test_internal_kinds_have_rules_too(kind: Kind, body: Object, words: str) -> None:
    assert refusal_of(body, kind).message == DENIED + words


def test_traffic_of_a_canary_is_left_as_it_is() -> None:
    traffic = items("ksvc")[0]["spec"]["traffic"]

    stored = created(service(traffic=traffic))

    assert stored["spec"]["traffic"] == traffic
