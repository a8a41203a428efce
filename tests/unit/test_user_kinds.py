"""CustomResourceDefinitions that users create: their kinds are served as on a real cluster."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from kserve_nb.clusters.embedded.api.admission.chain import admit
from kserve_nb.clusters.embedded.api.store.store import Store
from kserve_nb.clusters.embedded.apimachinery.kinds import CUSTOM_RESOURCE_DEFINITION, NAMESPACE
from kserve_nb.clusters.embedded.apimachinery.objects import Object
from kserve_nb.clusters.embedded.control.kubernetes import custom_resource_definitions, garbage_collector
from tests.unit.api_lab import ApiLab

RECONCILERS = (*custom_resource_definitions.RECONCILERS, *garbage_collector.RECONCILERS)
# The example of the Kubernetes documentation, "Extend the Kubernetes API with CustomResourceDefinitions".
SCHEMA = yaml.safe_load("""
type: object
properties:
  spec:
    type: object
    required: [cronSpec]
    properties:
      cronSpec: {type: string, pattern: '^(\\d+|\\*)(/\\d+)?(\\s+(\\d+|\\*)(/\\d+)?){4}$', description: When to run.}
      image: {type: string}
      replicas: {type: integer, minimum: 1, maximum: 10, default: 1}
      policy: {type: string, enum: [Allow, Forbid]}
      steps:
        type: array
        x-kubernetes-list-type: map
        x-kubernetes-list-map-keys: [name]
        items:
          type: object
          required: [name]
          properties: {name: {type: string}, command: {type: string}}
      extra: {type: object, x-kubernetes-preserve-unknown-fields: true}
  status:
    type: object
    properties: {replicas: {type: integer}, labelSelector: {type: string}}
