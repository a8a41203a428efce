"""Unknown fields and wrong types: the API server's messages, with types from the SDKs' models."""

from __future__ import annotations

import json
from typing import Any

import pytest

from kserve_nb.clusters.embedded.api.schema import generate_schemas
from kserve_nb.clusters.embedded.api.schema.decoding import type_error
from kserve_nb.clusters.embedded.api.schema.kind_types import fields_of, type_of_kind
from kserve_nb.clusters.embedded.api.schema.structural_schemas import check_values, validate
from kserve_nb.clusters.embedded.apimachinery.kinds import (
    CLUSTER_SERVING_RUNTIME,
    DEPLOYMENT,
    INFERENCE_SERVICE,
    KINDS,
    POD,
)
from kserve_nb.clusters.embedded.apimachinery.objects import Object, StatusError
from tests.unit.api_lab import items


def isvc(**predictor: Any) -> Object:
    return {"metadata": {"name": "iris"}, "spec": {"predictor": predictor}}


@pytest.mark.slow
def test_the_table_of_types_equals_the_installed_sdks_declarations() -> None:
    stored = json.loads(generate_schemas.SDK_TYPES.read_text())

    assert stored == generate_schemas.sdk_types(), (
        "an SDK was upgraded: run python -m kserve_nb.clusters.embedded.api.schema.generate_schemas "
        "and read the difference")


@pytest.mark.parametrize("kind", [kind for kind in KINDS if not kind.internal], ids=lambda kind: kind.resource)
def test_every_served_kind_has_fields(kind: Any) -> None:
    type_name = type_of_kind(kind)

    assert type_name is not None
    assert {"apiVersion", "kind", "metadata"} <= set(fields_of(type_name))


@pytest.mark.parametrize(
    "name", ["isvc", "ksvc", "configurations", "revisions", "routes", "pods", "deploy", "rs", "svc"])
def test_objects_of_a_real_cluster_have_known_fields_only(name: str) -> None:
    for real in items(name):
        kind = next(k for k in KINDS if (k.api_version, k.kind) == (real["apiVersion"], real["kind"]))

        assert validate(kind, real, "Strict") == (real, [])


def test_unknown_fields_are_refused_warned_of_or_dropped() -> None:
    body = isvc(canaryTrafficPercnt=10, containers=[{"name": "c", "imagee": "i"}])
    unknown = ['unknown field "spec.predictor.canaryTrafficPercnt"',
               'unknown field "spec.predictor.containers[0].imagee"']

    with pytest.raises(StatusError) as refused:
        validate(INFERENCE_SERVICE, body, "Strict")

    assert refused.value.message == (
        'InferenceService in version "v1beta1" cannot be handled as a InferenceService: strict decoding error: '
        + ", ".join(unknown))
    pruned = isvc(containers=[{"name": "c"}])
    assert validate(INFERENCE_SERVICE, body, "Warn") == (pruned, unknown)
    assert validate(INFERENCE_SERVICE, body, "Ignore") == (pruned, [])


def test_a_wrong_type_in_a_built_in_kind_is_a_bad_request() -> None:
    body = {"metadata": {"name": "x"}, "spec": {"template": {"spec": {"terminationGracePeriodSeconds": "30"}}}}

    with pytest.raises(StatusError) as refused:
        validate(DEPLOYMENT, body, "Strict")

    assert (refused.value.code, refused.value.message) == (
        400, 'Deployment in version "v1" cannot be handled as a Deployment: json: cannot unmarshal string into Go '
             "struct field PodSpec.spec.template.spec.terminationGracePeriodSeconds of type int64")


