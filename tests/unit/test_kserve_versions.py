"""What KServe 0.11 to 0.21 spell differently is met alike."""

from __future__ import annotations

import pytest

from kserve_nb.access.api_client import Client
from kserve_nb.access.ingress import Ingress
from kserve_nb.doctor.facts import services_of
from kserve_nb.rollout.rollout import Rollout
from kserve_nb.values import kserve_versions
from tests.fake_api import KSVC, FakeApi, one
from tests.fake_gateway import MAIN, FakeGateway


@pytest.mark.parametrize(
    ("mode", "ignores"), [("Knative", False), ("Serverless", False), ("", False), ("Standard", True),
                          ("RawDeployment", True)])
def test_modes_have_two_spellings(mode: str, ignores: bool) -> None:
    assert kserve_versions.ignores_canary(mode) is ignores


@pytest.mark.parametrize("name", ["sklearn-iris-predictor", "sklearn-iris-predictor-default"])
def test_a_knative_service_is_found_by_its_old_and_new_name(name: str, api: FakeApi, rollout: Rollout) -> None:
    api.load("02-canary-10")
    del api.objects[f"{KSVC}/sklearn-iris-predictor"]
    api.put(f"{KSVC}/{name}", one("02-canary-10", "ksvc"))

    _, knative = rollout.status_and_service()

    assert knative is not None


def test_a_status_of_before_016_names_no_mode(api: FakeApi) -> None:
    api.load("02-canary-10")
    old = one("02-canary-10", "isvc")
    del old["status"]["deploymentMode"]
    api.put("/apis/serving.kserve.io/v1beta1/namespaces/kserve-test/inferenceservices/sklearn-iris", old)

    status = Rollout(Client(api.cluster()), Ingress("127.0.0.1:9")).status()

    assert status.mode == "" and status.canary_percent == 10


def test_every_prediction_says_that_it_is_json(gateway: FakeGateway) -> None:
    for protocol in ("v1", "v2"):
        Ingress(gateway.address).request(MAIN[0], "sklearn-iris", [[6.8, 2.8, 4.8, 1.4]], protocol)  # type: ignore[arg-type]

    assert {headers["Content-Type"] for _, _, headers, _ in gateway.seen} == {"application/json"}


def test_the_doctor_finds_it_by_its_old_name_too() -> None:
    old = one("02-canary-10", "ksvc")
    old["metadata"]["name"] += "-default"

    (service,) = services_of([one("02-canary-10", "isvc")], [old], [], [], [])

    assert service.knative == old