""")


def definition(plural: str = "crontabs", kind: str = "CronTab", **version: Any) -> Object:
    first = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": SCHEMA},
             "subresources": {"status": {}}, **version}
    return {"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
            "metadata": {"name": f"{plural}.stable.example.com"},
            "spec": {"group": "stable.example.com", "scope": "Namespaced", "versions": [first],
                     "names": {"plural": plural, "singular": kind.lower(), "kind": kind}}}


def cron_tab(name: str, **spec: Any) -> str:
    return json.dumps({"apiVersion": "stable.example.com/v1", "kind": "CronTab", "metadata": {"name": name},
                       "spec": {"cronSpec": "* * * * */5", **spec}})


def create(lab: ApiLab, body: Object) -> None:
    done = lab.kubectl("apply", "-f-", stdin=json.dumps(body))
    assert done.returncode == 0, done.stderr
    waited = lab.kubectl("wait", "crd", body["metadata"]["name"], "--for=condition=Established", "--timeout=30s")
    assert waited.returncode == 0, waited.stderr


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiLab]:
    served = ApiLab(tmp_path_factory.mktemp("api"), "kserve-test", reconcilers=RECONCILERS)
    columns = [{"name": "Spec", "type": "string", "jsonPath": ".spec.cronSpec", "description": "When"},
               {"name": "Replicas", "type": "integer", "jsonPath": ".spec.replicas"},
               {"name": "Image", "type": "string", "jsonPath": ".spec.image", "priority": 1}]
    body = definition(additionalPrinterColumns=columns, selectableFields=[{"jsonPath": ".spec.image"}])
    body["spec"]["names"] |= {"shortNames": ["ct"], "categories": ["all"]}
    create(served, body)
    yield served
    served.close()


def stored(lab: ApiLab, name: str) -> Object:
    found: Object = json.loads(lab.kubectl("get", "ct", name, "-o", "json").stdout)
    return found


def test_a_definition_gets_its_names_and_is_established(lab: ApiLab) -> None:
    status = json.loads(lab.kubectl("get", "crd", "crontabs.stable.example.com", "-o", "json").stdout)["status"]

    assert status["acceptedNames"] == {"plural": "crontabs", "singular": "crontab", "kind": "CronTab",
                                       "listKind": "CronTabList", "shortNames": ["ct"], "categories": ["all"]}
    assert [(c["type"], c["status"], c["reason"], c["message"]) for c in status["conditions"]] == [
        ("NamesAccepted", "True", "NoConflicts", "no conflicts found"),
        ("Established", "True", "InitialNamesAccepted", "the initial names have been accepted")]
    assert status["storedVersions"] == ["v1"]


@pytest.mark.slow
def test_its_objects_are_printed_in_its_columns(lab: ApiLab) -> None:
    lab.kubectl("apply", "-f-", stdin=cron_tab("printed", image="busybox"))

    printed = lab.kubectl("get", "ct", "printed").stdout
    assert re.fullmatch(r"NAME +SPEC +REPLICAS\nprinted +\* \* \* \* \*/5 +1\n", printed)
    assert "IMAGE\n" in lab.kubectl("get", "ct", "printed", "-o", "wide").stdout
    assert "crontab.stable.example.com/printed" in lab.kubectl("get", "all", "-o", "name").stdout.split()
    assert lab.kubectl("get", "ct", "--field-selector=spec.image=busybox", "-o", "name").stdout.split() == [
        "crontab.stable.example.com/printed"]


@pytest.mark.slow
def test_a_singular_name_of_its_own_and_open_objects_are_served(lab: ApiLab) -> None:
    schema = {"type": "object", "properties": {"spec": {"type": "object", "additionalProperties": True,
                                                        "properties": {"test": {"type": "string"}}}}}
    body = definition("mock-resources", "MockResource", schema={"openAPIV3Schema": schema})
    body["spec"]["names"]["singular"] = "mock-resource"
    create(lab, body)
    made = {"apiVersion": "stable.example.com/v1", "kind": "MockResource", "metadata": {"name": "open"},
            "spec": {"test": "a", "further": 1}}

    lab.kubectl("apply", "-f-", stdin=json.dumps(made))

    found = lab.kubectl("get", "mock-resource", "open", "-o", "json").stdout
    assert json.loads(found)["spec"] == {"test": "a", "further": 1}
    assert "FIELDS:" in lab.kubectl("explain", "mock-resource").stdout


@pytest.mark.parametrize(("given", "warning"), [
    ({}, "stable.example.com/v1 OldTab is deprecated"), ({"deprecationWarning": "use CronTab"}, "use CronTab")])
@pytest.mark.slow
def test_a_deprecated_version_warns(lab: ApiLab, given: Object, warning: str) -> None:
    create(lab, definition("oldtabs", "OldTab", deprecated=True, **given))

    assert lab.kubectl("get", "oldtabs").stderr.startswith(f"Warning: {warning}\n")
    assert "Warning" not in lab.kubectl("get", "ct").stderr


def test_explain_describes_its_fields(lab: ApiLab) -> None:
    explained = lab.kubectl("explain", "crontab.spec").stdout

    assert "cronSpec\t<string> -required-\n    When to run.\n" in explained
    assert "ENUM:\n    Allow\n    Forbid" in lab.kubectl("explain", "crontab.spec.policy").stdout


@pytest.mark.parametrize("spec, text", [
    ({"cronSpec": "soon"}, "spec.cronSpec: Invalid value: \"soon\": spec.cronSpec in body should match '^(\\d+"),
    ({"replicas": 11}, "spec.replicas: Invalid value: 11: spec.replicas in body should be less than or equal to 10"),
    ({"replicas": "two"}, 'spec.replicas: Invalid value: "string": spec.replicas in body must be of type integer: '
                          '"string"'),
    ({"policy": "Maybe"}, 'spec.policy: Unsupported value: "Maybe": supported values: "Allow", "Forbid"'),
    ({"steps": [{"command": "ls"}]}, "spec.steps[0].name: Required value"),
    ({"steps": [{"name": "a"}, {"name": "a"}]}, 'spec.steps[1]: Duplicate value: {"name":"a"}'),
    ({"cronSpec": None}, 'spec.cronSpec: Invalid value: "null": spec.cronSpec in body must be of type string: "null"'),
    ({"colour": "red"}, 'strict decoding error: unknown field "spec.colour"'),
])
@pytest.mark.slow
def test_invalid_objects_are_refused(lab: ApiLab, spec: Object, text: str) -> None:
    refused = lab.kubectl("create", "-f-", stdin=cron_tab("invalid", **spec))

    assert refused.returncode == 1
    assert text in refused.stderr


def test_unknown_fields_are_pruned_where_the_schema_does_not_keep_them(lab: ApiLab) -> None:
    body = cron_tab("pruned", colour="red", extra={"anything": [1]})

    lab.kubectl("create", "--validate=false", "-f-", stdin=body)

    assert stored(lab, "pruned")["spec"] == {"cronSpec": "* * * * */5", "replicas": 1, "extra": {"anything": [1]}}


@pytest.mark.slow
def test_its_status_is_a_subresource(lab: ApiLab) -> None:
    lab.kubectl("apply", "-f-", stdin=cron_tab("run"))
    change = '-p={"spec":{"replicas":5},"status":{"replicas":2}}'

    lab.kubectl("patch", "ct", "run", "--type=merge", "--subresource=status", change)
    after_status = stored(lab, "run")
    lab.kubectl("patch", "ct", "run", "--type=merge", change.replace("2", "7"))
    after_spec = stored(lab, "run")

    assert (after_status["spec"]["replicas"], after_status["status"], after_status["metadata"]["generation"]) == (
        1, {"replicas": 2}, 1)
    assert (after_spec["spec"]["replicas"], after_spec["status"], after_spec["metadata"]["generation"]) == (
        5, {"replicas": 2}, 2)


@pytest.mark.slow
def test_server_side_apply_merges_lists_by_the_keys_in_the_schema(lab: ApiLab) -> None:
    def apply(manager: str, step: Object) -> Any:
        return lab.kubectl("apply", "--server-side", f"--field-manager={manager}", "-f-",
                           stdin=cron_tab("applied", steps=[step]))

    apply("one", {"name": "first", "command": "a"})
    apply("two", {"name": "second", "command": "b"})
    conflict = apply("two", {"name": "first", "command": "c"})

    assert [step["name"] for step in stored(lab, "applied")["spec"]["steps"]] == ["first", "second"]
    assert 'conflict with "one": .spec.steps[name="first"].command' in conflict.stderr


@pytest.mark.slow
def test_a_second_definition_cannot_take_a_name(lab: ApiLab) -> None:
    other = definition("others", "Other")
    other["spec"]["names"]["shortNames"] = ["ct"]

    lab.kubectl("create", "-f-", stdin=json.dumps(other))
    lab.kubectl("wait", "crd/others.stable.example.com", "--for=condition=NamesAccepted=False", "--timeout=30s")

    conditions = json.loads(lab.kubectl("get", "crd", "others.stable.example.com", "-o", "json").stdout)["status"][
        "conditions"]
    assert [(c["type"], c["status"], c["reason"], c["message"]) for c in conditions] == [
        ("NamesAccepted", "False", "ShortNamesConflict", '"ct" is already in use'),
        ("Established", "False", "NotAccepted", "not all names are accepted")]


@pytest.mark.slow
def test_versions_of_a_kind_share_their_objects(lab: ApiLab) -> None:
    body = definition("robots", "Robot")
    older = {**body["spec"]["versions"][0], "name": "v1beta1", "storage": False}
    body["spec"]["versions"].append(older)
    create(lab, body)
    robot = json.loads(cron_tab("marvin")) | {"kind": "Robot", "apiVersion": "stable.example.com/v1beta1"}

    lab.kubectl("create", "-f-", stdin=json.dumps(robot))

    for version in ("v1", "v1beta1"):
        found = json.loads(lab.kubectl("get", f"robots.{version}.stable.example.com", "-o", "json").stdout)["items"]
        assert [(item["apiVersion"], item["metadata"]["name"]) for item in found] == [
            (f"stable.example.com/{version}", "marvin")]


@pytest.mark.slow
def test_a_deleted_definition_takes_its_objects_along(lab: ApiLab) -> None:
    create(lab, definition("gone", "Going"))
    going = json.loads(cron_tab("x")) | {"kind": "Going"}
    lab.kubectl("create", "-f-", stdin=json.dumps(going))

    deleted = lab.kubectl("delete", "crd", "gone.stable.example.com", "--timeout=30s")
    after = lab.kubectl("get", "gone.stable.example.com")
    create(lab, definition("gone", "Going"))

    assert deleted.returncode == 0, deleted.stderr
    assert after.stderr == 'error: the server doesn\'t have a resource type "gone"\n'
    assert lab.kubectl("get", "gone.stable.example.com", "-o", "name").stdout == ""


@pytest.mark.parametrize("change, text", [
    (lambda body: body["metadata"].update(name="tabs.example.com"),
     'metadata.name: Invalid value: "tabs.example.com": must be spec.names.plural+"."+spec.group'),
    (lambda body: body["spec"].update(scope="Global"),
     'spec.scope: Unsupported value: "Global": supported values: "Cluster", "Namespaced"'),
    (lambda body: body["spec"]["versions"][0].pop("schema"),
     "spec.versions[0].schema.openAPIV3Schema: Required value: schemas are required"),
    (lambda body: body["spec"]["versions"][0].update(storage=False),
     "must have exactly one version marked as storage version"),
    (lambda body: body["spec"]["versions"][0].update(
        schema={"openAPIV3Schema": {"type": "object", "properties": {"spec": {}}}}),
     "spec.versions[0].schema.openAPIV3Schema.properties[spec].type: Required value: must not be empty for specified "
     "object fields"),
    (lambda body: body["spec"].update(conversion={"strategy": "Webhook", "webhook": {
        "conversionReviewVersions": ["v1"], "clientConfig": {"url": "https://example.com"}}}),
     "conversion webhooks: nothing would convert objects"),
])
@pytest.mark.slow
def test_invalid_definitions_are_refused(lab: ApiLab, change: Any, text: str) -> None:
    body = definition("invalids", "Invalid")
    change(body)

    refused = lab.kubectl("create", "-f-", stdin=json.dumps(body))

    assert refused.returncode == 1
    assert text in refused.stderr


def test_rules_that_are_not_evaluated_are_warned_about() -> None:
    rule = [{"rule": "self.replicas < 5"}]
    schema = {"type": "object", "properties": {
        "spec": {"type": "object", "properties": {"replicas": {"type": "integer"}}, "x-kubernetes-validations": rule},
        "list": {"type": "array", "items": {"type": "string", "x-kubernetes-validations": rule}}}}
    store, warnings = Store(None, admission=admit), list[str]()

    store.create(CUSTOM_RESOURCE_DEFINITION, definition(schema={"openAPIV3Schema": schema}), warnings=warnings)

    path = "spec.versions[0].schema.openAPIV3Schema.properties"
    assert [text.partition(": ")[0] for text in warnings] == [
        f"{path}[list].items.x-kubernetes-validations", f"{path}[spec].x-kubernetes-validations"]
    assert "does not evaluate CEL rules" in warnings[0]


def test_user_kinds_are_served_again_after_a_restart(tmp_path: Path) -> None:
    store = Store(tmp_path / "store.db", admission=admit)
    store.create(NAMESPACE, {"metadata": {"name": "kserve-test"}})
    created = store.create(CUSTOM_RESOURCE_DEFINITION, definition())
    established = [{"type": "Established", "status": "True"}]
    store.update_status(CUSTOM_RESOURCE_DEFINITION, created | {
        "status": {"acceptedNames": created["spec"]["names"], "conditions": established}})
    kind = store.kinds.of_path("stable.example.com", "v1", "crontabs")
    assert kind is not None
    store.create(kind, json.loads(cron_tab("kept")) | {"metadata": {"name": "kept", "namespace": "kserve-test"}})
    store.close()

    resumed = Store(tmp_path / "store.db", admission=admit)

    again = resumed.kinds.of_path("stable.example.com", "v1", "crontabs")
    assert again is not None and again.schema == SCHEMA
    assert [obj["metadata"]["name"] for obj in resumed.list(again)] == ["kept"]


def test_a_kind_without_a_definition_is_no_match(lab: ApiLab) -> None:
    body = {"apiVersion": "serving.kubeflow.org/v1beta1", "kind": "InferenceService", "metadata": {"name": "a"},
            "spec": {"predictor": {"sklearn": {"storageUri": "gs://kfserving-examples/models/sklearn/1.0/model"}}}}

    refused = lab.kubectl("apply", "-f-", stdin=json.dumps(body))

    assert refused.stderr == (
        'error: resource mapping not found for name: "a" namespace: "" from "STDIN": no matches for kind '
        '"InferenceService" in version "serving.kubeflow.org/v1beta1"\nensure CRDs are installed first\n')
    assert json.loads(lab.kubectl("get", "--raw", "/openapi/v2").stdout)["swagger"] == "2.0"
