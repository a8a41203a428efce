"""Models are published once, completely, where the cluster reads them; all others are refused with a reason."""

from __future__ import annotations

import io
import os
import pickle
import random
import subprocess
import warnings
import zlib
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
import yaml
from click.testing import CliRunner
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.svm import SVC

from kserve_nb.cli import main
from kserve_nb.clusters import (
    ClusterError,
    ModelPublisher,
    ModelWarning,
    NamespaceWarning,
    PublishError,
    private_files,
    state,
)
from kserve_nb.clusters.backends.embedded_backend import EmbeddedBackend
from kserve_nb.clusters.backends.kind_backend import KindBackend
from kserve_nb.clusters.embedded import claim_writer
from kserve_nb.clusters.publishing import model_volume, pickle_contents
from kserve_nb.clusters.state import Record
from kserve_nb.values.cluster import Cluster
from tests.kind_world import World
from tests.unit.other_scikit_learn import saved_with

ROWS, CLASSES = [[0.0, 1.0], [1.0, 0.0]], [0, 1]
HERE = metadata.version("scikit-learn")


FITTED = GaussianNB().fit(ROWS, CLASSES)


def dumped(model: Any, **options: Any) -> bytes:
    buffer = io.BytesIO()
    joblib.dump(model, buffer, **options)
    return buffer.getvalue()


@pytest.fixture
def model() -> Any:
    return GaussianNB().fit(ROWS, CLASSES)


@pytest.fixture
def applied() -> list[str]:
    """The objects that the fake kubectl has applied."""
    return []


