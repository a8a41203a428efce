"""The storage-initializer: the sources of models, and its messages when a download fails."""

from __future__ import annotations

import http.server
import ipaddress
import tarfile
import threading
import zipfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import joblib
import pytest

from kserve_nb.clusters.embedded.node.runtime import downloads, iris_models, storage

pytestmark = pytest.mark.slow

TYPES = {".joblib": "application/octet-stream", ".tgz": "application/x-gzip", ".zip": "application/zip",
         ".txt": "text/plain"}


class Handler(http.server.SimpleHTTPRequestHandler):
    """Serves the files of a folder; `/moved/NAME` leads to `/NAME` on 127.0.0.1, and `/circle/NAME` to itself."""

    extensions_map = TYPES

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        kind, _, name = self.path.removeprefix("/").rpartition("/")
        if not kind:
            super().do_GET()
            return
        here = f"http://127.0.0.1:{self.server.server_address[1]}"
        self.send_response(302)
        self.send_header("Location", f"{here}/{name}" if kind == "moved" else self.path)
        self.end_headers()


@pytest.fixture
def shelf(tmp_path: Path) -> Path:
    """A folder with a model in each form."""
    folder = tmp_path / "shelf"
    folder.mkdir()
    joblib.dump(iris_models.train("model"), folder / "own.joblib")
    with tarfile.open(folder / "own.tgz", "w:gz") as tar:
        tar.add(folder / "own.joblib", "own.joblib")
    with zipfile.ZipFile(folder / "own.zip", "w") as archive:
        archive.write(folder / "own.joblib", "own.joblib")
    (folder / "broken.zip").write_bytes(b"no archive")
    (folder / "own.txt").write_text("no model")
    return folder


