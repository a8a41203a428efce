"""Pod.status as the node writes it, against the statuses of a real kubelet."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from kserve_nb.clusters.embedded.node.kubelet.pod_status import from_pod, image_name, pod_status

DATA = Path(__file__).parents[1] / "data" / "node"
NOW = 1795425300.0


def recorded() -> list[Any]:
    life = json.loads((DATA / "pod-life.json").read_text())
    pods = [row["pod"] for row in life if "containerStatuses" in row["pod"]["status"]]
    pods += [json.loads((DATA / name).read_text())
             for name in ("pod-ready.json", "pod-init-error.json", "pod-init-back-off.json")]
    return pods


def without_image_ids(status: dict[str, Any]) -> dict[str, Any]:
    text = json.loads(json.dumps(status))
    for field in ("initContainerStatuses", "containerStatuses"):
        for container in text[field]:
            container["imageID"] = bool(container["imageID"])
    return text  # type: ignore[no-any-return]


@pytest.mark.parametrize("pod", recorded())
def test_a_recorded_status_is_written_as_it_was_read(pod: dict[str, Any]) -> None:
    state = from_pod(pod, "10.0.0.1", NOW)

    status = pod_status(pod, state, NOW)

    generation = {"observedGeneration": pod["metadata"]["generation"]}
    expected = {**pod["status"], **generation,
                "conditions": [{**c, **generation} for c in pod["status"]["conditions"]]}
    assert without_image_ids(status) == without_image_ids(expected)


def test_the_first_status_is_the_recorded_one() -> None:
    bound, first = [row["pod"] for row in json.loads((DATA / "pod-life.json").read_text())[1:3]]
    start = 1795425323.0

    status = pod_status(bound, from_pod(bound, first["status"]["hostIP"], start), start)

    assert status == first["status"]


@pytest.mark.parametrize(("image", "named"), [
    ("kserve/sklearnserver:v0.20.0", "docker.io/kserve/sklearnserver:v0.20.0"),
    ("kserve/sklearnserver", "docker.io/kserve/sklearnserver:latest"),
    ("gcr.io/a/b:v1", "gcr.io/a/b:v1"),
    ("localhost:5000/a", "localhost:5000/a:latest"),
])
def test_images_are_named_with_registry_and_tag(image: str, named: str) -> None:
    assert image_name(image) == named
