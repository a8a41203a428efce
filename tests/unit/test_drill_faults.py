"""The doctor's first line names each fault of the drill, and the scripted repair removes the fault."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from kserve_nb.clusters.embedded.apimachinery.kinds import EVENT, INFERENCE_SERVICE, KNATIVE_SERVICE, POD, REVISION
from kserve_nb.doctor import Facts, Report, titles
from kserve_nb.doctor.commands.curl_command import CurlCommand
from kserve_nb.doctor.commands.curl_rules import corrected, explain, unanswered
from kserve_nb.doctor.facts import services_of
from kserve_nb.tasks.drill_faults import FAULTS, Fault, correct_command, fault_of, unrepaired
from kserve_nb.values.manifest import MODEL, MODEL_2
from tests.unit.doctor_fixtures import ROLLOUT, recorded, report
from tests.unit.simulator import NS, Simulator
from tests.unit.task_world import CANARY, FIRST, Learner

INGRESS = "127.0.0.1:8080"
HOST = "sklearn-iris-predictor.kserve-test.example.com"
WAIT_S = 20.0
in_request = pytest.mark.parametrize("fault", [f for f in FAULTS if f.in_request], ids=lambda fault: fault.id)
ONE_IN_CLUSTER, *OTHERS_IN_CLUSTER = (f for f in FAULTS if not f.in_request)
in_cluster = pytest.mark.parametrize(
    "fault", [ONE_IN_CLUSTER, *(pytest.param(f, marks=pytest.mark.slow) for f in OTHERS_IN_CLUSTER)],
    ids=lambda fault: fault.id)


def read(line: str) -> CurlCommand:
    return CurlCommand.read(line, {}, Path())


def facts() -> Facts:
    return replace(recorded(ROLLOUT / "02-canary-10"), ingress=INGRESS)


@in_request
def test_the_doctors_first_line_names_a_fault_of_a_request_and_its_command_is_repaired(fault: Fault) -> None:
    broken = read(fault.command(HOST, INGRESS))

    found = explain(broken, facts()) or [unanswered(broken, facts(), "connection refused")]
    repaired = corrected(broken, facts())

    assert found[0].id == fault.rule and found[0].severity == "blocker"
    assert Report(tuple(found)).text.startswith(f"✖ {fault.rule} ")
    assert not [one for one in explain(repaired, facts()) if one.severity == "blocker"] or fault.rule == "R08"


def seen_by_the_doctor(learner: Learner) -> Report:
    store = learner.cluster.store
    objects = [store.list(kind, NS) for kind in (INFERENCE_SERVICE, KNATIVE_SERVICE, REVISION, POD, EVENT)]
    return report(Facts(NS, namespace_labels={}, services=services_of(*objects), now=learner.cluster.now))


@in_cluster
def test_the_doctors_first_line_names_a_fault_of_the_cluster_and_the_repair_mends_it(fault: Fault) -> None:
    learner = Learner(Simulator(gateway="istio"))
    for change in (FIRST, CANARY):
        learner.do(change)
        learner.cluster.settle(WAIT_S)
    assert unrepaired(learner.snapshot()) == ""
    for step in fault.changes:
        model = step.patch["spec"]["predictor"].get("model", {})
        learner.cluster.broken |= {model.get("storageUri", ""), *model.get("args", [])} - {MODEL, MODEL_2, ""}

    for step in fault.changes:
        learner.do(step)
    learner.cluster.settle(WAIT_S)
    assert unrepaired(learner.snapshot())
    first = seen_by_the_doctor(learner).findings[0]
    assert first.id == fault.rule, seen_by_the_doctor(learner).text

    for step in fault.repair:
        learner.do(step)
    learner.cluster.settle(WAIT_S)
    assert unrepaired(learner.snapshot()) == ""


def test_the_correct_command_has_no_finding() -> None:
    assert explain(read(correct_command(HOST, INGRESS)), facts()) == []


def test_seeds_go_through_all_faults() -> None:
    assert len(FAULTS) >= 15 and len({fault.id for fault in FAULTS}) == len(FAULTS)
    assert {fault_of(seed).id for seed in range(len(FAULTS))} == {fault.id for fault in FAULTS}
    assert {fault.rule for fault in FAULTS} <= set(titles())


def test_a_report_does_not_name_its_fault() -> None:
    for fault in FAULTS:
        assert fault.id.replace("-", " ") not in fault.report.lower()