@pytest.fixture
def url(shelf: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of the folder over HTTP, with a proxy in the environment that does not respond."""
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv(downloads.LOCAL_URLS, "allow")
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(shelf))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


def files(root: Path) -> list[str]:
    return sorted(p.name for p in (root / "mnt/models").iterdir())


@pytest.mark.parametrize("name", ["own.joblib", "own.tgz", "own.zip"])
def test_a_model_comes_over_http_and_is_unpacked(name: str, url: str, tmp_path: Path) -> None:
    assert storage.run([f"{url}/{name}", "/mnt/models"], tmp_path) == 0

    assert files(tmp_path) == ["own.joblib"]
    assert joblib.load(tmp_path / "mnt/models/own.joblib").predict(iris_models.PAYLOAD).tolist() == [1, 1]


@pytest.mark.parametrize("form", ["file://{}", "{}", "file://{}/own.joblib", "{}/own.tgz"])
def test_a_model_on_this_machine_is_linked(form: str, shelf: Path, tmp_path: Path) -> None:
    for other in ("broken.zip", "own.txt", "own.zip"):
        (shelf / other).unlink()

    assert storage.run([form.format(shelf), "/mnt/models"], tmp_path) == 0

    assert "own.joblib" in files(tmp_path)
    assert (shelf / "own.tgz").exists()


def test_a_mounted_claim_is_found_among_the_containers_own_files(tmp_path: Path) -> None:
    (tmp_path / "mnt/pvc/iris").mkdir(parents=True)
    (tmp_path / "mnt/pvc/iris/own.joblib").write_bytes(b"")

    assert storage.run(["/mnt/pvc/iris", "/mnt/models"], tmp_path) == 0

    assert files(tmp_path) == ["own.joblib"]


def test_the_tutorials_model_is_copied_with_the_real_lines(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    uri = "gs://kfserving-examples/models/sklearn/1.0/model"

    assert storage.run([uri, "/mnt/models"], tmp_path) == 0

    assert files(tmp_path) == [iris_models.FILE]
    said = [line.partition("] ")[2] for line in capsys.readouterr().err.splitlines()]
    assert said[:4] == [f"Initializing, args: (src_uri, dest_path): [('{uri}', '/mnt/models')]",
                        f"Copying contents of {uri} to local", "Downloading: /mnt/models/model.joblib",
                        f"Successfully copied {uri} to /mnt/models"]


@pytest.mark.parametrize(("uri", "said"), [
    ("gs://kfserving-examples/models/sklearn/1.0/no-such-model",
     "Storage initialization failed: GCS resource 'kfserving-examples' not found."),
    ("file:///no/such/model", "Storage initialization failed: Local path file:///no/such/model does not exist."),
    ("/no/such/model", "Local path /no/such/model does not exist."),
    ("s3://bucket/model", "s3://bucket/model cannot be reached from an embedded cluster."),
    ("ftp://host/model", "Cannot recognize storage type for ftp://host/model"),
    ("{url}/", "No filename contained in URI: {url}/"),
    ("{url}/none.joblib", "URI: {url}/none.joblib returned a 404 response code."),
    ("{url}/own.txt", "URI: {url}/own.txt did not respond with 'Content-Type': 'application/octet-stream'"),
    ("{url}/broken.zip", "Failed to unpack archive file. The file format is not valid."),
])
def test_a_fault_that_cannot_be_injected_is_reported_and_fails(
        uri: str, said: str, url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = storage.run([uri.format(url=url), "/mnt/models"], tmp_path)

    assert code == 1
    assert said.format(url=url) in capsys.readouterr().err


def test_a_recorded_failure_ends_with_the_recorded_message(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    uri = "gs://kfserving-examples/models/sklearn/1.0/no-such-model"

    storage.run([uri, "/mnt/models"], tmp_path)

    *_, last_but_one, last = capsys.readouterr().err.splitlines()
    assert last_but_one.partition(" 1 ")[2] == (
        "storage.initializer ERROR [storage_errors.py:raise_storage_error():42] GCS error for "
        f"{uri}: 404 GET https://storage.googleapis.com/download/storage/v1/b/kfserving-examples/o/models%2Fsklearn%2F"
        "1.0%2Fno-such-model?alt=media: No such object: kfserving-examples/models/sklearn/1.0/no-such-model: ('Request "
        "failed with status code', 404, 'Expected one of', <HTTPStatus.OK: 200>, <HTTPStatus.PARTIAL_CONTENT: 206>)")
    assert last.partition(" 1 ")[2] == (
        "storage.initializer ERROR [initializer-entrypoint:<module>():28] Storage initialization failed: "
        "GCS resource 'kfserving-examples' not found.")


def test_a_host_that_does_not_answer_is_reported(
        tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(downloads.LOCAL_URLS, "allow")

    assert storage.run(["http://127.0.0.1:9/own.joblib", "/mnt/models"], tmp_path) == 1

    assert "Storage initialization failed" in capsys.readouterr().err


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]", "0.0.0.0", "169.254.169.254", "[fe80::1]",
                                  "[::ffff:127.0.0.1]", "127.1", "2130706433"])
def test_urls_of_this_machine_and_its_link_are_refused(
        host: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert storage.run([f"http://{host}:9/latest/own.joblib", "/mnt/models"], tmp_path) == 1

    assert "reads no models. Use file:// or pvc://, or start the cluster with KSERVE_NB_LOCAL_URLS=allow" in (
        capsys.readouterr().err)


def test_a_redirect_to_this_machine_is_refused(
        url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(downloads.LOCAL_URLS)
    monkeypatch.delenv("HTTP_PROXY")
    public = [ipaddress.ip_address("203.0.113.1")]
    resolve = downloads._addresses
    monkeypatch.setattr(downloads, "_addresses", lambda host: public if host == "localhost" else resolve(host))

    code = storage.run([f"{url.replace('127.0.0.1', 'localhost')}/moved/own.joblib", "/mnt/models"], tmp_path)

    assert code == 1
    assert f"by a redirect to {url}/own.joblib, an address of this machine" in capsys.readouterr().err


def test_a_redirect_is_followed_and_a_circle_is_not(
        url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert storage.run([f"{url}/moved/own.joblib", "/mnt/models"], tmp_path) == 0
    assert storage.run([f"{url}/circle/own.joblib", "/mnt/models"], tmp_path) == 1

    assert "redirects more than 5 times" in capsys.readouterr().err


@pytest.mark.parametrize(("limit", "value", "message"), [
    ("MAX_BYTES", 10, "own.joblib is larger than the limit of an embedded cluster"),
    ("TOTAL_S", -1.0, "own.joblib was not downloaded within the limit of an embedded cluster"),
])
def test_a_download_has_a_limit_of_size_and_time(
        limit: str, value: float, message: str, url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str],
        monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(downloads, limit, value)

    assert storage.run([f"{url}/own.joblib", "/mnt/models"], tmp_path) == 1

    assert message in capsys.readouterr().err


@pytest.mark.parametrize("name", ["own.zip", "own.tgz"])
@pytest.mark.parametrize("limit", ["MAX_UNPACKED_BYTES", "MAX_UNPACKED_FILES"])
def test_an_archive_unpacks_within_limits(
        name: str, limit: str, url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str],
        monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(storage, limit, 0)

    assert storage.run([f"{url}/{name}", "/mnt/models"], tmp_path) == 1

    assert f"{name} unpacks to more than the limit of an embedded cluster" in capsys.readouterr().err
    assert files(tmp_path) == [name]
