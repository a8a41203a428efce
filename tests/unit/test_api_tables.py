"""The printed columns are equal to those of kubectl for the same objects on a real cluster."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import orjson
import pytest

from kserve_nb.clusters.embedded.api.columns import human_duration, tables
from kserve_nb.clusters.embedded.api.entry import Entry, encode
from kserve_nb.clusters.embedded.apimachinery.kinds import EVENT, INFERENCE_SERVICE, KINDS, POD
from kserve_nb.clusters.embedded.apimachinery.objects import Kind, Object

PRINTED = json.loads((Path(__file__).parents[1] / "data/api/printed.json").read_text())


def cells(kind: Kind, obj: Object) -> list[Any]:
    found: list[Any] = orjson.loads(tables.row(kind, Entry.of(obj, encode(obj)), "None"))["cells"]
    return found


def titled(row: dict[str, Any]) -> str:
    return " ".join(filter(None, row["cells"]))


@pytest.mark.parametrize("row", [row for row in PRINTED if row["kind"] == "pods"], ids=titled)
def test_a_pod_shows_its_state(row: dict[str, Any]) -> None:
    ready, status, restarts = cells(POD, row["object"])[1:4]

    assert [ready, status, restarts.partition(" ")[0]] == row["cells"]


@pytest.mark.parametrize("row", [row for row in PRINTED if row["kind"] == INFERENCE_SERVICE.resource], ids=titled)
def test_an_inference_service_shows_its_traffic(row: dict[str, Any]) -> None:
    shown = cells(INFERENCE_SERVICE, row["object"])[1:-1]

    assert ["" if cell is None else str(cell) for cell in shown] == row["cells"]


def test_an_event_is_identified_by_time_and_text() -> None:
    about = {"kind": "Pod", "name": "p", "fieldPath": "spec.containers{c}"}
    event = {"metadata": {"name": "p.1", "resourceVersion": "1"}, "involvedObject": about, "type": "Normal",
             "reason": "Pulled", "message": "text ", "source": {"component": "kubelet", "host": "n"}, "count": 3}

    assert [column["name"] for column in tables.columns(EVENT)][:4] == ["Last Seen", "Type", "Reason", "Object"]
    assert cells(EVENT, event) == [
        "<unknown>", "Normal", "Pulled", "pod/p", "spec.containers{c}", "kubelet, n", "text", "<unknown>", 3, "p.1"]


@pytest.mark.parametrize("kind", [kind for kind in KINDS if not kind.internal], ids=lambda kind: kind.resource)
def test_every_kind_has_a_cell_for_every_column(kind: Kind) -> None:
    bare = {"metadata": {"name": "x", "resourceVersion": "1"}}

    assert len(cells(kind, bare)) == len(tables.columns(kind))


@pytest.mark.parametrize("seconds, text", [
    (-5, "<invalid>"), (0, "0s"), (119, "119s"), (120, "2m"), (262, "4m22s"), (599, "9m59s"), (600, "10m"),
    (10_799, "179m"), (10_800, "3h"), (11_000, "3h3m"), (28_800, "8h"), (172_799, "47h"), (172_800, "2d"),
    (180_000, "2d2h"), (691_200, "8d"), (63_072_000, "2y"), (65_000_000, "2y22d"), (300_000_000, "9y")])
def test_ages_are_written_as_kubectl_writes_them(seconds: float, text: str) -> None:
    assert human_duration.human(seconds) == text


@pytest.mark.parametrize("state, expected", [
    ({"waiting": {"reason": "ContainerCreating"}}, "ContainerCreating"),
    ({"waiting": {"reason": "CrashLoopBackOff"}}, "CrashLoopBackOff"),
    ({"terminated": {"exitCode": 137, "reason": "OOMKilled"}}, "OOMKilled"),
    ({"terminated": {"exitCode": 3}}, "ExitCode:3"),
    ({"terminated": {"exitCode": 0, "signal": 9}}, "Signal:9"),
])
def test_the_state_of_a_container_is_that_of_its_pod(state: Object, expected: str) -> None:
    pod = {"metadata": {"name": "p", "resourceVersion": "1"}, "spec": {"containers": [{"name": "c"}]},
           "status": {"phase": "Running", "containerStatuses": [{"name": "c", "ready": False, "state": state}]}}

    assert cells(POD, pod)[1:3] == ["0/1", expected]


@pytest.mark.parametrize("states, expected", [
    ([{"waiting": {"reason": "PodInitializing"}}, {}], "Init:0/2"),
    ([{"terminated": {"exitCode": 0}}, {"running": {}}], "Init:1/2"),
    ([{"terminated": {"exitCode": 1, "reason": "Error"}}], "Init:Error"),
    ([{"waiting": {"reason": "CrashLoopBackOff"}}], "Init:CrashLoopBackOff"),
    ([{"terminated": {"exitCode": 2}}], "Init:ExitCode:2"),
    ([{"terminated": {"exitCode": 0}}, {"terminated": {"exitCode": 0}}], "PodInitializing"),
])
def test_init_containers_come_first(states: list[Object], expected: str) -> None:
    pod = {"metadata": {"name": "p", "resourceVersion": "1"},
           "spec": {"containers": [{"name": "c"}], "initContainers": [{"name": "i0"}, {"name": "i1"}]},
           "status": {"phase": "Pending",
                      "initContainerStatuses": [{"name": f"i{n}", "state": state} for n, state in enumerate(states)],
                      "containerStatuses": [{"name": "c", "state": {"waiting": {"reason": "PodInitializing"}}}]}}

    assert cells(POD, pod)[2] == expected
