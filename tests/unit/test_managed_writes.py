"""The managedFields of the controllers' writes, compared with recordings of a real cluster."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from kserve_nb.clusters.embedded import control
from kserve_nb.clusters.embedded.api.admission.chain import admit
from kserve_nb.clusters.embedded.api.store.store import Store
from kserve_nb.clusters.embedded.apimachinery.kinds import DEPLOYMENT, INFERENCE_SERVICE, NAMESPACE, POD, SANDBOX
from kserve_nb.clusters.embedded.apimachinery.objects import Object
from tests.api_server import isvc


@pytest.fixture
def store() -> Iterator[Store]:
    made = Store(None, admission=admit)
    made.create(NAMESPACE, {"metadata": {"name": "demo"}})
    yield made
    made.close()


def rows(obj: Object) -> dict[tuple[str, str], dict[str, Any]]:
    """The fields of each manager and subresource."""
    return {(row["manager"], row.get("subresource", "")): row["fieldsV1"]
            for row in obj["metadata"].get("managedFields", [])}


POD_BODY: Object = {"metadata": {"name": "p", "namespace": "demo"},
                    "spec": {"containers": [{"name": "c", "image": "i"}]}}
CONDITIONS = [{"type": "Ready", "status": "True"}]


def test_each_component_owns_what_it_writes(store: Store) -> None:
    kserve, user = store.as_manager("manager"), isvc("iris")
    user["metadata"]["managedFields"] = [{
        "manager": "kubectl-client-side-apply", "operation": "Update", "apiVersion": "serving.kserve.io/v1beta1",
        "fieldsType": "FieldsV1", "fieldsV1": {"f:spec": {"f:predictor": {"f:model": {"f:storageUri": {}}}}}}]
    created = store.create(INFERENCE_SERVICE, user)

    marked = kserve.update(INFERENCE_SERVICE, created | {
        "metadata": created["metadata"] | {"finalizers": ["inferenceservice.finalizers"]}})
    stored = kserve.update_status(INFERENCE_SERVICE, {**created, "metadata": {
        "name": "iris", "namespace": "demo"}, "status": {"url": "http://x", "conditions": CONDITIONS}})

    assert rows(stored) == {
        ("kubectl-client-side-apply", ""): {"f:spec": {"f:predictor": {"f:model": {"f:storageUri": {}}}}},
        ("manager", ""): {"f:metadata": {"f:finalizers": {".": {}, 'v:"inferenceservice.finalizers"': {}}}},
        ("manager", "status"): {"f:status": {".": {}, "f:url": {}, "f:conditions": {}}}}
    assert marked["metadata"]["generation"] == stored["metadata"]["generation"]


def test_a_write_that_changes_nothing_is_no_write(store: Store) -> None:
    kubelet = store.as_manager("kubelet")
    pod = kubelet.create(POD, POD_BODY)
    first = kubelet.update_status(POD, pod | {"status": {"phase": "Running", "conditions": CONDITIONS}})

    again = kubelet.update_status(POD, pod | {
        "metadata": {"name": "p", "namespace": "demo"}, "status": {"phase": "Running", "conditions": CONDITIONS}})

    assert again["metadata"]["resourceVersion"] == first["metadata"]["resourceVersion"]


def test_a_binding_is_not_recorded_but_a_pod_that_fits_nowhere_is(store: Store) -> None:
    scheduler = store.as_manager("kube-scheduler")
    unscheduled = {"phase": "Pending", "conditions": [{"type": "PodScheduled", "status": "False"}]}
    store.as_manager("kube-controller-manager").create(POD, POD_BODY)
    other = scheduler.create(POD, POD_BODY | {"metadata": {"name": "q", "namespace": "demo"}})

    bound = scheduler.update(POD, store.get(POD, "demo", "p") | {"spec": {
        **store.get(POD, "demo", "p")["spec"], "nodeName": "n"}})
    bound = scheduler.update_status(POD, bound | {"status": {"phase": "Pending"}})
    waiting = scheduler.update_status(POD, other | {"status": unscheduled})

    assert set(rows(bound)) == {("kube-controller-manager", "")}
    assert ("kube-scheduler", "status") in rows(waiting)


def test_a_deployment_that_is_scaled_has_two_managers(store: Store) -> None:
    labels = {"app": "a"}
    body = {"metadata": {"name": "d", "namespace": "demo"}, "spec": {
        "selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels}, "spec": POD_BODY["spec"]}}}
    created = store.as_manager("controller").create(DEPLOYMENT, body)

    scaled = store.as_manager("autoscaler").update(DEPLOYMENT, created | {"spec": {**created["spec"], "replicas": 3}})

    assert rows(scaled)["autoscaler", ""] == {"f:spec": {"f:replicas": {}}}
    assert ("controller", "") in rows(scaled)


def test_objects_of_the_embedded_cluster_itself_have_no_managers(store: Store) -> None:
    created = store.as_manager("kubelet").create(SANDBOX, {"metadata": {"name": "p", "namespace": "demo"}})

    assert "managedFields" not in created["metadata"]


def test_controllers_have_the_names_of_the_programs_that_contain_them() -> None:
    names = {reconciler.name: reconciler.manager for reconciler in control.reconcilers()}

    assert set(names.values()) == {
        "manager", "controller", "autoscaler", "kube-scheduler", "kube-controller-manager", "kube-apiserver"}
    assert names["pod autoscaler"] == "autoscaler" and names["scheduler"] == "kube-scheduler"
