"""The storage-initializer of a pod: brings a model into the pod's folder, with the log lines of KServe's own.

Words as of the image kserve/storage-initializer v0.20.0.
"""

from __future__ import annotations

import ipaddress
import mimetypes
import re
import sys
import tarfile
import time
import zipfile
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote, urlparse

import requests

from kserve_nb.clusters import tutorial_models
from kserve_nb.clusters.embedded.node.runtime import iris_models

TIMEOUT_S = 60
_ZIP = ("application/x-zip-compressed", "application/zip", "application/zip-compressed")
_TAR = ("application/x-tar", "application/x-gtar", "application/x-gzip", "application/gzip")
_UNREACHABLE = re.compile(r"(s3|hdfs|webhdfs|hf|oci|oci\+native)://|https://[^/]+\.(blob|file)\.core\.windows\.net/")


class StorageError(Exception):
    """A model could not be brought; the message is what the log ends with."""


def run(argv: Sequence[str], root: Path) -> int:
    """Bring each source URI to its destination, given as pairs. `root` is the container's `/`. The exit code."""
    pairs = list(zip(argv[::2], argv[1::2], strict=True))
    _say("INFO", "initializer-entrypoint:<module>():17", f"Initializing, args: (src_uri, dest_path): {pairs}")
    try:
        for uri, destination in pairs:
            _download(uri, destination, root)
    except (StorageError, OSError, requests.RequestException, tarfile.TarError, zipfile.BadZipFile) as error:
        _say("ERROR", "initializer-entrypoint:<module>():28", f"Storage initialization failed: {error}")
        return 1
    return 0


def _say(level: str, place: str, message: str) -> None:
    now = time.time()
    at = f"{time.strftime('%Y-%m-%d %H:%M:%S', time.gmtime(now))}.{int(now % 1 * 1000):03d}"
    sys.stderr.write(f"{at} 1 storage.initializer {level} [{place}] {message}\n")


def _download(uri: str, destination: str, root: Path) -> None:
    began = time.monotonic()
    _say("INFO", "kserve_storage.py:download():168", f"Copying contents of {uri} to local")
    folder = root / destination.lstrip("/")
    folder.mkdir(parents=True, exist_ok=True)
    if uri.startswith("gs://"):
        _from_gcs(uri, destination, folder)
    elif _UNREACHABLE.match(uri):
        raise StorageError(f"{uri} cannot be reached from an embedded cluster. Use gs://kfserving-examples/"
                           f"{tutorial_models.FOLDER}/model, or a model of your own by pvc://, file:// or https://.")
    elif uri.startswith(("http://", "https://")):
        _from_http(uri, destination, folder)
    elif uri.startswith("file://") or "://" not in uri:
        _from_local(uri, destination, folder, root)
    else:
        raise StorageError(f"Cannot recognize storage type for {uri}\n'gs://', 's3://', 'file://', 'http(s)://' "
                           "and 'hf://' are the current available storage type.")
    _say("INFO", "kserve_storage.py:download():231", f"Successfully copied {uri} to {destination}")
    _say("INFO", "kserve_storage.py:download():232", f"Model downloaded in {time.monotonic() - began} seconds.")


def _from_gcs(uri: str, destination: str, folder: Path) -> None:
    name = iris_models.name_of(uri)
    if name is not None:
        _say("INFO", "kserve_storage.py:_download_gcs():733", f"Downloading: {destination}/{tutorial_models.FILE}")
        iris_models.save(name, folder / tutorial_models.FILE)
        return
    bucket, _, path = uri.removeprefix("gs://").partition("/")
    target = f"{destination}/{path.rpartition('/')[2]}"
    _say("INFO", "kserve_storage.py:_download_gcs():712", f"Downloading single file to: {target}")
    url = f"https://storage.googleapis.com/download/storage/v1/b/{bucket}/o/{quote(path, safe='')}?alt=media"
    _say("ERROR", "storage_errors.py:raise_storage_error():42",
         f"GCS error for {uri}: 404 GET {url}: No such object: {bucket}/{path}: ('Request failed with status code', "
         "404, 'Expected one of', <HTTPStatus.OK: 200>, <HTTPStatus.PARTIAL_CONTENT: 206>)")
    raise StorageError(f"GCS resource '{bucket}' not found.")


def _from_local(uri: str, destination: str, folder: Path, root: Path) -> None:
    """Link the files of a folder, or one file, found among the container's mounts or else on this machine."""
    path = uri.removeprefix("file://")
    source = next((p for p in (root / path.lstrip("/"), Path(path)) if p.exists()), None)
    if source is None:
        raise StorageError(f"Local path {uri} does not exist.")
    files = sorted(source.glob("*")) if source.is_dir() else [source]
    if not files:
        raise StorageError(f"Failed to fetch model. No model found in {uri}.")
    for file in files:
        _say("INFO", "kserve_storage.py:_download_local():921", f"Linking: {file} to {destination}/{file.name}")
        if not (folder / file.name).exists():
            (folder / file.name).symlink_to(file.resolve())
    if len(files) == 1:
        _unpack(folder / files[0].name, folder)


def _from_http(uri: str, destination: str, folder: Path) -> None:
    url = urlparse(uri)
    name = url.path.rpartition("/")[2]
    if not name:
        raise StorageError(f"No filename contained in URI: {uri}")
    session = requests.Session()
    session.trust_env = not _is_loopback(url.hostname or "")  # a proxy cannot reach this machine's own server
    with session.get(uri, stream=True, timeout=TIMEOUT_S) as response:
        if response.status_code != 200:
            raise StorageError(f"URI: {uri} returned a {response.status_code} response code.")
        _check_type(uri, name, response.headers.get("Content-Type", ""))
        with (folder / name).open("wb") as file:
            for chunk in response.iter_content(1 << 20):
                file.write(chunk)
    _unpack(folder / name, folder)


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _check_type(uri: str, name: str, content_type: str) -> None:
    accepted = {"application/zip": _ZIP, "application/x-tar": _TAR}.get(mimetypes.guess_type(name)[0] or "")
    if accepted is None and not content_type.startswith("application/octet-stream"):
        raise StorageError(f"URI: {uri} did not respond with 'Content-Type': 'application/octet-stream'")
    if accepted is not None and not content_type.startswith(accepted):
        raise StorageError(f"URI: {uri} did not respond with any of following 'Content-Type': {', '.join(accepted)}")


def _unpack(file: Path, folder: Path) -> None:
    """Unpack an archive (.tgz, .tar.gz, .tar, .zip) in its place; anything else stays as it is."""
    kind = mimetypes.guess_type(file.name)[0]
    if kind not in ("application/x-tar", "application/zip"):
        return
    _say("INFO", "kserve_storage.py:_unpack_archive_file():1025", f"Unpacking: {file.name}")
    try:
        if kind == "application/zip":
            with zipfile.ZipFile(file) as archive:
                archive.extractall(folder)
        else:
            with tarfile.open(file) as tar:
                tar.extractall(folder, filter="data")
    except (tarfile.TarError, zipfile.BadZipFile) as error:
        raise StorageError("Failed to unpack archive file. The file format is not valid.") from error
    file.unlink()
