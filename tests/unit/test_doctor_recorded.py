"""The doctor on states that were recorded on a real KServe."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from kserve_nb.doctor import Facts
from kserve_nb.doctor.facts import services_of
from kserve_nb.doctor.report import UNDECIDED
from tests.unit.doctor_fixtures import DATA, ROLLOUT, ids, items, recorded, report

# Rule → a recorded state that triggers it: the folder, and which of its InferenceServices.
BROKEN: tuple[tuple[str, Path, str], ...] = (
    ("K13", DATA / "broken-first", "broken-first"),
    ("K13", DATA / "broken-canary", ""),
    ("K13", DATA / "broken-canary-after-deadline", ""),
    ("K13", ROLLOUT / "broken-canary", ""),
    ("K04", DATA / "bad-input", "bad-nouri"),
    ("K17", DATA / "bad-input", "bad-fmt"),
    ("K17", DATA / "bad-input", "bad-rt"),
    ("K17", DATA / "bad-input", "bad-uri"),
    ("K17", DATA / "bad-input", "a" * 54),
    ("K17", DATA / "bad-input", "a" * 64),
)
SURPRISING: tuple[tuple[str, Path, str], ...] = (
    ("C05", DATA / "broken-canary", ""),
    ("C09", ROLLOUT / "05-rollback", ""),
    ("C10", ROLLOUT / "02-canary-10", ""),
    ("C13", ROLLOUT / "02-canary-10", ""),
)
STEPS = ("01-create", "02-canary-10", "04-promote", "05-rollback", "06-tag")


@pytest.mark.parametrize(("rule", "folder", "only"), BROKEN, ids=lambda value: getattr(value, "name", str(value)[:12]))
def test_a_recorded_fault_is_named_in_the_first_line(rule: str, folder: Path, only: str) -> None:
    found = report(recorded(folder, only))

    assert rule in found.text.splitlines()[0], found.text
    assert found.blocked


@pytest.mark.parametrize(("rule", "folder", "only"), BROKEN, ids=lambda value: getattr(value, "name", str(value)[:12]))
def test_a_recorded_fault_is_named_beside_a_second_one(rule: str, folder: Path, only: str) -> None:
    facts = replace(recorded(folder, only), version=_old_version())

    found = report(facts)

    assert {rule, "K03"} <= set(ids(found)), found.text
    assert rule in found.text.splitlines()[0], found.text


@pytest.mark.parametrize(("rule", "folder", "only"), SURPRISING, ids=lambda value: getattr(value, "name", value))
def test_a_surprising_fact_is_a_note(rule: str, folder: Path, only: str) -> None:
    found = report(recorded(folder, only))

    assert [finding.severity for finding in found.findings if finding.id == rule] == ["note"], found.text


@pytest.mark.parametrize("step", STEPS)
def test_nothing_is_wrong_in_a_step_of_the_tutorial(step: str) -> None:
    found = report(recorded(ROLLOUT / step))

    assert found.healthy and found.text.startswith("✔"), found.text


def test_all_faults_of_a_namespace_are_listed_and_the_first_in_full() -> None:
    found = report(recorded(DATA / "bad-input"))

    assert {"K04", "K17"} <= set(ids(found))
    assert found.text.count("then: ✖") == ids(found).count("K17"), found.text
    assert found.text.count("  why: ") == 1 + ids(found).count("C06"), found.text  # the complete warning is shown too


def test_the_first_step_of_a_pin_is_explained() -> None:
    isvc = json.loads((DATA / "pin-first-step.json").read_text(encoding="utf-8"))
    revisions = items(DATA / "broken-canary", "revision")  # two of them, of that name

    found = report(Facts("kserve-test", namespace_labels={}, services=services_of([isvc], [], revisions, [], [])))

    assert "C08" in ids(found) and found.text.startswith("… P15") and found.exit_code == UNDECIDED, found.text


@pytest.mark.parametrize("key", ["deploy", "ingress"])
def test_a_setting_that_is_no_json_any_more_is_named(key: str) -> None:
    broken = {"inferenceservice-config": {key: '{"defaultDeploymentMode": "Knative"'}}

    found = report(replace(recorded(ROLLOUT / "02-canary-10"), configs=broken))

    assert "K07" in found.text.splitlines()[0] and f"inferenceservice-config, entry {key}" in found.text, found.text


def test_without_read_access_the_doctor_does_not_report_health() -> None:
    words = (DATA / "texts.yaml").read_text(encoding="utf-8").partition('User "eve" cannot list')[1]

    found = report(Facts("kserve-test", namespace_labels={}, context="theirs", hidden=words))

    assert "K01" in found.text.splitlines()[0] and found.blocked, found.text


def test_a_canary_without_a_revision_yet_is_not_reported_as_a_first_percent() -> None:
    isvc, later = (items(ROLLOUT / step, "isvc")[0] for step in ("01-create", "02-canary-10"))
    first = items(DATA / "broken-canary", "revision")[:1]  # of that name
    written = {**isvc, "spec": later["spec"]}  # a moment later KServe makes the second one

    found = report(Facts("kserve-test", namespace_labels={},
                         services=services_of([written], items(ROLLOUT / "01-create", "ksvc"), first, [], [])))

    assert ids(found) == ["P15"] and found.exit_code == UNDECIDED, found.text


def test_an_old_kubernetes_is_named() -> None:
    found = report(Facts("kserve-test", namespace_labels={}, version=_old_version()))

    assert "K03" in found.text.splitlines()[0] and "v1.29.3" in found.text


def test_a_webhook_that_does_not_listen_is_named() -> None:
    texts = yaml.safe_load((DATA / "texts.yaml").read_text(encoding="utf-8"))
    for row in (row for row in texts if row["rule"] == "K05"):
        found = report(replace(recorded(ROLLOUT / "01-create"), dry_run=row["text"]))

        assert "K05" in found.text.splitlines()[0] and found.blocked, found.text


def _old_version() -> str:
    return str(json.loads((DATA / "version-1.29.json").read_text(encoding="utf-8"))["gitVersion"])
