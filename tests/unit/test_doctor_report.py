"""The text of the doctor's reports."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import requests

from kserve_nb.access.ingress import Ingress, PredictError
from kserve_nb.doctor import Facts, Finding, Remedy, Report, Rule
from kserve_nb.doctor.facts import ProbeResult
from kserve_nb.doctor.report import in_order
from tests.unit.doctor_fixtures import DATA, ids, recorded, report

NO_MODEL = Rule("K13", "the model cannot be downloaded")
BROKEN = Finding(
    NO_MODEL, "blocker", "pod", "pod-1", "no\nsuch  model", "It is <b>not</b> there.", Remedy("look there")
)  # fmt: skip


def test_a_finding_is_at_most_three_lines() -> None:
    assert BROKEN.lines() == (
        "✖ K13 the model cannot be downloaded – pod-1: no such model",
        "  why: It is <b>not</b> there.",
        "  do:  look there",
    )  # fmt: skip
    assert len(replace(BROKEN, saw="x" * 9999).lines()[0]) <= 240


def test_findings_are_ordered_faults_warnings_notes() -> None:
    note, warning = replace(BROKEN, severity="note", hop="cluster"), replace(BROKEN, severity="warning", hop="cluster")
    early = replace(BROKEN, hop="namespace")

    assert in_order([note, BROKEN, warning, early]) == (early, BROKEN, warning, note)


def test_a_second_blocker_is_folded() -> None:
    shown = Report((BROKEN, replace(BROKEN, where="pod-2"))).text.splitlines()

    assert len(shown) == 4 and shown[3].startswith("  then: ✖ K13")


def test_notes_leave_a_report_healthy() -> None:
    found = Report((replace(BROKEN, severity="note"),), "cluster and model")

    assert found.healthy and not found.blocked
    assert found.text.splitlines()[0] == "✔ nothing is wrong: cluster and model"


def test_html_is_escaped_and_json_is_for_programs() -> None:
    found = Report((BROKEN,), took_s=0.1234)

    assert "&lt;b&gt;not" in found.html and "<b>not" not in found.html
    loaded = json.loads(found.to_json())
    assert loaded["healthy"] is False and loaded["took_s"] == 0.123
    assert loaded["findings"][0]["id"] == "K13" and loaded["findings"][0]["saw"] == "no\nsuch  model"


def test_a_finding_leads_to_its_rule_on_the_site() -> None:
    found = Report((BROKEN,))

    (row,) = json.loads(found.to_json())["findings"]

    assert row["page"].endswith("/docs/doctor.html#k13")
    assert f"href='{row['page']}'" in found.html


def test_an_address_that_does_not_answer_in_time_is_minikubes() -> None:
    address = "192.168.49.2:32000"
    facts = Facts("kserve-test", ingress=address, unknown_host=ProbeResult(error=_timeout(address)))

    assert ids(report(facts)) == ["R02"]


def test_a_name_that_leads_elsewhere_is_foreign() -> None:
    facts = recorded(DATA / "broken-canary")
    service = facts.services[0]
    isvc = json.loads(json.dumps(service.isvc).replace("kserve-broken.example.com", "kserve-broken.10.0.0.7.sslip.io"))

    found = report(replace(facts, ingress="127.0.0.1:8080", services=(replace(service, isvc=isvc),)))

    assert "R03" in ids(found) and "the name resolves to 10.0.0.7" in found.text, found.text


def _timeout(address: str) -> str:
    """The message of our own client about a connection that timed out."""

    class Deaf(requests.adapters.BaseAdapter):
        def send(self, *_args: object, **_kwargs: object) -> requests.Response:
            raise requests.ConnectTimeout

        def close(self) -> None:
            """Do nothing: there is no connection to close."""

    ingress = Ingress(address)
    ingress._session.mount("http://", Deaf())
    with pytest.raises(PredictError) as raised:
        ingress.send("GET", "host", "/")
    return str(raised.value)
