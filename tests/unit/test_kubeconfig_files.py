import os
from pathlib import Path

import pytest
import yaml

from kserve_nb import clusters
from kserve_nb.clusters import Record, kubeconfig_files, state
from kserve_nb.clusters.embedded import cluster_files
from kserve_nb.clusters.state import ClusterError

CONFIG = {
    "apiVersion": "v1", "kind": "Config", "current-context": "a",
    "clusters": [{"name": "ca", "cluster": {"server": "https://a", "certificate-authority": "ca.crt"}},
                 {"name": "cb", "cluster": {"server": "https://b"}}],
    "users": [{"name": "ua", "user": {"token": "t"}}],
    "contexts": [{"name": "a", "context": {"cluster": "ca", "user": "ua", "namespace": "x"}},
                 {"name": "b", "context": {"cluster": "cb"}}],
}


@pytest.fixture
def source(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    (tmp_path / "ca.crt").write_text("certificate")
    file = tmp_path / "config"
    file.write_text(yaml.safe_dump(CONFIG))
    return file


def test_a_copy_holds_one_context_and_the_files_it_named(source):
    copied = kubeconfig_files.copy(source, None, "kserve-test")

    assert copied["clusters"][0]["cluster"] == {
        "server": "https://a", "certificate-authority-data": "Y2VydGlmaWNhdGU="}
    assert copied["contexts"] == [
        {"name": "a", "context": {"cluster": "ca", "user": "ua", "namespace": "kserve-test"}}]


def test_another_context_can_be_named(source):
    copied = kubeconfig_files.copy(source, "b", "ns")

    assert copied["current-context"] == "b"
    assert copied["users"] == []


def test_an_unknown_context_is_named_with_the_existing_ones(source):
    with pytest.raises(ClusterError, match=r"There is no context 'c'\. The contexts are: a, b"):
        kubeconfig_files.copy(source, "c", "ns")


def test_a_missing_certificate_file_is_named(source, tmp_path):
    (tmp_path / "ca.crt").unlink()

    with pytest.raises(ClusterError, match=r"Cannot read .*ca\.crt, which the kubeconfig .* names"):
        kubeconfig_files.copy(source, None, "ns")


def test_something_else_than_a_kubeconfig_is_refused(tmp_path):
    (tmp_path / "list").write_text("- 1")

    with pytest.raises(ClusterError, match=r"Cannot read the kubeconfig .*list: it has no mapping"):
        kubeconfig_files.copy(tmp_path / "list", None, "ns")


def test_an_attached_cluster_works_through_a_copy(source):
    record = clusters.start("mine", "attach", kubeconfig=source, ingress="127.0.0.1:8080")

    assert clusters.backend("attach").usable(record)
    assert yaml.safe_load((state.folder("mine") / "kubeconfig").read_text())["current-context"] == "a"
    assert yaml.safe_load(source.read_text()) == CONFIG


@pytest.mark.parametrize("ingress", ["http://127.0.0.1:80", "127.0.0.1", ":80", "h:0", "h:99999", "h:x"])
def test_an_ingress_address_must_be_host_and_port(source, ingress):
    with pytest.raises(ClusterError, match="HOST:PORT"):
        clusters.start("mine", "attach", kubeconfig=source, ingress=ingress)


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o777])
def test_a_kubeconfig_is_readable_only_by_its_owner_whatever_the_umask(umask, tmp_path):
    file = tmp_path / "kubeconfig"
    (tmp_path / "kubeconfig.tmp").write_text("the draft of an interrupted write")

    before = os.umask(umask)
    try:
        kubeconfig_files.save({"kind": "Config"}, file)
    finally:
        os.umask(before)

    assert file.stat().st_mode & 0o777 == 0o600


def test_a_copy_finds_its_token_file_and_its_command_from_any_folder(tmp_path):
    user = {"tokenFile": "token", "exec": {"apiVersion": "v1", "command": "./get-token"}}
    config = CONFIG | {"users": [{"name": "ua", "user": user}], "clusters": [{"name": "ca", "cluster": {}}]}
    (tmp_path / "config").write_text(yaml.safe_dump(config))

    copied = kubeconfig_files.copy(Path(os.path.relpath(tmp_path / "config")), "a", "ns")

    found = copied["users"][0]["user"]
    assert found["tokenFile"] == str(Path(os.path.relpath(tmp_path)).absolute() / "token")
    assert Path(found["exec"]["command"]).parent == Path(os.path.relpath(tmp_path)).absolute()
    assert user["exec"]["command"] == "./get-token"


@pytest.fixture
def embedded(tmp_path: Path) -> Record:
    """The record of an embedded cluster whose kubeconfig is complete."""
    (tmp_path / "tls.crt").write_text("a certificate")
    record = Record("x", "embedded", str(tmp_path / "kubeconfig"), "127.0.0.1:9", api_port=6443, token="secret")
    cluster_files.restore_kubeconfig(record, tmp_path, lambda line: None)
    return record


@pytest.mark.parametrize("damage", [
    None, "", "{", "\x00", "[1]", "contexts: [{name: kserve-nb-x, context: 1}]", "users: 7", "current-context: other"])
def test_a_damaged_kubeconfig_of_an_embedded_cluster_is_written_again(embedded: Record, damage: str | None) -> None:
    file, lines = Path(embedded.kubeconfig), list[str]()
    complete = file.read_text()
    file.unlink() if damage is None else file.write_text(damage)

    cluster_files.restore_kubeconfig(embedded, file.parent, lines.append)

    assert file.read_text() == complete
    assert lines == [f"The kubeconfig {file} was missing or damaged. It was written again."]


@pytest.mark.parametrize("change", [("secret", "another"), ("6443", "6444"), ("YSBjZXJ0", "YSBjZXJ1")])
def test_a_kubeconfig_that_leads_elsewhere_is_written_again(embedded: Record, change: tuple[str, str]) -> None:
    file = Path(embedded.kubeconfig)
    complete = file.read_text()
    file.write_text(complete.replace(*change))

    cluster_files.restore_kubeconfig(embedded, file.parent, lambda line: None)

    assert file.read_text() == complete


def test_what_a_user_has_changed_in_a_kubeconfig_stays(embedded: Record) -> None:
    file, lines = Path(embedded.kubeconfig), list[str]()
    changed = file.read_text().replace("namespace: kserve-test", "namespace: mine")
    file.write_text(changed)

    cluster_files.restore_kubeconfig(embedded, file.parent, lines.append)

    assert file.read_text() == changed and lines == []
