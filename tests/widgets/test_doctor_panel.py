"""Tests of the doctor's panel: the report, and that it examines only when it is created and by its button."""

from __future__ import annotations

from kserve_nb.doctor import Finding, Remedy, Report, Rule
from kserve_nb.widgets import DoctorPanel
from tests.widgets.page import press, text_of, type_into

NO_MODEL = Rule("K13", "the model cannot be downloaded")
SICK = Report((Finding(NO_MODEL, "blocker", "pod", "pod-1", "gone", "It is not there.", Remedy("look")),))
WELL = Report((), "all of it")


def test_it_examines_when_it_is_made_and_at_each_click() -> None:
    reports = [SICK, WELL]
    panel = DoctorPanel(lambda: reports.pop(0))
    assert panel.report is SICK and "K13" in panel.text and "<details open>" in panel.html

    press(panel, "Examine again")

    assert panel.report is WELL and panel.text == "✔ nothing is wrong: all of it"
    assert "nothing is wrong" in text_of(panel)


def test_a_failed_examination_is_reported_in_the_view() -> None:
    panel = DoctorPanel(lambda: WELL)

    def broken() -> Report:
        raise RuntimeError("no <such> file")

    panel._examine = broken
    press(panel, "Examine again")

    assert "✖ Cannot examine the cluster: no <such> file" in text_of(panel)


def test_it_has_text_and_html_beside_the_widget() -> None:
    bundle = DoctorPanel(lambda: SICK)._repr_mimebundle_()

    assert bundle["text/plain"] == SICK.text and SICK.html in bundle["text/html"]


def test_a_pasted_command_is_examined_too() -> None:
    asked: list[dict[str, str]] = []

    def examine(**more: str) -> Report:
        asked.append(more)
        return SICK

    panel = DoctorPanel(examine)
    type_into(panel, "A curl command that does not work (optional)", "curl -v http://localhost")
    press(panel, "Examine again")

    assert asked == [{}, {"curl": "curl -v http://localhost"}]
    assert panel.refresh(curl="") is SICK and asked[-1] == {}


def test_its_json_is_the_report() -> None:
    found = DoctorPanel(lambda: SICK).json

    assert found["healthy"] is False and [row["id"] for row in found["findings"]] == ["K13"]
