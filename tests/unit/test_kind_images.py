"""The images that a kind cluster needs, and their installation from archives."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path

import pytest
from click.testing import CliRunner

from kserve_nb import clusters
from kserve_nb.cli import main
from kserve_nb.clusters import ClusterError
from kserve_nb.clusters.kind import required_images
from kserve_nb.clusters.kind.versions import part
from tests.fake_gateway import FakeGateway
from tests.kind_world import World
from tests.unit.kind_fixtures import up

DEPLOYMENT = f"""
---
kind: Deployment
metadata: {{name: activator}}
spec:
  template:
    spec:
      containers: [{{image: "gcr.io/knative-releases/activator@sha256:{'1' * 64}"}}]
---
kind: ConfigMap
metadata: {{name: config-deployment}}
data: {{queue-sidecar-image: "gcr.io/knative-releases/queue@sha256:{'2' * 64}"}}
"""
TAGS = ["kindest/node:sha256-452d707d4862", "gcr.io/knative-releases/activator:sha256-111111111111",
        "gcr.io/knative-releases/queue:sha256-222222222222", "docker.io/kserve/sklearnserver:v0.20.0",
        "kserve/storage-initializer:v0.20.0"]


@pytest.fixture
def digests(manifests: Path) -> Path:
    """Manifests, of which one names images by digest."""
    file = manifests / "serving-core.yaml"
    file.write_text(file.read_text() + DEPLOYMENT)
    return manifests


def archive(folder: Path, name: str, *tags: str) -> None:
    """An archive like those of `docker save`, with the parts that are read here."""
    folder.mkdir(exist_ok=True)
    index = folder / "manifest.json"
    index.write_text(json.dumps([{"RepoTags": [tag]} for tag in tags]))
    with tarfile.open(folder / name, "w") as written:
        written.add(index, "manifest.json")
    index.unlink()


def test_images_come_from_archives_and_manifests_name_them_by_tag(
    world: World, digests: Path, gateway: FakeGateway, tmp_path: Path
) -> None:
    archive(tmp_path / "stick", "a-node.tar", TAGS[0])
    archive(tmp_path / "stick", "others.tar", *TAGS[1:])
    port = int(gateway.address.rpartition(":")[2])

    clusters.start("demo", "kind", ingress_port=port, manifests=digests, images=tmp_path / "stick")

    assert world["loaded"] == ["a-node.tar", "others.tar"]
    assert [line.split()[:2] for line in world.commands() if " load " in line] == [["docker", "load"], ["kind", "load"]]
    assert "image: kindest/node:sha256-452d707d4862" in world["kind config"]
    applied = next(text for text in world["applied"] if "activator" in text)
    assert "activator:sha256-111111111111" in applied and "queue:sha256-222222222222" in applied
    assert "@sha256" not in applied


def test_archives_that_lack_an_image_are_refused_before_anything_is_created(
    world: World, digests: Path, tmp_path: Path
) -> None:
    archive(tmp_path / "stick", "some.tar", *TAGS[:2])

    with pytest.raises(ClusterError, match=r"it lacks gcr\.io/knative-releases/queue:sha256-222222222222, kserve/skl"):
        clusters.start("demo", "kind", manifests=digests, images=tmp_path / "stick")
    with pytest.raises(ClusterError, match=r"There is no archive \*\.tar in .*kserve-nb kind images --save DIR"):
        clusters.start("demo", "kind", manifests=digests, images=tmp_path / "absent")

    assert not [line for line in world.commands() if line.startswith("kind create")]


def test_something_else_than_an_archive_is_named(tmp_path: Path) -> None:
    (tmp_path / "image.tar").write_text("not an archive")

    with pytest.raises(ClusterError, match=r"Cannot read .*image\.tar, which should be an archive of `docker save`"):
        required_images.archives(tmp_path)


def test_the_images_of_a_gateway_are_listed_with_their_versions(world: World, digests: Path) -> None:
    shown = CliRunner().invoke(main, ["kind", "images", "--manifests", str(digests)])

    assert shown.exit_code == 0, shown.output
    assert "# knative 1.21.1" in shown.output and "# kourier" not in shown.output
    assert [line for line in shown.output.splitlines() if not line.startswith("#")] == [
        part("node").image, f"gcr.io/knative-releases/activator@sha256:{'1' * 64}",
        f"gcr.io/knative-releases/queue@sha256:{'2' * 64}", "kserve/sklearnserver:v0.20.0",
        "kserve/storage-initializer:v0.20.0"]


def test_images_are_saved_under_tags_that_the_installation_finds(world: World, digests: Path, tmp_path: Path) -> None:
    shown = CliRunner().invoke(main, ["kind", "images", "--manifests", str(digests), "--save", str(tmp_path / "s")])

    assert shown.exit_code == 0, shown.output
    assert required_images.missing_from(required_images.archives(tmp_path / "s"), TAGS) == []


def test_unknown_sizes_do_not_stop_the_installation(world: World, manifests: Path, gateway: FakeGateway) -> None:
    told: list[str] = []
    world["sizes"] = False

    up(gateway, manifests, notify=told.append)

    assert "images are needed, of unknown size" in "\n".join(told)
