"""OpenAPI documents, and their use by the real kubectl."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from kserve_nb.clusters.embedded.api.schema import openapi
from kserve_nb.clusters.embedded.apimachinery.kinds import KINDS
from kserve_nb.clusters.embedded.apimachinery.objects import Kinds, StatusError
from tests.unit.api_lab import DATA, ApiLab

EXPLAINED = sorted((DATA / "explain").glob("*.txt"))
TABLE = Kinds(KINDS)
VERSIONS = sorted({(kind.group, kind.version) for kind in KINDS if not kind.internal})


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiLab]:
    served = ApiLab(tmp_path_factory.mktemp("api"), "kserve-test")
    yield served
    served.close()


@pytest.mark.parametrize("path", EXPLAINED, ids=lambda path: path.stem)
@pytest.mark.slow
def test_explain_prints_the_same_as_on_a_real_cluster(path: Path, lab: ApiLab) -> None:
    done = lab.kubectl("explain", path.stem)

    assert (done.stdout, done.stderr) == (path.read_text(), "")


@pytest.mark.parametrize("field", [
    "pod.spec.containers.env.valueFrom", "deployment.spec.strategy.rollingUpdate", "service.spec.ports.targetPort",
    "ksvc.spec.template.spec.containers.resources", "revision.status.conditions", "namespace.status.phase",
    "inferenceservice.spec.predictor.model.env.valueFrom.secretKeyRef", "node.status.nodeInfo", "event.involvedObject",
    "clusterservingruntime.spec.supportedModelFormats",
    "inferenceservice.spec.transformer.containers.lifecycle.preStop",
    "customresourcedefinition.spec.versions.schema.openAPIV3Schema",
])
@pytest.mark.slow
def test_explain_finds_fields_of_every_kind(field: str, lab: ApiLab) -> None:
    done = lab.kubectl("explain", field)

    assert done.returncode == 0, done.stderr
    assert f"FIELD: {field.rpartition('.')[2]} <" in done.stdout


def test_explain_lists_the_values_of_a_field(lab: ApiLab) -> None:
    done = lab.kubectl("explain", "isvc.spec.predictor.scaleMetric")

    assert "ENUM:\n    cpu\n    memory\n    concurrency\n    rps\n" in done.stdout


def test_explain_reports_an_unknown_field(lab: ApiLab) -> None:
    done = lab.kubectl("explain", "isvc.spec.predictor.modell")

    assert (done.returncode, done.stderr) == (1, 'error: field "modell" does not exist\n')


@pytest.mark.parametrize(("group", "version"), VERSIONS)
def test_every_reference_leads_to_a_component(group: str, version: str) -> None:
    document = openapi.document(TABLE, group, version)

    referred = set(re.findall('"#/components/schemas/([^"]+)"', json.dumps(document)))
    assert referred <= set(document["components"]["schemas"])


def test_the_index_lists_every_document_with_a_hash() -> None:
    paths = openapi.index(TABLE)["paths"]

    assert set(paths) == {f"apis/{g}/{v}" if g else f"api/{v}" for g, v in VERSIONS}
    assert all(re.fullmatch(rf"/openapi/v3/{path}\?hash=[0-9A-F]{{128}}", entry["serverRelativeURL"])
               for path, entry in paths.items())


def test_lists_declare_how_kubectl_merges_them() -> None:
    schemas = openapi.document(TABLE, "", "v1")["components"]["schemas"]

    containers = schemas["io.k8s.api.core.v1.PodSpec"]["properties"]["containers"]
    assert containers["x-kubernetes-patch-strategy"] == "merge"
    assert containers["x-kubernetes-patch-merge-key"] == "name"
    volumes = schemas["io.k8s.api.core.v1.PodSpec"]["properties"]["volumes"]
    assert volumes["x-kubernetes-patch-strategy"] == "merge,retainKeys"


@pytest.mark.parametrize(("group", "version", "path", "strategic"), [
    ("serving.kserve.io", "v1beta1",
     "/apis/serving.kserve.io/v1beta1/namespaces/{namespace}/inferenceservices/{name}", False),
    ("apps", "v1", "/apis/apps/v1/namespaces/{namespace}/deployments/{name}", True),
])
def test_patches_request_field_validation_by_the_server(group: str, version: str, path: str, strategic: bool) -> None:
    patch = openapi.document(TABLE, group, version)["paths"][path]["patch"]

    assert "fieldValidation" in [parameter["name"] for parameter in patch["parameters"]]
    assert patch["x-kubernetes-group-version-kind"]["group"] == group
    assert ("application/strategic-merge-patch+json" in patch["requestBody"]["content"]) is strategic


def test_an_unknown_version_is_not_found() -> None:
    with pytest.raises(StatusError) as refused:
        openapi.document(TABLE, "serving.kserve.io", "v2")

    assert refused.value.code == 404
