"""Fields that the embedded cluster accepts but does not act on: each has a warning and a line in the documentation."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from kserve_nb.clusters.embedded.api.admission import differences
from kserve_nb.clusters.embedded.api.admission.fields_without_effect import DIFFERENCES, Difference, warnings_for
from kserve_nb.clusters.embedded.apimachinery.kinds import CONFIG_MAP, INFERENCE_SERVICE, VIRTUAL_SERVICE
from kserve_nb.clusters.embedded.apimachinery.objects import Kind, Object

PAGE = Path(__file__).parents[2] / "docs" / "differences.md"
EXAMPLES = {"spec.type": "NodePort", "spec.multiModel": True, "data": {"a": "b"}}
EACH = [pytest.param(kind, item, id=f"{kind.kind} {item.path}") for item in DIFFERENCES for kind in item.kinds]


def with_field(path: str, value: Any) -> Object:
    """An object that has one field."""
    if path.startswith("data."):
        return {"data": {path.removeprefix("data."): value}}
    if ".annotations." in path:
        holder, _, key = path.partition(".annotations.")
        return with_field(f"{holder}.annotations", {key: value})
    name, _, rest = path.partition(".")
    inner = with_field(rest, value) if rest else value
    return {name.removesuffix("[]"): [inner] if name.endswith("[]") else inner}


def example(item: Difference) -> Any:
    if item.values and "enabled" in item.values:
        return "Enabled"
    if item.path.endswith("modelFormat.name"):
        return "xgboost"
    if item.path.endswith(".image"):
        return "kserve/sklearnserver:v0.19.0"
    return EXAMPLES.get(item.path, "hpa.autoscaling.knative.dev" if item.path.endswith("/class") else "x")


@pytest.mark.parametrize(("kind", "item"), EACH)
def test_a_field_without_effect_causes_a_warning(kind: Kind, item: Difference) -> None:
    namespace, _, name = (item.objects or "a/b").partition("/")
    told = warnings_for(kind, {"metadata": {"namespace": namespace, "name": re.sub(r"\((\w+).*\)", r"\1", name)}}
                        | with_field(item.path, example(item)))

    if item.warns:
        assert f"{item.path}: {item.effect}. {item.instead}." in told
    else:
        assert not [text for text in told if text.startswith(item.path)]


@pytest.mark.parametrize("spec", [
    {"model": {"modelFormat": {"name": "sklearn"}, "storageUri": "gs://a/b", "image": "kserve/sklearnserver:v0.20.0",
               "resources": {"limits": {"cpu": "1", "memory": "1Gi"}}}, "canaryTrafficPercent": 10, "minReplicas": 1},
    {"containers": [{"image": "mine:1", "name": "kserve-container"}], "volumes": [{"name": "a", "emptyDir": {}}]},
])
def test_fields_with_an_effect_get_no_warning(spec: Object) -> None:
    annotations = {"autoscaling.knative.dev/class": "kpa.autoscaling.knative.dev", "a": "b"}

    assert warnings_for(INFERENCE_SERVICE, {
        "metadata": {"annotations": annotations}, "spec": {"predictor": spec}}) == []


@pytest.mark.parametrize(("namespace", "name", "data"), [
    ("demo", "config-gc", {"retain-since-create-time": "1h"}),
    ("knative-serving", "config-autoscaler", {"stable-window": "30s", "scale-down-delay": "1m"}),
    ("knative-serving", "config-features", {"kubernetes.podspec-nodeselector": "enabled"}),
    ("knative-serving", "config-features", {"tag-header-based-routing": "disabled"}),
    ("knative-serving", "config-defaults", {"revision-timeout-seconds": "60"}),
])
def test_settings_with_an_effect_get_no_warning(namespace: str, name: str, data: Object) -> None:
    assert warnings_for(CONFIG_MAP, {"metadata": {"namespace": namespace, "name": name}, "data": data}) == []


def test_a_users_virtual_service_causes_a_warning() -> None:
    assert warnings_for(VIRTUAL_SERVICE, {"metadata": {}, "spec": {"hosts": ["a"]}}) == [
        "spec: the gateway serves only the VirtualServices that KServe writes. "
        "Use a kind cluster: kserve-nb up --cluster kind."]


def test_the_page_has_the_lines_of_the_table() -> None:
    assert PAGE.read_text() == "\n".join(differences.lines()) + "\n"
