"""A new kind of cluster is one new file; commands work with any kind."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from kserve_nb import clusters
from kserve_nb.cli import main
from kserve_nb.clusters import ClusterError, backends

TOY = '''
from pathlib import Path
from kserve_nb.clusters import private_files, state
from kserve_nb.clusters.backend import GATEWAY, BackendCommand, Option, Status
from kserve_nb.clusters.state import Record

class Toy:
    name, summary, side_by_side, deleted = "toy", "in a file", True, "taken apart"
    commands = (BackendCommand("paint", "Mix paint.", lambda given: [f"mixed {given}"], (GATEWAY,)),)
    options = (GATEWAY, Option("colour", "The paint.", choices=("red", "blue"), default="red"))

    def start(self, name, before, namespace, options, notify):
        folder = state.folder(name)
        private_files.make_folder(folder)
        (folder / "kubeconfig").write_text("")
        record = before or Record(name, "toy", str(folder / "kubeconfig"), "127.0.0.1:1", namespace,
                                  details={"colour": options.get("colour", "red")})
        state.write(record)
        (folder / "on").touch()
        notify("painted")
        return record

    def stop(self, record):
        (state.folder(record.name) / "on").unlink(missing_ok=True)

    def release(self, name, record):
        (state.folder(name).parent / "released").write_text("yes" if record else "lost")

    def status(self, record):
        on = (state.folder(record.name) / "on").exists()
        return Status("running" if on else "stopped", on, "" if on else "it is switched off")

    def usable(self, record):
        return self.status(record).ready

    def settings(self, record):
        return {"colour": record.details["colour"]}

    def describe(self, record):
        return f"painted {record.details['colour']}"

BACKEND = Toy()
'''


@pytest.fixture(autouse=True)
def own_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.delenv("KSERVE_NB_NAME", raising=False)


@pytest.fixture
def toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A further kind of cluster: one file next to those of the package."""
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "toy_backend.py").write_text(TOY)
    monkeypatch.setattr(backends, "__path__", [*backends.__path__, str(tmp_path / "more")])
    monkeypatch.delitem(sys.modules, "kserve_nb.cli.up_command", raising=False)  # its options are created once
    yield
    for module in ("kserve_nb.cli.up_command", "kserve_nb.clusters.backends.toy_backend"):
        sys.modules.pop(module, None)


def cli(*words: str) -> Result:
    return CliRunner().invoke(main, list(words))


def test_a_kind_of_cluster_is_one_file(toy: None) -> None:
    assert clusters.kinds() == ("embedded", "attach", "kind", "toy")

    started = cli("up", "--cluster", "toy", "--name", "one", "--colour", "blue")
    assert started.exit_code == 0 and "one (toy, painted blue)" in started.output and "painted\n" in started.output
    assert "toy: The paint. [default: red]" in " ".join(cli("up", "--help").output.split())
    assert clusters.connect(name="one").kind == "toy"
    assert cli("toy", "paint", "--gateway", "kourier").output == "mixed {'gateway': 'kourier'}\n"
    assert cli("stop", "--name", "one").exit_code == 0
    stopped = cli("status", "--name", "one")
    assert stopped.exit_code == 1 and "no: it is switched off" in stopped.output
    assert cli("up", "--name", "one").exit_code == 0  # with the kind that it has
    listed = json.loads(cli("ls", "-o", "json").output)
    assert [(row["name"], row["kind"], row["state"]) for row in listed] == [("one", "toy", "running")]
    assert cli("down", "--name", "one").output == "cluster 'one' is taken apart\n"
    assert clusters.names() == []


def test_options_that_disagree_with_the_cluster_are_named_for_any_kind(toy: None) -> None:
    clusters.start("one", "toy")

    refused = cli("up", "--name", "one", "--colour", "blue")

    assert refused.exit_code == 1 and "has --colour red, not blue. Leave --colour out" in refused.output
    assert clusters.settings_for_copy(clusters.existing("one")) == {"colour": "red"}


def test_an_unknown_cluster_kind_is_named_with_the_existing_ones() -> None:
    with pytest.raises(ClusterError, match=r"no kind of cluster 'k3d'\. The kinds are: embedded, attach, kind\."):
        clusters.start("one", "k3d")


@pytest.mark.slow
def test_without_file_locks_attach_works_and_the_embedded_cluster_names_its_requirement(tmp_path: Path) -> None:
    kubeconfig = tmp_path / "config"
    kubeconfig.write_text(json.dumps({
        "current-context": "a", "contexts": [{"name": "a", "context": {"cluster": "c"}}],
        "clusters": [{"name": "c", "cluster": {"server": "https://127.0.0.1:9"}}]}))
    program = f"""
import sys
sys.modules["fcntl"] = sys.modules["resource"] = None
import kserve_nb
from kserve_nb import clusters
from kserve_nb.cli import main, up_command
record = clusters.start("one", "attach", kubeconfig={str(kubeconfig)!r})
print(record.cluster, clusters.connect(name="one").kind)
sys.platform = "win32"
try:
    clusters.start("two")
except clusters.ClusterError as error:
    print(error)
clusters.delete("one")
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)

    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[0] == "attach attach"
    assert done.stdout.splitlines()[1].startswith("The embedded cluster needs Linux or macOS. On Windows, use")
