"""Random objects are stored or refused; admission never fails in another way."""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kserve_nb.clusters.embedded.api.schema.structural_schemas import validate
from kserve_nb.clusters.embedded.apimachinery.kinds import KINDS
from kserve_nb.clusters.embedded.apimachinery.objects import Object, StatusError
from tests.unit.api_lab import items, new_store

pytestmark = pytest.mark.slow

Path = tuple[str | int, ...]
OLD_SCHEMA: Object = {
    "apiVersion": "serving.kserve.io/v1beta1", "kind": "InferenceService",
    "metadata": {"name": "old", "namespace": "kserve-test"},
    "spec": {"predictor": {"sklearn": {"storageUri": "x"}, "minReplicas": 1, "logger": {"mode": "all"},
                           "scaleMetric": "rps", "scaleTarget": 2},
             "transformer": {"containers": [{"name": "c", "env": [{"name": "a", "value": "b"}]}]},
             "canary": [{"predictor": {"name": "a"}, "trafficPercent": 10}]}}
STORE = new_store("kserve-test")
BODIES = [OLD_SCHEMA, *(obj for name in ("ksvc", "configurations", "revisions", "routes", "kingress", "podautoscalers",
                                         "serverlessservices", "svc", "deploy", "rs", "pods", "isvc")
                        for obj in items(name))]
ODD: list[Any] = [None, 1, -1, 2**70, 1.5, 1e308, "x", "", "1e999999", "\u0000", True, [], {}, [None], ["x"], [[]],
                  [{}], {"a": 1}, {"a": None}]


def paths(value: Any, path: Path = ()) -> Iterator[Path]:
    if len(path) > 1:
        yield path
    entries = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in entries:
        yield from paths(item, (*path, key))


def replaced(body: Object, path: Path, value: Any) -> None:
    parent: Any = body
    for key in path[:-1]:
        parent = parent[key]
    parent[path[-1]] = value


@st.composite
def odd_bodies(draw: st.DrawFn) -> Object:
    body: Object = copy.deepcopy(draw(st.sampled_from(BODIES)))
    body["metadata"] = {"name": "odd", "namespace": "kserve-test", "labels": body["metadata"].get("labels") or {},
                        "annotations": body["metadata"].get("annotations") or {}}
    for _ in range(draw(st.integers(1, 3))):
        inside = [path for path in paths(body) if path[0] == "spec"]
        if inside:
            replaced(body, draw(st.sampled_from(inside)), copy.deepcopy(draw(st.sampled_from(ODD))))
    return body


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(odd_bodies())
def test_odd_objects_are_stored_or_refused(body: Object) -> None:
    kind = next(k for k in KINDS if (k.api_version, k.kind) == (body["apiVersion"], body["kind"]))

    with contextlib.suppress(StatusError):
        pruned, _ = validate(kind, body, "Ignore")
        STORE.create(kind, pruned, dry_run=True)
