"""One row of the table defines a kind: nothing else has to be written to serve it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from kserve_nb.access import api_client
from kserve_nb.clusters.embedded.apimachinery import kinds as table
from kserve_nb.clusters.embedded.apimachinery.kinds import CUSTOM_AGE, KINDS, POD
from kserve_nb.clusters.embedded.apimachinery.objects import Column, Kind, Kinds
from kserve_nb.clusters.embedded.control.kubernetes import garbage_collector
from tests.unit.api_lab import ApiLab

GADGET = Kind(
    "test.example.com", "v1beta1", "Gadget", "gadgets", short=("gd",), categories=("all",),
    columns=(Column("Size", path=".spec.size", type="integer"), CUSTOM_AGE),
    schema={"type": "object", "required": ["spec"], "properties": {
        "spec": {"type": "object", "required": ["size"], "description": "What the gadget is to be.", "properties": {
            "size": {"type": "integer", "minimum": 1, "description": "In millimetres."},
            "colour": {"type": "string", "default": "red"}}},
        "status": {"type": "object", "properties": {"phase": {"type": "string"}}}}})
SMALL = json.dumps({"apiVersion": "test.example.com/v1beta1", "kind": "Gadget", "metadata": {"name": "small"},
                    "spec": {"size": 3}})


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiLab]:
    served = ApiLab(tmp_path_factory.mktemp("api"), "kserve-test", "other", kinds=[GADGET],
                    reconcilers=garbage_collector.RECONCILERS)
    yield served
    served.close()


@pytest.mark.slow
def test_a_kind_is_served_from_its_row(lab: ApiLab) -> None:
    listed = lab.kubectl("api-resources", "--api-group=test.example.com", "--no-headers").stdout.split()
    applied = lab.kubectl("apply", "-f-", stdin=SMALL).stdout
    printed = lab.kubectl("get", "gd").stdout
    explained = lab.kubectl("explain", "gadget.spec.size").stdout
    lab.kubectl("apply", "-f-", stdin=SMALL.replace("3", "4"))
    stored = json.loads(lab.kubectl("get", "gadget/small", "-o", "json").stdout)
    in_category = lab.kubectl("get", "all", "-o", "name").stdout

    assert listed == ["gadgets", "gd", "test.example.com/v1beta1", "true", "Gadget"]
    assert applied == "gadget.test.example.com/small created\n"
    assert re.fullmatch(r"NAME +SIZE +AGE\nsmall +3 +\d+s\n", printed)
    assert "FIELD: size <integer>\n" in explained and "In millimetres." in explained
    assert stored["spec"] == {"size": 4, "colour": "red"}
    assert stored["metadata"]["generation"] == 2
    assert "gadget.test.example.com/small" in in_category.split()


@pytest.mark.parametrize("spec, refusal", [
    ({"size": 3, "weight": 1}, 'strict decoding error: unknown field "spec.weight"'),
    ({"size": "big"}, 'spec.size: Invalid value: "string": spec.size in body must be of type integer: "string"'),
    ({"size": 0}, "spec.size: Invalid value: 0: spec.size in body should be greater than or equal to 1"),
    ({}, "spec.size: Required value"),
])
def test_its_schema_is_enforced(lab: ApiLab, spec: dict[str, object], refusal: str) -> None:
    refused = lab.kubectl("apply", "-f-", stdin=json.dumps(json.loads(SMALL) | {"spec": spec}))

    assert refused.returncode == 1
    assert refusal in refused.stderr


@pytest.mark.slow
def test_it_is_patched_and_watched(lab: ApiLab) -> None:
    lab.kubectl("apply", "-f-", stdin=SMALL.replace("small", "watched"))

    with ThreadPoolExecutor() as pool:
        seen = pool.submit(lab.kubectl, "wait", "gd/watched", "--for=jsonpath={.status.phase}=Done", "--timeout=30s")
        patched = lab.kubectl("patch", "gd", "watched", "--subresource=status", "--type=merge",
                              '-p={"status":{"phase":"Done"}}')

    assert patched.stdout == "gadget.test.example.com/watched patched\n"
    assert seen.result().stdout == "gadget.test.example.com/watched condition met\n"


@pytest.mark.slow
def test_it_is_deleted_with_its_namespace(lab: ApiLab) -> None:
    lab.kubectl("apply", "-n", "other", "-f-", stdin=SMALL)

    deleted = lab.kubectl("delete", "namespace", "other", "--timeout=30s")

    assert deleted.returncode == 0, deleted.stderr
    assert "other" not in lab.kubectl("get", "gd", "-A", "-o", "jsonpath={.items[*].metadata.namespace}").stdout.split()


@pytest.mark.slow
def test_it_is_deleted_with_its_owner(lab: ApiLab) -> None:
    lab.kubectl("apply", "-f-", stdin=SMALL.replace("small", "owner"))
    uid = lab.kubectl("get", "gd", "owner", "-o", "jsonpath={.metadata.uid}").stdout
    child = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "child", "ownerReferences": [
        {"apiVersion": GADGET.api_version, "kind": "Gadget", "name": "owner", "uid": uid}]}}
    lab.kubectl("apply", "-f-", stdin=json.dumps(child))

    lab.kubectl("delete", "gd", "owner")

    assert lab.kubectl("wait", "configmap/child", "--for=delete", "--timeout=30s").returncode == 0


def test_a_kind_that_was_removed_is_served_no_longer() -> None:
    kinds = Kinds([*KINDS, GADGET])
    found = kinds.derived("count", lambda: len(kinds.served))

    kinds.remove(GADGET)

    assert kinds.of_path("test.example.com", "v1beta1", "gadgets") is None
    assert kinds.derived("count", lambda: len(kinds.served)) == found - 1


def test_a_redefined_kind_is_the_same_key_with_another_row() -> None:
    kinds, wide = Kinds([GADGET]), Kind("test.example.com", "v1beta1", "Gadget", "gadgets", short=("g",))

    kinds.add(wide)

    assert {GADGET: 1}[wide] == 1
    assert [kind.short for kind in kinds] == [("g",)]


def test_no_two_kinds_of_the_table_have_one_name() -> None:
    assert len({kind.resource for kind in KINDS}) == len({(k.api_version, k.kind) for k in KINDS}) == len(KINDS)


@pytest.mark.parametrize("name", ["INFERENCE_SERVICE", "KNATIVE_SERVICE", "REVISION", "ROUTE", "POD", "EVENT",
                                  "SERVICE", "NAMESPACE"])
def test_the_client_addresses_kinds_as_the_table_serves_them(name: str) -> None:
    client, row = getattr(api_client, name), getattr(table, name)

    assert (client.group, client.version, client.plural, client.namespaced) == (
        row.group, row.version, row.plural, row.namespaced)


def test_a_pods_row_shows_the_details_of_its_status() -> None:
    assert POD.subresources == ("attach", "exec", "log", "portforward", "status")
