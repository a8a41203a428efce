"""The settings of a kind cluster, and its own server for the tutorial's gs:// URIs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any

import joblib
import pytest

from kserve_nb.clusters.embedded.node.runtime.iris_models import DISAGREEMENT, PAYLOAD
from kserve_nb.clusters.kind import model_fetcher, model_server, models, settings
from kserve_nb.clusters.kind.versions import part
from tests.kind_world import DATA


def recorded(name: str) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((DATA / f"{name}.json").read_text())
    return loaded


def test_the_ingress_key_keeps_all_unchanged_settings() -> None:
    before = recorded("inferenceservice-config")["data"]

    changed = settings.kserve(before, "istio")

    assert set(changed) == {"ingress", "storageInitializer"}
    was, now = json.loads(before["ingress"]), json.loads(changed["ingress"])
    assert now == was | {"disableIstioVirtualHost": False} and was["disableIstioVirtualHost"] is True
    was, now = (json.loads(data["storageInitializer"]) for data in (before, changed))
    assert now == was | {"cpuRequest": "10m"}
    assert settings.kserve(before | changed, "istio") == {}


@pytest.mark.parametrize(("mode", "after"), [("Standard", "Serverless"), ("Knative", None), ("Serverless", None)])
def test_the_deployment_mode_supports_canaries(mode: str, after: str | None) -> None:
    data = recorded("inferenceservice-config")["data"] | {"deploy": json.dumps({"defaultDeploymentMode": mode})}

    changed = settings.kserve(data, "kourier")

    assert (json.loads(changed["deploy"])["defaultDeploymentMode"] if "deploy" in changed else None) == after


def test_the_runtime_keeps_its_container_with_small_requests() -> None:
    before = recorded("clusterservingruntime")["spec"]

    after = settings.runtime(before)["spec"]["containers"]

    assert after == [before["containers"][0] | {"resources": settings.MODEL_RESOURCES}]


def test_only_one_storage_container_takes_gs() -> None:
    patch = settings.storage_container(recorded("clusterstoragecontainer")["spec"])["spec"]
    theirs = patch["supportedUriFormats"]
    ours = next(each for each in models.objects() if each["kind"] == "ClusterStorageContainer")["spec"]

    assert {"prefix": "gs://"} not in theirs and {"prefix": "s3://"} in theirs
    assert ours["supportedUriFormats"] == [{"prefix": "gs://"}]


def test_twelve_model_pods_fit_on_a_node_with_two_cpus() -> None:
    system, queue_proxy = 1210, 25  # millicores; the first was measured on a kind cluster with KServe
    initializer = next(each for each in models.objects() if each["kind"] == "ClusterStorageContainer")["spec"]
    released = settings.storage_container(recorded("clusterstoragecontainer")["spec"])["spec"]

    model, *downloads = (int(resources["requests"]["cpu"].removesuffix("m")) for resources in (
        settings.MODEL_RESOURCES, initializer["container"]["resources"], released["container"]["resources"]))

    assert system + 12 * max(model + queue_proxy, *downloads) <= 2000
    assert all(10 <= each <= 25 for each in (model, *downloads))


def test_images_are_ones_that_are_needed_anyway() -> None:
    texts = json.dumps(models.objects())

    images = {f"kserve/{name}:v{part('kserve').version}" for name in ("sklearnserver", "storage-initializer")}
    assert all(image in texts for image in images)
    assert recorded("clusterservingruntime")["spec"]["containers"][0]["image"] in images


def test_scripts_import_nothing_of_this_project() -> None:
    for script in (model_server, model_fetcher):
        assert "kserve_nb" not in Path(script.__file__).read_text()


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The model server as its container runs it, on a free port."""
    deployment = next(each for each in models.objects() if each["kind"] == "Deployment")
    container = deployment["spec"]["template"]["spec"]["containers"][0]
    kernels = json.loads(next(row["value"] for row in container["env"] if row["name"] == "MODELS"))
    served = ThreadingHTTPServer(("127.0.0.1", 0), model_server.handler(model_server.trained(kernels)))
    threading.Thread(target=served.serve_forever, args=(0.005,), daemon=True).start()
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    yield f"http://127.0.0.1:{served.server_port}"
    served.shutdown()
    served.server_close()


def fetched(server: str, folder: Path, *uris: str) -> subprocess.CompletedProcess[str]:
    """Run the script of the ClusterStorageContainer with KServe's arguments, as the init container does."""
    spec = next(each for each in models.objects() if each["kind"] == "ClusterStorageContainer")["spec"]["container"]
    pairs = [word for number, uri in enumerate(uris) for word in (uri, str(folder / str(number)))]
    return subprocess.run([sys.executable, *spec["command"][1:], *pairs], capture_output=True, text=True, timeout=60,
                          env={**os.environ, "MODEL_SERVER": server})


def test_both_models_come_and_disagree(server: str, tmp_path: Path) -> None:
    done = fetched(server, tmp_path, "gs://kfserving-examples/models/sklearn/1.0/model",
                   "gs://kserve-examples/models/sklearn/1.0/model-2/")

    assert done.returncode == 0, done.stderr
    old, new = (joblib.load(tmp_path / name / "model.joblib") for name in ("0", "1"))
    assert old.predict(PAYLOAD).tolist() == new.predict(PAYLOAD).tolist() == [1, 1]
    assert (old.predict([DISAGREEMENT])[0], new.predict([DISAGREEMENT])[0]) == (1, 2)


def test_a_model_that_is_not_there_fails_as_it_does_in_kserve(server: str, tmp_path: Path) -> None:
    uri = "gs://kfserving-examples/models/sklearn/1.0/model-that-is-not-there"

    done = fetched(server, tmp_path, uri)

    assert done.returncode == 1 and f"Failed to fetch model. No model found in {uri}." in done.stderr


def test_other_models_are_left_to_kserves_own_initializer(server: str, tmp_path: Path) -> None:
    own = tmp_path / "initializer"
    own.write_text('#!/bin/sh\necho "$@" > "$2.asked"\n')
    own.chmod(0o755)
    script = Path(model_fetcher.__file__).read_text().replace(model_fetcher.INITIALIZER, str(own))

    subprocess.run([sys.executable, "-c", script, "gs://other/model", str(tmp_path / "0")], check=True, timeout=60,
                   env={**os.environ, "MODEL_SERVER": server})

    assert (tmp_path / "0.asked").read_text().split() == ["gs://other/model", str(tmp_path / "0")]


def test_a_server_that_does_not_answer_fails_the_init_container(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(model_fetcher, "TRIES", 1)

    with pytest.raises(OSError, match="refused"):
        model_fetcher.fetch("http://127.0.0.1:9", "gs://a/b", str(tmp_path))