@pytest.fixture
def on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, applied: list[str]) -> Callable[[str], ModelPublisher]:
    """A publisher for a cluster of that kind, which counts as running. kubectl is a fake."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setattr(EmbeddedBackend, "usable", lambda _self, _record: True)
    monkeypatch.setattr(KindBackend, "usable", lambda _self, _record: True)

    def kubectl(_kubeconfig: str, verb: str, *_: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        if verb == "get":
            return subprocess.CompletedProcess([], 0, "namespace/default\nnamespace/kserve-test\n", "")
        applied.append(stdin)
        return subprocess.CompletedProcess([], int("forbidden" in stdin), "", "no rights\n")

    monkeypatch.setattr(claim_writer, "kubectl", kubectl)

    def create(kind: str, namespace: str = "kserve-test") -> ModelPublisher:
        folder = state.folder("mine")
        private_files.make_folder(folder)
        state.write(Record("mine", kind, str(folder / "kubeconfig"), "127.0.0.1:1", namespace))
        return ModelPublisher(Cluster(folder / "kubeconfig", "127.0.0.1:1", namespace, kind, "mine"))

    return create


def published(name: str = "wine/v1") -> Path:
    return state.folder("mine") / "volumes" / "kserve-test" / "models" / name


# --- the embedded cluster --------------------------------------------------------------------------------------------


def test_a_fitted_estimator_is_written_into_a_claim_of_the_namespace(
    on: Callable[..., ModelPublisher], model: Any, applied: list[str]
) -> None:
    uri = on("embedded").publish(model, "wine/v1")

    assert uri == "pvc://models/wine/v1"
    assert joblib.load(published() / "model.joblib").predict(ROWS).tolist() == CLASSES
    objects = {each["kind"]: each["metadata"] for each in yaml.safe_load_all(applied[0])}
    assert objects == {"Namespace": {"name": "kserve-test"},
                       "PersistentVolumeClaim": {"name": "models", "namespace": "kserve-test"}}


def test_only_the_owner_can_read_it(on: Callable[..., ModelPublisher], model: Any) -> None:
    on("embedded").publish(model, "wine/v1")

    claim = published().parents[1]
    modes = {path.stat().st_mode & 0o777 for path in (claim, *claim.rglob("*")) if path.is_dir()}
    assert modes == {0o700} and (published() / "model.joblib").stat().st_mode & 0o777 == 0o600


def test_a_version_never_changes_and_the_next_one_is_named(on: Callable[..., ModelPublisher], model: Any) -> None:
    publisher = on("embedded")
    publisher.publish(model, "wine/v1")
    publisher.publish(model, "wine/v2")
    before = (published() / "model.joblib").read_bytes()

    assert publisher.publish(model, "wine/v1") == "pvc://models/wine/v1"
    with pytest.raises(PublishError, match=r'A version never changes.*publish\(model, "wine/v3"\)'):
        publisher.publish(SVC().fit(ROWS, CLASSES), "wine/v1")

    assert (published() / "model.joblib").read_bytes() == before
    assert sorted(path.name for path in published().parents[1].iterdir()) == ["wine"]  # no draft is left


def test_a_version_without_a_number_gets_one(on: Callable[..., ModelPublisher], model: Any) -> None:
    publisher = on("embedded")
    publisher.publish(model, "wine/best")

    with pytest.raises(PublishError, match=r"wine/best-2"):
        publisher.publish(SVC().fit(ROWS, CLASSES), "wine/best")


def test_another_file_in_the_folder_is_another_model(
    on: Callable[..., ModelPublisher], model: Any, tmp_path: Path
) -> None:
    publisher, folder = on("embedded"), tmp_path / "exported"
    folder.mkdir()
    joblib.dump(model, folder / "iris.pkl")
    (folder / "notes").mkdir()
    (folder / "notes" / "card.md").write_text("trained today")
    publisher.publish(folder, "wine/v1")

    assert (published() / "notes" / "card.md").read_text() == "trained today"
    (folder / "more.md").write_text("")
    with pytest.raises(PublishError, match="A version never changes"):
        publisher.publish(str(folder), "wine/v1")


def test_the_empty_folder_of_a_pod_that_was_too_early_is_replaced(
    on: Callable[..., ModelPublisher], model: Any
) -> None:
    publisher = on("embedded")
    published().mkdir(parents=True)

    assert publisher.publish(model, "wine/v1") and (published() / "model.joblib").exists()


def test_a_write_that_fails_leaves_nothing(
    on: Callable[..., ModelPublisher], model: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    publisher = on("embedded")

    def full(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device", "model.joblib")

    monkeypatch.setattr(model_volume.tarfile.TarFile, "extractall", full)
    with pytest.raises(PublishError, match=r"No space left on device\. Make room"):
        publisher.publish(model, "wine/v1")

    assert list(published().parents[1].iterdir()) == []


def test_a_namespace_that_cannot_be_used_is_an_error_with_its_reason(
    on: Callable[..., ModelPublisher], model: Any
) -> None:
    with pytest.raises(PublishError, match="in namespace forbidden: no rights See what the cluster reports: "):
        on("embedded", "forbidden").publish(model, "wine/v1")


@pytest.mark.parametrize("kind", ["embedded", "kind"])
def test_a_namespace_that_is_created_is_named(
    kind: str, on: Callable[..., ModelPublisher], world: World, model: Any, tmp_path: Path
) -> None:
    world["volume"], world["containers"] = str(tmp_path), {"node": {"id": "1", "running": True}}
    publisher = on(kind, "kserve-tset")

    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        publisher.publish(model, "wine/v1")

    (message,) = (str(each.message) for each in found if each.category is NamespaceWarning)
    assert message == (
        "namespace kserve-tset did not exist in cluster 'mine', and was created for wine/v1. If its name is "
        "misspelled, delete it: kubectl delete namespace kserve-tset")


@pytest.mark.parametrize("namespace", ["", "Team_A", "a/b", "..", "-", "team ", "a\n", "n" * 64, "é", 5, None])
def test_a_namespace_that_is_not_valid_is_refused_in_kubernetes_words(
    namespace: Any, on: Callable[..., ModelPublisher], model: Any, applied: list[str]
) -> None:
    on("embedded")
    publisher = ModelPublisher(Cluster(Path("k"), "127.0.0.1:1", namespace, "embedded", "mine"))

    with pytest.raises(PublishError, match=r"is not a valid name of a namespace: (a lowercase RFC 1123 label must|"
                                           r"must be no more than 63 characters|it is not a text)"):
        publisher.publish(model, "wine/v1")

    assert applied == []


def test_a_cluster_that_does_not_run_is_named(
    on: Callable[..., ModelPublisher], model: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    publisher = on("embedded")
    monkeypatch.setattr(EmbeddedBackend, "usable", lambda _self, _record: False)

    with pytest.raises(ClusterError, match=r"cluster 'mine' is not running\. Start it: kserve-nb up --name mine"):
        publisher.publish(model, "wine/v1")


# --- what is refused, and what earns a warning -----------------------------------------------------------------------


@pytest.mark.parametrize("name", [
    "wine", "wine/", "/v1", "wine/v1/", "wine/v1/deep", "Wine/v1", "wine/v 1", "wine/../v1", "../wine", "wine/..",
    "wine/v..1", "wine/.v1", "wine/v1.", "wine/-v1", "wine/v1\n", "wine\\v1", "wine/v1?x", "wine/%2e", "",
    "w" * 64 + "/v1",
])
def test_a_name_that_is_no_path_and_address_is_refused(
    name: str, on: Callable[..., ModelPublisher], model: Any, applied: list[str]
) -> None:
    with pytest.raises(PublishError, match=r"is not a valid name of a model version\. Use NAME/VERSION"):
        on("embedded").publish(model, name)

    assert applied == []


@pytest.mark.parametrize("name", ["wine/v1", "wine/1.0.2", "w/1", "red-wine/2026-11-28", "w" * 63 + "/v1"])
def test_other_names_are_accepted(name: str, on: Callable[..., ModelPublisher], model: Any) -> None:
    assert on("embedded").publish(model, name) == f"pvc://models/{name}"


@pytest.mark.parametrize(("wrong", "why"), [
    (GaussianNB(), "this GaussianNB is not fitted. Call its fit"),
    (GaussianNB, "the class GaussianNB is not an estimator"),
    ({"a": 1}, "a dict is not an estimator with a method predict"), (object(), "an object is not an estimator"),
    (make_pipeline(FunctionTransformer(lambda rows: rows), SVC()).fit(ROWS, CLASSES), "instead of a lambda"),
    ("no-such-file.joblib", "No such file or directory"),
    (Path(__file__), "has none of these suffixes"),
    (Path(__file__).parent, "has none"),
])
def test_what_the_server_could_not_load_is_refused(
    wrong: Any, why: str, on: Callable[..., ModelPublisher], applied: list[str]
) -> None:
    with pytest.raises(PublishError, match=f"^Cannot publish wine/v1: .*{why}"):
        on("embedded").publish(wrong, "wine/v1")

    assert applied == []


@pytest.mark.parametrize(("data", "why"), [
    (b"", "it is empty"), (b"hello\n", "it is not a pickle"), (random.Random(1).randbytes(999), "it is not a pickle"),
    (pickle.dumps([1, 2, 3]), "it contains no estimator"), (dumped(np.zeros(9)), "it contains no estimator"),
    (dumped(FITTED)[:-9], "it is not a pickle, or it is cut off"), (pickle.dumps(FITTED)[:-9], "it is cut off"),
    *((dumped(FITTED, compress=(how, 3))[:-9], "its compressed data are cut off")
      for how in ("zlib", "gzip", "bz2", "lzma", "xz")),
])
def test_a_file_that_is_no_whole_model_is_refused(
    data: bytes, why: str, on: Callable[..., ModelPublisher], applied: list[str], tmp_path: Path
) -> None:
    (tmp_path / "my.pkl").write_bytes(data)

    with pytest.raises(PublishError, match=f"^Cannot publish wine/v1: the model server cannot load my.pkl: .*{why}"):
        on("embedded").publish(tmp_path / "my.pkl", "wine/v1")

    assert applied == []


@pytest.mark.parametrize("data", [
    *(pickle.dumps(FITTED, protocol=protocol) for protocol in range(6)), dumped(SVC().fit(ROWS, CLASSES)),
    *(dumped(FITTED, compress=(how, 3)) for how in ("zlib", "gzip", "bz2", "lzma", "xz")),
])
def test_each_way_to_save_a_model_is_accepted_under_one_name(
    data: bytes, on: Callable[..., ModelPublisher], tmp_path: Path
) -> None:
    (tmp_path / "my.pkl").write_bytes(data)

    on("embedded").publish(tmp_path / "my.pkl", "wine/v1")

    assert [path.name for path in published().iterdir()] == ["model.joblib"]
    assert joblib.load(published() / "model.joblib").predict(ROWS).tolist() == CLASSES


def test_a_compressed_file_is_decompressed_once(
    on: Callable[..., ModelPublisher], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[bytes] = []
    count = (b"x", lambda: made.append(b"x") or zlib.decompressobj())
    monkeypatch.setattr(pickle_contents, "_DECOMPRESSORS", (count,))
    (tmp_path / "my.pkl").write_bytes(dumped(FITTED, compress=("zlib", 3)))

    on("embedded").publish(tmp_path / "my.pkl", "wine/v1")

    assert len(made) == 1


def test_the_same_model_as_an_object_and_as_a_file_is_the_same(
    on: Callable[..., ModelPublisher], model: Any, tmp_path: Path
) -> None:
    joblib.dump(model, tmp_path / "grower.joblib")
    on("embedded").publish(model, "wine/v1")

    assert on("embedded").publish(tmp_path / "grower.joblib", "wine/v1") == "pvc://models/wine/v1"


def test_a_path_that_is_no_model_is_explained(on: Callable[..., ModelPublisher], tmp_path: Path) -> None:
    for name in ("a.bin", "b.JOBLIB", "c.ubj", "deep/in/d.joblib", "link/e.joblib"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(dumped(FITTED))
    (tmp_path / "md.joblib").mkdir()
    (tmp_path / "link" / "passwd").symlink_to("/etc/passwd")
    cases = {"a.bin": "has none of these suffixes", "b.JOBLIB": r"not in lower case. Rename it: b\.joblib",
             "c.ubj": "has none. Models of XGBoost", "md.joblib": "the folder .*md.joblib is empty",
             "deep": r"in a sub-folder only \(in/d.joblib\)", "link": "passwd in .* is a link that leaves the folder"}

    for name, why in cases.items():
        with pytest.raises(PublishError, match=why):
            on("embedded").publish(tmp_path / name, "wine/v1")
    for path in ("", ".", "a\0.joblib"):
        with pytest.raises(PublishError, match="is not a path"):
            on("embedded").publish(path, "wine/v1")


def test_a_path_that_cannot_be_read_to_its_end_is_explained(on: Callable[..., ModelPublisher], tmp_path: Path) -> None:
    for folder in ("loop", "up", "folder"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "m.joblib").write_bytes(dumped(FITTED))
    (tmp_path / "loop" / "self").symlink_to("self")
    (tmp_path / "up" / "again").symlink_to("../up", target_is_directory=True)
    os.mkfifo(tmp_path / "pipe.joblib")
    (tmp_path / "folder" / "data").touch()
    os.truncate(tmp_path / "folder" / "data", 3 << 30)  # it occupies no space on the disk
    cases = {"loop": "loop/self is not a regular file", "up": "up/again is a link to a folder",
             "pipe.joblib": "pipe.joblib is not a regular file",
             "folder": r"folder has 3.0 GiB, and published models have at most 1 GiB, .* compress=3\)"}

    for name, why in cases.items():
        with pytest.raises(PublishError, match=f"^Cannot publish wine/v1: .*{why}"):
            on("embedded").publish(tmp_path / name, "wine/v1")


@pytest.mark.parametrize("name", [None, 1, b"wine/v1", Path("wine/v1"), "w" * 999])
def test_a_name_of_another_type_is_refused(name: Any, on: Callable[..., ModelPublisher], model: Any) -> None:
    with pytest.raises(PublishError, match="is not a valid name of a model version") as refused:
        on("embedded").publish(model, name)

    assert len(str(refused.value)) < 400


class Unpicklable:
    """A model whose pickling fails."""

    def predict(self, rows: Any) -> Any:
        return rows

    def __reduce__(self) -> Any:
        raise OSError("no disk")


def test_a_model_whose_pickling_fails_is_named(on: Callable[..., ModelPublisher]) -> None:
    with pytest.raises(PublishError, match=r"\(OSError: no disk\).*from this Unpicklable") as refused:
        on("embedded").publish(Unpicklable(), "wine/v1")

    assert "lambda" not in str(refused.value)


@pytest.mark.parametrize(("taken", "free"), [
    ("v" * 63, "v" * 62 + "2"), ("9" * 63, "9" * 62 + "2"), ("v" * 62 + "9", "v" * 61 + "10"),
])
def test_the_next_version_is_valid_too(taken: str, free: str, on: Callable[..., ModelPublisher], model: Any) -> None:
    on("embedded").publish(model, f"wine/{taken}")

    with pytest.raises(PublishError, match=f'"wine/{free}"'):
        on("embedded").publish(SVC().fit(ROWS, CLASSES), f"wine/{taken}")


def test_a_folder_with_two_models_is_refused(on: Callable[..., ModelPublisher], tmp_path: Path) -> None:
    for name in ("a.joblib", "b.pkl"):
        (tmp_path / name).write_bytes(b"")

    with pytest.raises(PublishError, match=r"has 2 \(a.joblib, b.pkl\)"):
        on("embedded").publish(tmp_path, "wine/v1")


def test_a_function_of_the_notebook_is_refused_by_its_name(
    on: Callable[..., ModelPublisher], monkeypatch: pytest.MonkeyPatch
) -> None:
    import __main__

    def halved(rows: Any) -> Any:
        return rows

    halved.__module__, halved.__qualname__ = "__main__", "halved"
    monkeypatch.setattr(__main__, "halved", halved, raising=False)

    with pytest.raises(PublishError, match="the model uses halved, defined in this notebook or script"):
        on("embedded").publish(make_pipeline(FunctionTransformer(halved), SVC()).fit(ROWS, CLASSES), "wine/v1")


def test_a_file_of_another_scikit_learn_causes_a_warning_and_is_published(
    on: Callable[..., ModelPublisher], tmp_path: Path
) -> None:
    with saved_with("0.24.2"):
        joblib.dump(SVC().fit(ROWS, CLASSES), tmp_path / "old.joblib")

    with pytest.warns(ModelWarning, match="saved with scikit-learn 0.24.2, and this cluster.s model server has"):
        uri = on("embedded").publish(tmp_path / "old.joblib", "wine/v1")

    assert uri == "pvc://models/wine/v1"


def test_a_model_of_this_version_causes_no_warning(on: Callable[..., ModelPublisher], model: Any) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        on("embedded").publish(model, "wine/v1")


def test_a_module_that_kserves_server_does_not_have_is_named(on: Callable[..., ModelPublisher], model: Any) -> None:
    model.note = yaml.YAMLError

    with pytest.warns(ModelWarning, match="needs the Python module yaml"):
        on("embedded").publish(model, "wine/v1")


# --- kind, attached clusters, and the command ------------------------------------------------------------------------


def test_on_kind_a_pod_writes_it_into_the_claim(
    on: Callable[..., ModelPublisher], world: World, model: Any, tmp_path: Path
) -> None:
    volume = tmp_path / "volume"
    volume.mkdir()
    world["volume"], world["containers"] = str(volume), {"node": {"id": "1", "running": True}}
    world["namespaces"] = ["kserve-test"]

    with pytest.warns(ModelWarning, match=rf"scikit-learn {HERE}, and this cluster's model server has 1\.5\.2"):
        uri = on("kind").publish(model, "wine/v1")

    assert uri == "pvc://models/wine/v1"
    assert joblib.load(volume / "wine" / "v1" / "model.joblib").predict(ROWS).tolist() == CLASSES
    assert (volume / "wine" / "v1" / "model.joblib").stat().st_mode & 0o777 == 0o644  # pods run as other users
    verbs = [line.split()[3] for line in world.commands()]
    assert verbs == ["get", "apply", "wait", "exec", "delete"]
    pod = next(each for each in yaml.safe_load_all(world["applied"][0]) if each["kind"] == "Pod")
    assert pod["spec"]["containers"][0]["image"] == "kserve/sklearnserver:v0.20.0"

    with pytest.raises(PublishError, match="A version never changes"):
        on("kind").publish(SVC().fit(ROWS, CLASSES), "wine/v1")


def test_on_kind_a_failure_is_reported_and_the_pod_deleted(
    on: Callable[..., ModelPublisher], world: World, model: Any, tmp_path: Path
) -> None:
    world["volume"] = str(tmp_path / "missing")
    world["containers"] = {"node": {"id": "1", "running": True}}

    with pytest.raises(PublishError, match=r"`kubectl exec` failed: command terminated.*kubectl get events"):
        on("kind").publish(model, "wine/v1")

    assert world.commands()[-1].split()[3] == "delete"


def test_on_an_attached_cluster_the_message_has_the_steps_for_each_storage(
    on: Callable[..., ModelPublisher], model: Any
) -> None:
    with pytest.raises(PublishError) as refused:
        on("attach").publish(model, "wine/v1")

    for step in ("aws s3 cp model.joblib s3://BUCKET/wine/v1/model.joblib", "s3://BUCKET/wine/v1;",
                 "kubectl cp model.joblib kserve-test/POD:/models/wine/v1/model.joblib", "pvc://CLAIM/wine/v1",
                 "https://HOST/wine/v1/model.joblib", 'lab.rollout(…).deploy("ADDRESS")'):
        assert step in str(refused.value)


def test_the_command_prints_the_address_and_warns(on: Callable[..., ModelPublisher], tmp_path: Path) -> None:
    on("embedded")
    with saved_with("0.24.2"):
        joblib.dump(SVC().fit(ROWS, CLASSES), tmp_path / "old.joblib")

    done = CliRunner().invoke(main, ["publish", "--name", "mine", str(tmp_path / "old.joblib"), "wine/v1"])

    assert (done.exit_code, done.stdout) == (0, "pvc://models/wine/v1\n"), done.output
    assert "warning: wine/v1 was saved with scikit-learn 0.24.2" in done.stderr
    again = CliRunner().invoke(
        main, ["publish", "--name", "mine", "-n", "new", str(tmp_path / "old.joblib"), "wine/v1"])
    assert "warning: namespace new did not exist in cluster 'mine', and was created for wine/v1." in again.stderr


def test_the_command_fails_with_one_message(on: Callable[..., ModelPublisher], tmp_path: Path) -> None:
    on("embedded")

    done = CliRunner().invoke(main, ["publish", "--name", "mine", str(tmp_path / "no.joblib"), "wine/v1"])

    assert done.exit_code == 1
    assert done.stderr.startswith("kserve-nb: Cannot publish wine/v1: ") and "Traceback" not in done.stderr


def test_the_command_gives_advice_as_a_command(on: Callable[..., ModelPublisher], model: Any, tmp_path: Path) -> None:
    on("embedded").publish(SVC().fit(ROWS, CLASSES), "wine/v1")
    file = str(tmp_path / "m.joblib")
    joblib.dump(model, file)
    calls = {("--name", "mine", file, "wine/v1"): f"kserve-nb publish {file} wine/v2 --name mine\n",
             ("--name", "mine", "-n", "kserve-test", file, "wine/v1"): " wine/v2 --name mine -n kserve-test\n",
             ("wine/v1", file): f"wrong order. Publish the file: kserve-nb publish {file} wine/v1",
             ("-n", "", file, "wine/v1"): "'' is not a valid name of a namespace",
             ("-n", "Team_A", file, "wine/v1"): "'Team_A' is not a valid name of a namespace"}

    for call, message in calls.items():
        done = CliRunner().invoke(main, ["publish", *call])
        assert done.exit_code == 1 and message in done.stderr, done.output


def test_the_script_needs_nothing_of_this_project() -> None:
    assert "kserve_nb" not in Path(model_volume.__file__).read_text()
