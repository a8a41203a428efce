"""InferenceService documents, and the effects of changes in them."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml

from kserve_nb.values import manifest
from kserve_nb.values.labels import LAST_APPLIED
from kserve_nb.values.manifest import MODEL, MODEL_2
from tests.fake_api import merge_patch, one

CANARY = """
apiVersion: "serving.kserve.io/v1beta1"
kind: "InferenceService"
metadata:
  name: "sklearn-iris"
spec:
  predictor:
    canaryTrafficPercent: 10
    model:
      modelFormat:
        name: sklearn
      storageUri: "gs://kfserving-examples/models/sklearn/1.0/model-2"
"""


def test_the_document_is_the_tutorials() -> None:
    written = manifest.inference_service("sklearn-iris", MODEL_2, percent=10)

    assert written == yaml.safe_load(CANARY)
    assert yaml.safe_load(manifest.to_yaml(written)) == written


def test_old_schema_is_another_spelling() -> None:
    old = manifest.inference_service("sklearn-iris", MODEL_2, percent=10, old_schema=True)

    assert old["spec"]["predictor"]["sklearn"] == {"storageUri": MODEL_2}
    assert manifest.to_new_schema(old)["spec"] == yaml.safe_load(CANARY)["spec"]
    assert manifest.diff(old, yaml.safe_load(CANARY)) == ()


def test_the_old_block_wins_over_the_new_one() -> None:
    both = yaml.safe_load(CANARY)
    both["spec"]["predictor"]["sklearn"] = {"storageUri": MODEL}

    assert manifest.to_new_schema(both)["spec"]["predictor"]["model"]["storageUri"] == MODEL


def test_a_recorded_object_differs_from_its_document_only_in_resources() -> None:
    paths = [change.path for change in manifest.diff(yaml.safe_load(CANARY), one("02-canary-10", "isvc"))]

    assert all(path.startswith("spec.predictor.model.resources.") for path in paths)


@pytest.mark.parametrize(
    ("before", "after", "says"),
    [
        (None, 10, "only traffic: LATEST gets 10 %, PREV the other 90 %"),
        (10, None, "only traffic: LATEST gets 100 %, and a later rollback leads to it"),
        (10, 0, "only traffic: PREV gets 100 %, LATEST keeps its pods and gets nothing"),
        (10, 101, "accepted by apply, refused by Knative: traffic does not change"),
        (10, "ten", "refused: it must be a whole number"),
    ],
)
def test_a_percent_moves_traffic_and_makes_no_revision(before: Any, after: Any, says: str) -> None:
    change = manifest.percent_change(before, after)

    assert (change.consequence, change.new_revision) == (says, False)


def test_a_model_and_a_tag_make_a_new_revision() -> None:
    before = manifest.inference_service("x", MODEL, percent=0)
    after = manifest.inference_service("x", MODEL_2, percent=0, tag_routing=True)

    found = {change.path: change for change in manifest.diff(before, after)}
    assert found.keys() == {
        "metadata.annotations.serving.kserve.io/enable-tag-routing", "spec.predictor.model.storageUri"}
    assert all(change.new_revision for change in found.values())


def test_a_percent_below_model_does_nothing() -> None:
    before = manifest.inference_service("x", MODEL)
    after = manifest.inference_service("x", MODEL)
    after["spec"]["predictor"]["model"]["canaryTrafficPercent"] = 10

    (change,) = manifest.diff(before, after)
    assert change.consequence.startswith("nothing") and not change.new_revision


def test_apply_removes_fields_of_the_last_apply() -> None:
    live = manifest.applied(manifest.inference_service("x", MODEL_2, percent=10), "ns")

    patch = manifest.apply_patch(manifest.inference_service("x", MODEL_2), live)

    assert patch["spec"] == {"predictor": {"canaryTrafficPercent": None}}
    assert "canaryTrafficPercent" not in manifest.merged(live, patch)["spec"]["predictor"]


def test_apply_keeps_what_others_wrote() -> None:
    live = manifest.applied(manifest.inference_service("x", MODEL), "ns")
    live["spec"]["predictor"]["canaryTrafficPercent"] = 20

    patch = manifest.apply_patch(manifest.inference_service("x", MODEL), live)

    assert patch == {}


def test_apply_remembers_itself() -> None:
    document = manifest.inference_service("x", MODEL)
    created = manifest.applied(document, "ns")

    remembered = json.loads(created["metadata"]["annotations"][LAST_APPLIED])
    assert remembered["spec"] == document["spec"] and remembered["metadata"]["namespace"] == "ns"
    assert "annotations" not in document["metadata"]


@pytest.mark.parametrize("merge", [manifest.merged, merge_patch])
@pytest.mark.parametrize(
    ("target", "patch", "result"),
    [
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
        ({"a": "b"}, {"a": None}, {}),
        ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
        ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
        ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
        ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
        ({"a": "foo"}, {"b": {"c": None}}, {"a": "foo", "b": {}}),
        ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
    ],
)
def test_a_merge_patch_is_rfc_7396s(merge: Any, target: Any, patch: Any, result: Any) -> None:
    before = json.dumps(target)

    assert merge(target, patch) == result
    assert json.dumps(target) == before
