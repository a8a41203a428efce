"""The doctor's rules on changed recorded states: a wrong value, a failed part, a trap."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from types import ModuleType

import pytest

from kserve_nb.access.ingress import Response
from kserve_nb.doctor import Facts, Report, Rule, Session, rules
from kserve_nb.doctor.fact_collector import collect
from kserve_nb.doctor.facts import ProbeResult
from kserve_nb.doctor.report import HEALTHY, UNDECIDED, WRONG
from kserve_nb.doctor.rules import CHECKS
from kserve_nb.doctor.rules.trap_rules import annotation_revision
from kserve_nb.rollout.sampling import Tally
from kserve_nb.values.labels import SOURCE_URI
from kserve_nb.values.split import Split
from tests.fake_api import FakeApi
from tests.unit.doctor_cases import CASES
from tests.unit.doctor_fixtures import (
    NOW,
    ROLLOUT,
    Object,
    annotated,
    answer,
    changed,
    ids,
    node,
    predictor,
    recorded,
    report,
    unscheduled,
    waiting,
    with_pod,
)

CLAIM = ('0/1 nodes are available: persistentvolumeclaim "absent" not found. preemption: 0/1 nodes are available: '
         "1 Preemption is not helpful for scheduling.")  # fmt: skip


def first_line(found: Report) -> str:
    return found.text.splitlines()[0]


@pytest.mark.parametrize(("rule", "facts"), CASES, ids=[rule for rule, _ in CASES])
def test_a_rule_finds_its_fault(rule: str, facts: Facts) -> None:
    found = [finding for check in CHECKS for finding in check.find(facts)]

    assert rule in [finding.id for finding in found]


def test_every_rule_about_a_cluster_has_a_case() -> None:
    used = {value.id for name, module in sys.modules.items() if name.startswith("kserve_nb.doctor.rules.")
            for value in vars(module).values() if isinstance(value, Rule)}  # fmt: skip
    of_notebooks = {"J01", "J04", "J05", "J06", "J07", "J08", "J09"}

    assert used - of_notebooks <= {rule for rule, _ in CASES}


# --- percents and traps ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("percent", [101, 150, -1])
def test_a_percent_outside_0_to_100_blocks(percent: int) -> None:
    found = report(changed("02-canary-10", predictor(canaryTrafficPercent=percent)))

    assert "C12" in first_line(found) and found.blocked, found.text
    assert '"canaryTrafficPercent": 10' in found.findings[0].remedy.shell


@pytest.mark.parametrize("percent", [0, 1, 99, 100])
def test_a_percent_from_0_to_100_is_allowed(percent: int) -> None:
    assert "C12" not in ids(report(changed("02-canary-10", predictor(canaryTrafficPercent=percent))))


@pytest.mark.parametrize("spec", [
    {"predictor": {"model": {"canaryTrafficPercent": 20}}}, {"predictor": {"canaryPercent": 20}},
    {"canaryTrafficPercent": 20},
])  # fmt: skip
def test_a_misplaced_percent_is_found_in_the_applied_document(spec: Object) -> None:
    last = {"kubectl.kubernetes.io/last-applied-configuration": json.dumps({"spec": spec})}

    found = report(changed("02-canary-10", annotated(**last)))

    assert "C12" in ids(found) and '"canaryTrafficPercent": 20' in found.text, found.text


def test_a_percent_on_the_only_revision_is_a_warning() -> None:
    facts = changed("01-create", predictor(canaryTrafficPercent=10))
    revision = {"metadata": {"name": "sklearn-iris-predictor-00001", "labels": {}}, "spec": {}}

    found = report(replace(facts, services=(replace(facts.services[0], revisions=(revision,)),)))

    assert "C01" in ids(found), found.text


def test_an_annotation_that_looks_like_the_percent_has_no_effect() -> None:
    found = report(changed("01-create", annotated(**{"serving.kserve.io/canaryTrafficPercent": "25"})))

    assert ids(found) == ["C21"] and found.exit_code == WRONG, found.text
    assert '"canaryTrafficPercent": 25' in found.findings[0].remedy.shell


def test_spec_canary_routes_no_traffic() -> None:
    canary = [{"trafficPercent": 10, "predictor": {"name": "v2", "model": {}}}]

    found = report(changed("01-create", lambda isvc: isvc["spec"].update(canary=canary)))

    assert "C18" in first_line(found) and "v2 10 %" in first_line(found) and found.blocked, found.text


def test_a_removed_percent_is_explained_while_pods_of_the_previous_revision_are_left() -> None:
    found = report(recorded(ROLLOUT / "04-promote"))

    (note,) = [finding for finding in found.findings if finding.id == "C19"]
    assert note.severity == "note" and found.healthy
    assert '"canaryTrafficPercent": 0' in note.remedy.shell


def test_a_helm_release_without_a_percent_is_warned_about_zero() -> None:
    facts = changed("04-promote", lambda isvc: isvc["metadata"].setdefault("labels", {}).update(
        {"app.kubernetes.io/managed-by": "Helm"}))  # fmt: skip
    two = tuple({"metadata": {"name": f"r-0000{n}", "labels": {}}, "spec": {"containers": [n]}} for n in (1, 2))

    found = report(replace(facts, services=(replace(facts.services[0], revisions=two),)))

    assert "C20" in ids(found), found.text


@pytest.mark.parametrize(("percent", "severity"), [(10, "warning"), (0, "note"), (None, "note")])
def test_a_label_during_a_canary_is_a_warning(percent: int | None, severity: str) -> None:
    facts = changed("02-canary-10", predictor(canaryTrafficPercent=percent))
    old, new = ({"metadata": {"name": f"sklearn-iris-predictor-0000{n}", "labels": {"team": team}}, "spec": {}}
                for n, team in ((2, "a"), (3, "b")))  # fmt: skip

    found = annotation_revision.find(replace(facts, services=(replace(facts.services[0], revisions=(old, new)),)))

    (finding,) = found
    assert finding.severity == severity and "team: b" in finding.saw


def test_two_components_with_a_percent_split_independently() -> None:
    found = report(changed("02-canary-10", lambda isvc: isvc["spec"].update(transformer={"canaryTrafficPercent": 20})))

    assert "C16" in ids(found), found.text


def test_ready_describes_the_newest_revision_while_users_are_served() -> None:
    facts = recorded(ROLLOUT / "broken-canary")
    probe = ProbeResult(answer=answer(200, '{"name":"sklearn-iris","ready":true}'))

    found = report(replace(facts, services=(replace(facts.services[0], probe=probe),)))

    assert {"K13", "C04"} <= set(ids(found)), found.text
    assert not {"C10", "C13"} & set(ids(found)), "notes that have nothing to do with the failure"


def test_a_small_sample_is_explained() -> None:
    split = Split({"sklearn-iris-predictor-00001": 10, "sklearn-iris-predictor-00002": 0})
    tally = Tally(split, "sklearn-iris-predictor-00002", 10, "by the answers")

    found = report(replace(recorded(ROLLOUT / "02-canary-10"), tally=tally))

    assert {"C02", "C03"} <= set(ids(found)) and found.healthy, found.text


def test_a_model_that_another_scikit_learn_saved_is_a_warning_with_the_version_to_install() -> None:
    line = "W: Trying to unpickle estimator SVC from version 1.9.1 when using version 1.5.2. This might"
    facts = recorded(ROLLOUT / "02-canary-10")
    served = replace(facts.services[0], first_lines={"good": "INFO: Uvicorn running", "bad": line})

    (found,) = [each for each in report(replace(facts, services=(served,))).findings if each.id == "K14"]

    assert (found.severity, found.where) == ("warning", "bad")
    assert "saved with scikit-learn 1.9.1, and the model server has 1.5.2." in found.why
    assert found.remedy.shell == "pip install scikit-learn==1.5.2"


@pytest.mark.parametrize(("uri", "folder"), [
    ("pvc://models/wine/v9", "The folder wine/v9 of claim models does not exist"), ("pvc://models", "The folder / of"),
    ("gs://bucket/empty", "Its folder does not exist, or has no model file"),
])
def test_a_ready_server_without_a_model_file_is_a_blocker_with_the_missing_path(uri: str, folder: str) -> None:
    line = ("2026-11-28 ERROR [kserve_server.py:run():149] fail to locate model file for model lost under dir "
            "/mnt/models,trying loading from model repository.")
    service = recorded(ROLLOUT / "02-canary-10").services[0]
    pod = {**service.pods[0], "metadata": {**service.pods[0]["metadata"], "annotations": {SOURCE_URI: uri}}}
    found = replace(service, pods=(pod,), first_lines={pod["metadata"]["name"]: line},
                    probe=ProbeResult(answer=Response(404, {}, '{"error":"Model with name lost does not exist."}')))

    findings = report(replace(recorded(ROLLOUT / "02-canary-10"), services=(found,))).findings

    missing = next(each for each in findings if each.id == "L01")
    assert (missing.severity, missing.where) == ("blocker", f"storageUri {uri}") and missing.why.startswith(folder)
    assert "kserve-nb publish" in missing.remedy.text and "jsonpath" in missing.remedy.shell
    assert "R04" not in [each.id for each in findings]


@pytest.mark.parametrize("module", rules._MODULES, ids=lambda module: module.__name__)
def test_a_rule_about_facts_is_declared_in_code_because_the_tables_may_not_be_loaded(module: ModuleType) -> None:
    assert not hasattr(module, "rule_of")


def test_the_log_of_a_server_is_read_from_its_start(api: FakeApi) -> None:
    api.load("02-canary-10")
    api.logs["/version"] = '{"gitVersion": "v1.35.4"}'
    pod = next(path for path in api.objects if "/pods/" in path and "00002" in path)
    api.logs[f"{pod}/log"] = "first line"

    found = collect(api.cluster(), Session(), probing=False).services[0].first_lines

    assert found == {pod.rpartition("/")[2]: "first line"}
    assert any("container=kserve-container&limitBytes=8192" in request for request in api.requests)


# --- the cluster -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("conditions", "rule"), [
    ({"Ready": "False"}, "N01"), ({"Ready": "Unknown"}, "N01"), ({"Ready": "True", "DiskPressure": "True"}, "N02"),
    ({"Ready": "True", "MemoryPressure": "True"}, "N02"), ({"Ready": "True", "PIDPressure": "True"}, "N02"),
])  # fmt: skip
def test_a_node_in_trouble_blocks(conditions: dict[str, str], rule: str) -> None:
    found = report(replace(recorded(ROLLOUT / "01-create"), nodes=(node(**conditions),)))

    assert rule in first_line(found) and "node-1" in first_line(found) and found.blocked, found.text


def test_a_good_node_has_no_finding() -> None:
    good = node(Ready="True", DiskPressure="False", MemoryPressure="False", PIDPressure="False")

    assert report(replace(recorded(ROLLOUT / "01-create"), nodes=(good,))).healthy


@pytest.mark.parametrize("state", ["crash-looping", "restarting"])
def test_a_part_of_the_embedded_cluster_that_is_not_running_is_named_with_its_log(state: str) -> None:
    part = {"name": "runtime", "state": state, "restarts": 4, "reason": "ended with exit code 1",
            "last_log": "AF_UNIX path too long"}  # fmt: skip

    found = report(replace(recorded(ROLLOUT / "01-create"), health={"parts": [part]}))

    assert "N03" in first_line(found) and "AF_UNIX path too long" in first_line(found), found.text
    assert "no new pod starts" in found.text


@pytest.mark.parametrize("state", ["ready", "starting", "stopped"])
def test_other_states_of_a_part_are_no_fault(state: str) -> None:
    facts = replace(recorded(ROLLOUT / "01-create"), health={"parts": [{"name": "envoy", "state": state}]})

    assert report(facts).healthy


@pytest.mark.parametrize("known", [
    {"free_bytes": 1024, "folder": "/state"},
    {"unreachable": "sqlite3.OperationalError: database or disk is full"},
    {"health": {"parts": [{"name": "server", "state": "ready", "last_log": "No space left on device"}]}},
])  # fmt: skip
def test_a_full_disk_is_named_also_when_the_api_server_is_down(known: Object) -> None:
    found = report(replace(recorded(ROLLOUT / "01-create"), **known))

    assert "N04" in ids(found) and found.blocked, found.text


def test_enough_disk_space_is_no_fault() -> None:
    assert report(replace(recorded(ROLLOUT / "01-create"), free_bytes=10 << 30)).healthy


@pytest.mark.parametrize(("age_s", "found"), [(5, []), (30, ["K16"])])
def test_an_inference_service_without_a_status_is_not_processed(age_s: int, found: list[str]) -> None:
    created = (NOW - timedelta(seconds=age_s)).isoformat()

    def young(isvc: Object) -> None:
        isvc.pop("status")
        isvc["metadata"]["creationTimestamp"] = created

    assert [id_ for id_ in ids(report(changed("01-create", young))) if id_ == "K16"] == found


@pytest.mark.parametrize("mode", ["Standard", "RawDeployment"])
def test_standard_mode_is_named_for_a_service_and_for_the_whole_cluster(mode: str) -> None:
    of_service = report(changed("01-create", annotated(**{"serving.kserve.io/deploymentMode": mode})))
    configs = {"inferenceservice-config": {"deploy": f'{{"defaultDeploymentMode": "{mode}"}}'}}
    of_cluster = report(replace(recorded(ROLLOUT / "01-create"), configs=configs))

    assert "K06" in first_line(of_service) and "K06" in first_line(of_cluster), of_service.text + of_cluster.text


def test_a_label_that_keeps_kserve_from_downloading_blocks() -> None:
    found = report(replace(recorded(ROLLOUT / "01-create"), namespace_labels={"control-plane": "kserve"}))

    assert "K08" in first_line(found) and "control-plane-" in found.findings[0].remedy.shell, found.text


def test_a_service_that_is_scaled_to_zero_is_a_note_and_a_late_answer_a_warning() -> None:
    facts = changed("01-create", predictor(minReplicas=0))
    asleep = replace(facts, services=(replace(facts.services[0], pods=()),))
    late = replace(facts, services=(replace(facts.services[0], probe=ProbeResult(answer=answer(504, "timeout"))),))

    assert "R10" in ids(report(asleep)) and report(asleep).exit_code == HEALTHY
    assert "R10" in ids(report(late)) and report(late).exit_code == WRONG


# --- pods ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("message", "rule"), [
    (CLAIM, "S04"),
    ("0/1 nodes are available: pod has unbound immediate PersistentVolumeClaims.", "S04"),
    ("0/1 nodes are available: 1 Insufficient cpu.", "K04"),
    ("0/2 nodes are available: 2 node(s) didn't match Pod's node affinity/selector.", "P01"),
    ("0/1 nodes are available: 1 node(s) had untolerated taint {gpu: true}.", "P01"),
    ("0/1 nodes are available: 1 Insufficient nvidia.com/gpu.", "P02"),
    ("0/1 nodes are available: 1 something new.", "P01"),
])  # fmt: skip
def test_a_pod_without_a_node_is_explained_by_the_schedulers_reason(message: str, rule: str) -> None:
    found = report(with_pod("02-canary-10", unscheduled(message)))

    assert rule in first_line(found) and found.blocked, found.text
    assert ("K04" in ids(found)) == (rule == "K04") and "K17" not in ids(found), found.text


@pytest.mark.parametrize(("state", "rule"), [
    (waiting("kserve-container", "CrashLoopBackOff", exitCode=137, reason="OOMKilled"), "K15"),
    (waiting("kserve-container", "ImagePullBackOff", 'Back-off pulling image "a:b"'), "K12"),
    (waiting("kserve-container", "CreateContainerConfigError", 'secret "key" not found'), "P04"),
    (waiting("storage-initializer", "ImagePullBackOff", 'Back-off pulling image "a:b"'), "K12"),
    (waiting("storage-initializer", "CrashLoopBackOff", exitCode=1, message="NoCredentialsError"), "K13"),
    (waiting("kserve-container", "CrashLoopBackOff", exitCode=1, message="ValueError: unsupported pickle protocol: 5"),
     "K14"),
    (waiting("kserve-container", "CrashLoopBackOff", exitCode=3, message="something new"), "K17"),
])  # fmt: skip
def test_a_container_that_does_not_run_is_explained_by_its_state_or_log(
    state: Callable[[Object], None], rule: str
) -> None:
    found = report(with_pod("02-canary-10", state))

    assert rule in first_line(found) and found.blocked, found.text
    assert "Users are served by 00001" in found.text, found.text
    assert sum(finding.severity == "blocker" for finding in found.findings) == 1, found.text


def test_a_download_under_way_is_in_progress_with_its_time_and_last_log_line() -> None:
    def downloading(pod: Object) -> None:
        pod["status"]["conditions"] = [{"type": "Ready", "status": "False"}]
        started = (NOW - timedelta(seconds=78)).isoformat()
        pod["status"]["initContainerStatuses"][0] |= {"ready": False, "state": {"running": {"startedAt": started}}}

    found = report(with_pod("02-canary-10", downloading, log="starting\nCopying contents of gs://a/b to local\n"))

    assert first_line(found).startswith("… P15") and found.exit_code == UNDECIDED and not found.healthy, found.text
    assert "init container storage-initializer is running for 78 s" in found.text
    assert "last log line: Copying contents of gs://a/b to local" in found.text
    assert "nothing is wrong" not in found.text
    assert "-c storage-initializer" in found.findings[0].remedy.shell


def test_a_model_that_still_loads_is_in_progress() -> None:
    def loading(pod: Object) -> None:
        pod["status"]["conditions"] = [{"type": "Ready", "status": "False"}]
        pod["status"]["containerStatuses"][0]["ready"] = False

    found = report(with_pod("02-canary-10", loading))

    assert "is running and not ready yet" in first_line(found) and found.exit_code == UNDECIDED, found.text
