"""The files of a container: mounts lead to volumes, and no path leaves the pod's or the volume's folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from kserve_nb.clusters.embedded.node.kubelet.volumes import Mount, VolumeError, claim_folder, local_models, prepare


def pod_with(mount: dict[str, Any], volume: dict[str, Any], container: str = "server") -> tuple[dict[str, Any], ...]:
    """A container with one mount, and its pod."""
    spec = {"name": container, "volumeMounts": [{"name": "v", **mount}]}
    return spec, {"metadata": {"namespace": "ns"}, "spec": {"containers": [spec], "volumes": [{"name": "v", **volume}]}}


CLAIM = {"persistentVolumeClaim": {"claimName": "shelf"}}


def test_a_mount_is_a_link_to_its_volume(tmp_path: Path) -> None:
    spec, pod = pod_with({"mountPath": "/mnt/models", "subPath": "iris", "readOnly": True}, CLAIM)

    root, mounts = prepare(spec, pod, tmp_path / "pods/1", tmp_path)

    source = claim_folder(tmp_path, "ns", "shelf") / "iris"
    assert (root / "mnt/models").resolve() == source.resolve()
    assert mounts == [Mount(source, read_only=True)]
    assert root.stat().st_mode & 0o777 == source.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize(("mount", "volume", "container", "message"), [
    ({"mountPath": "/m", "subPath": "../elsewhere"}, CLAIM, "server",
     'failed to prepare subPath for volumeMount "v" of container "server"'),
    ({"mountPath": "/m/../../../elsewhere"}, CLAIM, "server",
     'invalid mount path "/m/../../../elsewhere" of container "server"'),
    ({"mountPath": "/m\0x"}, CLAIM, "server", 'invalid mount path "/m\0x" of container "server"'),
    ({"mountPath": "/m"}, {"persistentVolumeClaim": {"claimName": ".."}}, "server",
     'persistentvolumeclaim ".." not found'),
    ({"mountPath": "/m"}, {"persistentVolumeClaim": {"claimName": "/etc"}}, "server",
     'persistentvolumeclaim "/etc" not found'),
    ({"mountPath": "/m"}, CLAIM, "../../server", 'invalid container name "../../server"'),
    ({"mountPath": "/m"}, {"hostPath": {"path": "/etc"}}, "server", 'volume "v" is a hostPath'),
])
def test_no_path_leaves_its_folder(
        mount: dict[str, Any], volume: dict[str, Any], container: str, message: str, tmp_path: Path) -> None:
    spec, pod = pod_with(mount, volume, container)

    with pytest.raises(VolumeError) as refused:
        prepare(spec, pod, tmp_path / "state/pods/1", tmp_path / "state")

    assert str(refused.value).startswith(message)
    assert [path.name for path in tmp_path.iterdir() if path.name != "state"] == []


def test_a_volume_name_does_not_leave_the_pods_folder(tmp_path: Path) -> None:
    spec = {"name": "server", "volumeMounts": [{"name": "../../../x", "mountPath": "/m"}]}
    pod = {"metadata": {"namespace": "ns"}, "spec": {"volumes": [{"name": "../../../x", "emptyDir": {}}]}}

    with pytest.raises(VolumeError, match="invalid volume name"):
        prepare(spec, pod, tmp_path / "pods/1", tmp_path)


def test_a_link_in_a_volume_is_not_followed_out_of_it(tmp_path: Path) -> None:
    spec, pod = pod_with({"mountPath": "/m", "subPath": "link"}, CLAIM)
    shelf = claim_folder(tmp_path, "ns", "shelf")
    shelf.mkdir(parents=True)
    (shelf / "link").symlink_to("/etc")

    with pytest.raises(VolumeError, match="failed to prepare subPath"):
        prepare(spec, pod, tmp_path / "pods/1", tmp_path)


def test_a_link_that_a_container_has_made_is_not_followed(tmp_path: Path) -> None:
    spec, pod = pod_with({"mountPath": "/mnt/models"}, CLAIM)
    (tmp_path / "elsewhere").mkdir()
    root, _ = prepare(spec, pod, tmp_path / "pods/1", tmp_path)
    (root / "mnt/models").unlink()
    (root / "mnt").rmdir()
    (root / "mnt").symlink_to(tmp_path / "elsewhere")

    with pytest.raises(VolumeError, match="invalid mount path"):
        prepare(spec, pod, tmp_path / "pods/1", tmp_path)

    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_a_mount_that_a_container_has_replaced_is_restored(tmp_path: Path) -> None:
    spec, pod = pod_with({"mountPath": "/m"}, CLAIM)
    root, _ = prepare(spec, pod, tmp_path / "pods/1", tmp_path)
    (root / "m").unlink()
    (root / "m").symlink_to("/etc")

    prepare(spec, pod, tmp_path / "pods/1", tmp_path)

    assert (root / "m").readlink() == claim_folder(tmp_path, "ns", "shelf")


def test_a_pod_may_read_the_local_models_that_it_names_but_not_the_clusters_state(tmp_path: Path) -> None:
    state, model = tmp_path / "state", tmp_path / "model"
    uris = [f"file://{model}", str(model), "gs://bucket/model", "file://relative", f"file://{state}/kubeconfig",
            f"file://{tmp_path}", "file:///", f"{model}/../state"]
    args = [part for uri in uris for part in (uri, "/mnt/models")]

    found = local_models({"spec": {"initContainers": [{"args": args}]}}, state)

    assert found == [model, model]
