"""KServe's webhooks against what a real KServe answered."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest

from kserve_nb.clusters.embedded.api.schema.structural_schemas import validate
from kserve_nb.clusters.embedded.kinds import INFERENCE_SERVICE
from kserve_nb.clusters.embedded.objects import Object, StatusError
from tests.unit.api_lab import DATA, items, new_store

CASES: list[dict[str, Any]] = json.loads((DATA / "create-cases.json").read_text())
PANICS = [case for case in CASES if "panic" in case.get("status", {}).get("message", "")]
ACCEPTED = [case for case in CASES if case["code"] == 201]
REFUSED = [case for case in CASES if case["code"] != 201 and case not in PANICS]


def create(manifest: Object, mode: str = "Strict") -> Object:
    body, _ = validate(INFERENCE_SERVICE, copy.deepcopy(manifest), mode)  # type: ignore[arg-type]
    return new_store("kserve-bad").create(INFERENCE_SERVICE, body)


def predictor(**fields: object) -> Object:
    return {"metadata": {"name": "iris", "namespace": "kserve-bad"}, "spec": {"predictor": fields}}


@pytest.mark.parametrize("case", ACCEPTED, ids=lambda case: case["case"])
def test_what_a_real_kserve_accepts_is_stored_as_it_stores_it(case: dict[str, Any]) -> None:
    mode = next((mode for mode in ("Warn", "Ignore") if mode in case["case"]), "Strict")

    stored = create(case["manifest"], mode)

    assert stored["spec"] == case["spec"]
    assert stored["metadata"].get("annotations", {}) == case["annotations"]


@pytest.mark.parametrize("case", REFUSED, ids=lambda case: case["case"])
def test_what_a_real_kserve_refuses_is_refused_in_its_words(case: dict[str, Any]) -> None:
    with pytest.raises(StatusError) as refused:
        create(case["manifest"])

    error, real = refused.value, case["status"]
    assert (error.code, error.reason, error.message) == (case["code"], real.get("reason", ""), real["message"])
    assert {key: value for key, value in error.details.items() if value} == real.get("details", {})


@pytest.mark.parametrize("case", PANICS, ids=lambda case: case["case"])
def test_an_empty_predictor_is_refused_with_what_it_lacks_rather_than_a_panic(case: dict[str, Any]) -> None:
    with pytest.raises(StatusError, match=r"spec\.predictor names no model: give it `model`") as refused:
        create(case["manifest"])

    assert refused.value.code == 400


def test_the_old_schema_becomes_a_model() -> None:
    stored = create(predictor(sklearn={"storageUri": "gs://b/m", "resources": {"requests": {"cpu": "0.1"}}}))

    assert stored["spec"]["predictor"] == {"model": {
        "modelFormat": {"name": "sklearn"}, "name": "", "resources": {"requests": {"cpu": "100m"}},
        "storageUri": "gs://b/m"}}
    assert stored["metadata"]["annotations"] == {"modelFormat": "sklearn"}


def test_triton_speaks_v2() -> None:
    stored = create(predictor(triton={"storageUri": "gs://b/m"}))

    assert stored["spec"]["predictor"]["model"]["protocolVersion"] == "v2"


@pytest.mark.parametrize(("fields", "words"), [
    ({"scaleMetric": "cpu"}, "[cpu] is not a supported metric"),
    ({"scaleMetric": "rps", "scaleTarget": 0}, "the target for rps should be greater than 1"),
    ({"deploymentStrategy": {}}, "customizing deploymentStrategy is only supported for raw deployment mode"),
    ({"model": {"name": "x"}}, "the 'name' field is not allowed in standard predictor"),
])
def test_rules_of_the_validating_webhook(fields: Object, words: str) -> None:
    with pytest.raises(StatusError) as refused:
        create(predictor(**{"model": {"modelFormat": {"name": "sklearn"}}} | fields))

    assert refused.value.message == (
        f'admission webhook "inferenceservice.kserve-webhook-server.validator" denied the request: {words}')


def test_a_metric_that_no_schema_knows_is_refused_by_the_schema() -> None:
    with pytest.raises(StatusError) as refused:
        create(predictor(model={"modelFormat": {"name": "sklearn"}}, scaleMetric="luck"))

    assert (refused.value.code, refused.value.reason) == (422, "Invalid")
    assert refused.value.message.endswith(
        'spec.predictor.scaleMetric: Unsupported value: "luck": '
        'supported values: "cpu", "memory", "concurrency", "rps"')


def test_a_running_service_cannot_change_its_deployment_mode() -> None:
    store = new_store("kserve-bad")
    stored = store.create(INFERENCE_SERVICE, predictor(model={"modelFormat": {"name": "sklearn"}}))
    store.update_status(INFERENCE_SERVICE, stored | {"status": {"deploymentMode": "Knative"}})
    changed = store.get(INFERENCE_SERVICE, "kserve-bad", "iris")
    changed["metadata"]["annotations"]["serving.kserve.io/deploymentMode"] = "RawDeployment"

    with pytest.raises(StatusError, match="deploymentMode cannot be changed from 'Knative' to 'Standard'"):
        store.update(INFERENCE_SERVICE, changed)


def test_what_is_stored_is_admitted_unchanged() -> None:
    store = new_store("kserve-test")
    service = items("isvc")[0]
    for field in ("uid", "resourceVersion", "generation", "creationTimestamp"):
        service["metadata"].pop(field)

    stored = store.create(INFERENCE_SERVICE, copy.deepcopy(service))

    assert stored["spec"] == service["spec"]
    assert stored["metadata"]["annotations"] == service["metadata"]["annotations"]
