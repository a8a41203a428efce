"""The package handles the different forms of KServe 0.11 to 0.21 in the same way."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from kserve_nb.access.api_client import EVENT, INFERENCE_SERVICE, KNATIVE_SERVICE, ROUTE, Client
from kserve_nb.access.ingress import Ingress
from kserve_nb.doctor.facts import services_of
from kserve_nb.observe.snapshot import snapshot_of
from kserve_nb.rollout.rollout import Rollout
from kserve_nb.values import kserve_versions
from kserve_nb.values.related_objects import predictor_service
from tests.fake_api import KSVC, FakeApi, one
from tests.fake_gateway import MAIN, FakeGateway


@pytest.mark.parametrize(
    ("mode", "ignores"), [("Knative", False), ("Serverless", False), ("", False), ("Standard", True),
                          ("RawDeployment", True)])
def test_modes_have_two_spellings(mode: str, ignores: bool) -> None:
    assert kserve_versions.ignores_canary(mode) is ignores


NAMES = (
    "sklearn-iris-predictor", "sklearn-iris-predictor-default", "sklearn-iris-blue-predictor", "a-long-name-1f2e3d")


def named(name: str) -> dict[str, Any]:
    """The recorded Knative Service under another name, as `spec.predictor.name` or a long name causes it."""
    service = one("02-canary-10", "ksvc")
    service["metadata"]["name"] = name
    return service


@pytest.mark.parametrize("name", NAMES)
def test_a_knative_service_is_found_whatever_its_name(name: str, api: FakeApi, rollout: Rollout) -> None:
    api.load("02-canary-10")
    del api.objects[f"{KSVC}/sklearn-iris-predictor"]
    api.put(f"{KSVC}/{name}", named(name))

    _, knative = rollout.status_and_service()

    assert knative is not None and asyncio.run(rollout.wait(timeout_s=5)).canary_percent == 10


@pytest.mark.parametrize("name", NAMES)
def test_a_snapshot_has_the_service_the_route_and_the_events_of_that_name(name: str) -> None:
    route = {"metadata": {"name": name}, "status": {"traffic": [{"revisionName": f"{name}-00001", "percent": 100}]}}
    events = [event(f"{name}-00001"), event("sklearn-iris"), event("other-predictor-00001")]

    seen = snapshot_of("sklearn-iris", {
        INFERENCE_SERVICE: [one("02-canary-10", "isvc")], KNATIVE_SERVICE: [named(name)], ROUTE: [route],
        EVENT: events})

    assert seen.missing == "" and seen.routed == {f"{name}-00001": 100}
    assert [found.name for found in seen.events] == [f"{name}-00001", "sklearn-iris"]


def test_the_service_of_another_component_is_not_the_predictors() -> None:
    transformer = named("sklearn-iris-transformer")
    transformer["metadata"]["labels"]["component"] = "transformer"

    assert predictor_service([transformer], "sklearn-iris") is None


def event(about: str) -> dict[str, Any]:
    return {"metadata": {"name": f"{about}.1"}, "involvedObject": {"name": about, "kind": "Revision"}}


def test_a_status_of_before_016_names_no_mode(api: FakeApi) -> None:
    api.load("02-canary-10")
    old = one("02-canary-10", "isvc")
    del old["status"]["deploymentMode"]
    api.put("/apis/serving.kserve.io/v1beta1/namespaces/kserve-test/inferenceservices/sklearn-iris", old)

    status = Rollout(Client(api.cluster()), Ingress("127.0.0.1:9")).status()

    assert status.mode == "" and status.canary_percent == 10


def test_every_prediction_declares_json(gateway: FakeGateway) -> None:
    for protocol in ("v1", "v2"):
        Ingress(gateway.address).request(MAIN[0], "sklearn-iris", [[6.8, 2.8, 4.8, 1.4]], protocol)  # type: ignore[arg-type]

    assert {headers["Content-Type"] for _, _, headers, _ in gateway.seen} == {"application/json"}


def test_the_doctor_finds_it_by_its_old_name_too() -> None:
    old = one("02-canary-10", "ksvc")
    old["metadata"]["name"] += "-default"

    (service,) = services_of([one("02-canary-10", "isvc")], [old], [], [], [])

    assert service.knative == old