@pytest.mark.parametrize(("predictor", "words"), [
    ({"canaryTrafficPercent": 12.5}, "number 12.5 into Go struct field PredictorSpec.spec.predictor."
                                     "ComponentExtensionSpec.canaryTrafficPercent of type int64"),
    ({"minReplicas": 2**40}, "number 1099511627776 into Go struct field PredictorSpec.spec.predictor."
                             "ComponentExtensionSpec.minReplicas of type int32"),
    ({"model": {"image": True}}, "bool into Go struct field ModelSpec.spec.predictor.model.PredictorExtensionSpec."
                                 "Container.image of type string"),
    ({"model": "iris"}, "string into Go struct field PredictorSpec.spec.predictor.model of type v1beta1.ModelSpec"),
    ({"tolerations": {}}, "object into Go struct field PredictorSpec.spec.predictor.PodSpec.tolerations "
                          "of type []v1.Toleration"),
])
def test_decoding_errors_name_field_and_type_as_go_does(predictor: Object, words: str) -> None:
    assert type_error("V1beta1InferenceService", isvc(**predictor), embedded_names=True) == (
        f"json: cannot unmarshal {words}")


def test_a_whole_number_may_be_written_as_a_float() -> None:
    assert type_error("V1beta1InferenceService", isvc(canaryTrafficPercent=10.0)) is None


def test_a_quantity_that_is_none_is_named() -> None:
    body = isvc(model={"resources": {"limits": {"cpu": "many"}}})

    assert type_error("V1beta1InferenceService", body) == (
        "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'")


def test_a_schema_refuses_wrong_types_where_no_webhook_does() -> None:
    body = {"metadata": {"name": "rt"}, "spec": {"disabled": "yes", "containers": []}}

    with pytest.raises(StatusError) as refused:
        check_values(CLUSTER_SERVING_RUNTIME, body)

    assert refused.value.message == (
        'ClusterServingRuntime.serving.kserve.io "rt" is invalid: spec.disabled: Invalid value: "string": '
        'spec.disabled in body must be of type boolean: "string"')


@pytest.mark.parametrize(("predictor", "problem"), [
    ({"name": "Blue"}, "spec.predictor.name: Invalid value: \"Blue\": spec.predictor.name in body should match "
                       "'^[a-z]([-a-z0-9]*[a-z0-9])?$'"),
    ({"storageUris": []}, "spec.predictor.storageUris: Invalid value: 0: spec.predictor.storageUris in body should "
                          "have at least 1 items"),
    ({"storageUris": [{"mountPath": "models"}]}, "[spec.predictor.storageUris[0].uri: Required value, "
     "spec.predictor.storageUris[0].mountPath: Invalid value: \"models\": spec.predictor.storageUris[0].mountPath in "
     "body should match '^/.*']"),
    ({"volumes": [{"emptyDir": {}}]}, "spec.predictor.volumes[0].name: Required value"),
])
def test_kserves_schema_limits_values(predictor: Object, problem: str) -> None:
    with pytest.raises(StatusError) as refused:
        check_values(INFERENCE_SERVICE, isvc(**predictor))

    assert refused.value.message == f'InferenceService.serving.kserve.io "iris" is invalid: {problem}'


def test_what_an_update_leaves_unchanged_is_not_checked_again() -> None:
    old = isvc(name="Blue")  # stored before the schema had a pattern

    check_values(INFERENCE_SERVICE, isvc(name="Blue"), old=old)
    with pytest.raises(StatusError):
        check_values(INFERENCE_SERVICE, isvc(name="Green"), old=old)


def test_a_default_of_the_schema_is_filled_in() -> None:
    body, _ = validate(INFERENCE_SERVICE, isvc(storageUris=[{"uri": "gs://a/b"}]), "Strict")

    assert body["spec"]["predictor"]["storageUris"] == [{"uri": "gs://a/b", "mountPath": "/mnt/models"}]


def test_labels_of_a_wrong_type_are_a_bad_request_everywhere() -> None:
    for kind in (POD, INFERENCE_SERVICE):
        with pytest.raises(StatusError, match="cannot unmarshal number into Go struct field ObjectMeta"):
            validate(kind, {"metadata": {"name": "x", "labels": {"a": 1}}}, "Ignore")
