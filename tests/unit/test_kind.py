"""A kind cluster is created, resumed, found and deleted; and every refusal states what to do."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from kserve_nb import clusters
from kserve_nb.cli import main
from kserve_nb.clusters import state
from kserve_nb.clusters.kind import (
    install_manifests,
    kind_installation,
    kind_record,
    steps,
)
from kserve_nb.clusters.kind.kind_record import CREATING
from kserve_nb.clusters.kind.versions import installed, part
from kserve_nb.clusters.state import ClusterError, Record
from tests.fake_gateway import FakeGateway
from tests.kind_world import DATA, NO_KIND, RACES, World
from tests.unit.kind_fixtures import NODE, pod, up, warning

pytestmark = pytest.mark.slow

@pytest.mark.parametrize("form", ["istio", "kourier"])
def test_the_commands_are_these_in_this_order(form: str, machine: World, manifests: Path, gateway: FakeGateway) -> None:
    record = up(gateway, manifests, form)

    assert machine.commands() == (DATA / f"{form}.txt").read_text().splitlines()
    assert record.ingress == gateway.address and record.gateway == form and not kind_installation.missing(record)


def test_everything_is_applied_on_the_servers_side(world: World, manifests: Path, gateway: FakeGateway) -> None:
    up(gateway, manifests)

    applied = [line for line in world.commands() if " apply " in line]
    assert applied and all("--server-side --force-conflicts" in line for line in applied)


def test_a_second_up_finds_it_and_installs_nothing(world: World, manifests: Path, gateway: FakeGateway) -> None:
    first, said = up(gateway, manifests), list[str]()
    world["log"] = []

    assert up(gateway, manifests, notify=said.append) == first
    changes = [line for line in world.commands("--dry-run=server") if " apply " in line or " patch " in line]
    assert changes == [] and not [line for line in world.commands() if line.startswith("kind create")]
    assert "there already: cert-manager 1.17.0" in said[0]


def test_a_transient_error_is_retried_and_reported(world: World, manifests: Path, gateway: FakeGateway) -> None:
    said: list[str] = []
    world["refusals"] = {"create --dry-run=server": list(RACES), "kserve.yaml": [NO_KIND]}

    up(gateway, manifests, notify=said.append)

    assert [line.split("trying again: ")[1] for line in said if "trying again" in line] == [
        *(race for race in RACES), "ensure CRDs are installed first"]
    assert all(line[:4].strip().isdigit() and line[4:6] == " s" for line in said)


def test_a_lasting_error_ends_up_and_the_next_up_continues(
    world: World, manifests: Path, gateway: FakeGateway
) -> None:
    world["refusals"] = {"kserve.yaml": ["error: You must be logged in to the server (Unauthorized)"]}

    with pytest.raises(ClusterError, match=r"kserve\.yaml` failed: error: You must be logged in .*then continue with"):
        up(gateway, manifests)
    record = state.read("demo")
    assert record is not None and kind_installation.missing(record) == "KServe 0.20.0"
    answer = CliRunner().invoke(main, ["status", "--name", "demo"])
    assert answer.exit_code == 1
    assert "KServe 0.20.0 is not installed yet. Continue: kserve-nb up --cluster kind" in answer.output

    world["log"] = []
    up(gateway, manifests)
    applied = [line.rpartition(" ")[2] for line in world.commands() if " apply " in line]
    assert applied == ["-", "kserve.yaml", "kserve-cluster-resources.yaml", "-"]
    assert not [line for line in world.commands() if line.startswith("kind create")]


def test_a_step_with_a_deleted_namespace_is_repeated_with_all_later_steps(
    world: World, manifests: Path, gateway: FakeGateway
) -> None:
    up(gateway, manifests)
    world["namespaces"] = [name for name in world["namespaces"] if name != "istio-system"]
    world["log"] = []

    up(gateway, manifests)

    applied = [line.rpartition(" ")[2] for line in world.commands() if " apply " in line]
    assert applied == ["istio.yaml", "net-istio.yaml", "-", "kserve.yaml", "kserve-cluster-resources.yaml", "-"]


def test_slow_pods_are_waited_for_and_the_reason_is_shown(
    world: World, manifests: Path, gateway: FakeGateway
) -> None:
    said: list[str] = []
    world["unready"] = {"cert-manager": 3}
    world["events"], world["pods"] = [warning("Back-off pulling image")], [pod(ready=False)]

    up(gateway, manifests, notify=said.append)

    assert len([line for line in said if "cert-manager: pod-1: Back-off pulling image" in line]) == 1


def test_pods_that_never_get_ready_end_it_with_the_last_warning(
    world: World, manifests: Path, gateway: FakeGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(steps, "READY_S", 0.0)
    world["unready"] = {"knative-serving": 99}
    world["events"] = [warning("0/1 nodes are available: 1 Insufficient memory.")]
    world["pods"] = [pod(ready=False)]

    with pytest.raises(ClusterError, match=r"knative-serving: not ready after 0 s: .*Insufficient memory.*get pods"):
        up(gateway, manifests)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"docker": "Cannot connect to the Docker daemon at unix:///run/docker.sock. Is the docker daemon running?"},
         "Docker is not running .*Start it: "),
        ({"docker": "permission denied while trying to connect to the docker API at unix:///var/run/docker.sock"},
         r"This user may not use Docker, which is running\. Allow it: sudo usermod -aG docker"),
        ({"memory": 3 * 2**30}, r"has 3.0 GiB of memory\. A cluster with two models uses 2.9 GiB, and 4 GiB"),
        ({"cpus": 1}, r"Docker has 1 CPU\. .* need 2"),
        ({"cgroup": "1"}, r"Docker uses cgroup v1, and Kubernetes 1\.35\.0 needs v2"),
        ({"kind": "v0.30.0"}, r"kind is v0.30.0, and the node image needs v0.31.0 or later\. Install it: curl"),
        ({"kind": "unknown"}, "prints no version"),
    ],
)
def test_each_missing_requirement_has_its_remedy(
    changes: dict[str, object], says: str, world: World, manifests: Path, gateway: FakeGateway
) -> None:
    for key, value in changes.items():
        world[key] = value

    with pytest.raises(ClusterError, match=says):
        up(gateway, manifests)

    assert state.read("demo") is None
    assert not [line for line in world.commands() if line.startswith(("kind create", "kubectl"))]


def test_all_missing_requirements_are_listed_together(
    world: World, manifests: Path, gateway: FakeGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")

    with pytest.raises(ClusterError) as refused:
        up(gateway, manifests)

    lines = str(refused.value).splitlines()
    assert [line.split(" is not ")[0] for line in lines[1:3]] == ["  - Docker", "  - kind"]
    assert lines[-1].endswith("on the embedded cluster: kserve-nb up")


def test_four_gigabytes_minus_the_kernels_share_are_enough(
    world: World, manifests: Path, gateway: FakeGateway
) -> None:
    world["memory"] = int(3.8 * 2**30)

    assert not kind_installation.missing(up(gateway, manifests))


def test_a_foreign_kind_cluster_of_the_same_name_is_left_alone(
    world: World, manifests: Path, gateway: FakeGateway
) -> None:
    world["containers"] = {NODE: {"id": "theirs", "running": True}}

    with pytest.raises(ClusterError, match=r"has a cluster 'kserve-nb-demo', and no record .* left alone"):
        up(gateway, manifests)

    assert NODE in world["containers"] and state.read("demo") is None


def test_down_deletes_only_what_up_created(world: World, manifests: Path, gateway: FakeGateway) -> None:
    record = up(gateway, manifests)
    world["containers"] = {NODE: {"id": "theirs", "running": True}}  # somebody replaced ours by another one

    with pytest.raises(ClusterError, match="left alone"):
        clusters.delete(record.name)
    assert NODE in world["containers"] and state.read("demo") == record

    theirs = {"id": "theirs", "running": True}
    world["containers"] = {NODE: {"id": kind_record.container(record), "running": True}, "other-control-plane": theirs}
    answer = CliRunner().invoke(main, ["down", "--name", "demo"])
    assert answer.exit_code == 0, answer.output
    assert list(world["containers"]) == ["other-control-plane"] and state.read("demo") is None


def test_down_forgets_a_cluster_that_has_gone_already(world: World, manifests: Path, gateway: FakeGateway) -> None:
    record = up(gateway, manifests)
    world["containers"] = {}

    clusters.delete(record.name)

    assert state.read("demo") is None


def test_an_interrupted_creation_starts_over(world: World, manifests: Path, gateway: FakeGateway) -> None:
    record = up(gateway, manifests)
    kind_record.save(record, container=CREATING)
    world["log"] = []

    up(gateway, manifests)

    made = [line for line in world.commands() if line.startswith(("kind delete", "kind create"))]
    assert [line.split()[1] for line in made] == ["delete", "create"]


def test_a_node_that_was_stopped_is_started(world: World, manifests: Path, gateway: FakeGateway) -> None:
    record = up(gateway, manifests)
    world["containers"] = {NODE: {"id": kind_record.container(record), "running": False}}

    up(gateway, manifests)

    assert world["containers"][NODE]["running"] is True


@pytest.mark.parametrize(
    ("words", "advice"),
    [("Bind for 127.0.0.1:80 failed: port is already allocated", "--ingress-port"),
     ("failed to init node: too many open files", "fs.inotify"),
     ("write /var/lib: no space left on device", "docker system prune"),
     ("ERROR: failed to create cluster: something else", "something else")],
)
def test_a_cluster_that_kind_cannot_create_leaves_nothing_behind(
    words: str, advice: str, world: World, manifests: Path, gateway: FakeGateway
) -> None:
    world["create"] = words

    with pytest.raises(ClusterError, match=f"kind could not create the cluster: .*{advice}"):
        up(gateway, manifests)

    assert state.read("demo") is None and world["containers"] == {}


@pytest.mark.parametrize(("flags", "says"), [
    ({"gateway": "kourier"}, "has --gateway istio, not kourier"), ({"ingress_port": 9}, "has --ingress-port")])
def test_other_flags_than_it_was_made_with_are_refused(
    flags: dict[str, str], says: str, world: World, manifests: Path, gateway: FakeGateway
) -> None:
    up(gateway, manifests)

    with pytest.raises(ClusterError, match=says):
        clusters.start("demo", "kind", manifests=manifests, **flags)


def test_a_name_that_an_attached_cluster_has_is_refused(world: World, manifests: Path) -> None:
    state.folder("demo").mkdir(parents=True)
    state.write(Record("demo", "attach", "k", "h:1"))

    with pytest.raises(ClusterError, match=r"there is one of kind attach\. Choose another --name"):
        clusters.start("demo", "kind", manifests=manifests)


def test_connect_takes_the_running_cluster(world: World, manifests: Path, gateway: FakeGateway) -> None:
    up(gateway, manifests)
    world["log"] = []

    for kind in ("kind", None):
        found = clusters.connect(kind, name="demo")
        assert (found.kind, found.ingress, found.gateway) == ("kind", gateway.address, "istio")
    assert world["log"] == []


def test_a_missing_gateway_is_reported(
    world: World, manifests: Path, gateway: FakeGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kserve_nb.clusters.kind.kind_installation._GATEWAY_S", 0.0)
    gateway.close()

    with pytest.raises(ClusterError, match=r"The gateway does not answer at .*get pods,service/istio-ingressgateway"):
        up(gateway, manifests)


def test_missing_manifests_of_a_folder_are_listed_with_their_addresses(world: World, tmp_path: Path) -> None:
    with pytest.raises(ClusterError) as refused:
        clusters.start("demo", "kind", gateway="kourier", manifests=tmp_path)

    wanted = [url for each in installed("kourier") for _name, url in each.manifests]
    assert [line.split()[-1] for line in str(refused.value).splitlines()[1:]] == wanted
    assert state.read("demo") is None


def test_the_command_refuses_flags_of_other_kinds_of_cluster(world: World) -> None:
    answer = CliRunner().invoke(main, ["up", "--cluster", "kind", "--speed", "5"])

    assert answer.exit_code == 2 and "--speed does not go with --cluster kind" in answer.output


def test_versions_stand_in_one_file() -> None:
    package = Path(steps.__file__).parent
    pinned = {part(name).version for name in json.loads((package / "versions.json").read_text())}

    for file in package.glob("*.py"):
        text = file.read_text()
        assert not [version for version in pinned if version in text], file.name
    assert "@sha256:" in part("node").image


def test_a_release_file_is_reduced_to_what_the_tutorial_needs() -> None:
    kserve = "".join(f"---\nkind: {kind_}\nmetadata:\n  name: {name}\n" for kind_, name in [
        ("CustomResourceDefinition", "inferenceservices.serving.kserve.io"),
        ("CustomResourceDefinition", "llminferenceservices.serving.kserve.io"),
        ("Deployment", "kserve-controller-manager"), ("Deployment", "llmisvc-controller-manager"),
        ("DaemonSet", "kserve-localmodelnode-agent")])
    resources = ("kind: ClusterServingRuntime\nmetadata:\n  name: kserve-sklearnserver\n---\n"
                 "kind: LLMInferenceServiceConfig\nmetadata:\n  name: kserve-config-llm-template\n")

    kept = install_manifests.needed("kserve.yaml", kserve)
    assert "name: inferenceservices." in kept and "kserve-controller-manager" in kept
    assert "llm" not in kept and "localmodel" not in kept
    assert "LLM" not in install_manifests.needed("kserve-cluster-resources.yaml", resources)
    assert install_manifests.needed("istio.yaml", "a: '---'\n") == "a: '---'\n"


def test_manifests_come_from_the_network_once_a_version(tmp_path: Path) -> None:
    here = install_manifests.Manifests(tmp_path / "kept")
    for version in ("1.0", "1.1"):
        source = tmp_path / version / "x.yaml"
        source.parent.mkdir()
        source.write_text(f"a: {version}\n")

        for _ in range(2):
            assert here.file("x.yaml", source.as_uri()).read_text() == f"a: {version}\n"
            source.unlink(missing_ok=True)


def test_without_a_network_the_message_names_the_offline_way(tmp_path: Path, gateway: FakeGateway) -> None:
    with pytest.raises(ClusterError, match=r"Cannot fetch http.*--manifests DIR"):
        install_manifests.fetch(f"http://{gateway.address}/cert-manager.yaml")
