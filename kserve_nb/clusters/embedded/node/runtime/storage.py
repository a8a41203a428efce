"""The storage-initializer of a pod: downloads a model into the pod's folder, with KServe's own log lines.

The texts are those of the image kserve/storage-initializer v0.20.0.
"""

from __future__ import annotations

import mimetypes
import re
import sys
import tarfile
import time
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote, urlparse

from kserve_nb.clusters.embedded.node.runtime import downloads, iris_models
from kserve_nb.clusters.embedded.node.runtime.downloads import DownloadError
from kserve_nb.clusters.tutorial_models import FILE, FOLDER

if TYPE_CHECKING:
    import requests

MAX_UNPACKED_BYTES, MAX_UNPACKED_FILES = 8 << 30, 100_000
_ZIP = ("application/x-zip-compressed", "application/zip", "application/zip-compressed")
_TAR = ("application/x-tar", "application/x-gtar", "application/x-gzip", "application/gzip")
_UNREACHABLE = re.compile(r"(s3|hdfs|webhdfs|hf|oci|oci\+native)://|https://[^/]+\.(blob|file)\.core\.windows\.net/")


class StorageError(Exception):
    """A model that could not be downloaded into the pod; the message is the last line of the log."""


def run(argv: Sequence[str], root: Path) -> int:
    """Download the model of each source URI to its destination, and return the exit code.

    Args:
        argv: source URIs and destinations, alternately.
        root: the folder that represents the container's `/`.
    """
    pairs = list(zip(argv[::2], argv[1::2], strict=True))
    _log("INFO", "initializer-entrypoint:<module>():17", f"Initializing, args: (src_uri, dest_path): {pairs}")
    try:
        for uri, destination in pairs:
            _download(uri, destination, root)
    except (StorageError, DownloadError, OSError, tarfile.TarError, zipfile.BadZipFile) as error:
        # OSError includes the errors of requests
        _log("ERROR", "initializer-entrypoint:<module>():28", f"Storage initialization failed: {error}")
        return 1
    return 0


def _log(level: str, place: str, message: str) -> None:
    now = time.time()
    at = f"{time.strftime('%Y-%m-%d %H:%M:%S', time.gmtime(now))}.{int(now % 1 * 1000):03d}"
    sys.stderr.write(f"{at} 1 storage.initializer {level} [{place}] {message}\n")


def _download(uri: str, destination: str, root: Path) -> None:
    began = time.monotonic()
    _log("INFO", "kserve_storage.py:download():168", f"Copying contents of {uri} to local")
    folder = root / destination.lstrip("/")
    folder.mkdir(parents=True, exist_ok=True)
    if uri.startswith("gs://"):
        _from_gcs(uri, destination, folder)
    elif _UNREACHABLE.match(uri):
        raise StorageError(f"{uri} cannot be reached from an embedded cluster. Use gs://kfserving-examples/"
                           f"{FOLDER}/model, or a model of your own by pvc://, file:// or https://.")
    elif uri.startswith(("http://", "https://")):
        _from_http(uri, folder)
    elif uri.startswith("file://") or "://" not in uri:
        _from_local(uri, destination, folder, root)
    else:
        raise StorageError(f"Cannot recognize storage type for {uri}\n'gs://', 's3://', 'file://', 'http(s)://' "
                           "and 'hf://' are the current available storage type.")
    _log("INFO", "kserve_storage.py:download():231", f"Successfully copied {uri} to {destination}")
    _log("INFO", "kserve_storage.py:download():232", f"Model downloaded in {time.monotonic() - began} seconds.")


def _from_gcs(uri: str, destination: str, folder: Path) -> None:
    name = iris_models.name_of(uri)
    if name is not None:
        _log("INFO", "kserve_storage.py:_download_gcs():733", f"Downloading: {destination}/{FILE}")
        iris_models.save(name, folder / FILE)
        return
    bucket, _, path = uri.removeprefix("gs://").partition("/")
    target = f"{destination}/{path.rpartition('/')[2]}"
    _log("INFO", "kserve_storage.py:_download_gcs():712", f"Downloading single file to: {target}")
    url = f"https://storage.googleapis.com/download/storage/v1/b/{bucket}/o/{quote(path, safe='')}?alt=media"
    _log("ERROR", "storage_errors.py:raise_storage_error():42",
         f"GCS error for {uri}: 404 GET {url}: No such object: {bucket}/{path}: ('Request failed with status code', "
         "404, 'Expected one of', <HTTPStatus.OK: 200>, <HTTPStatus.PARTIAL_CONTENT: 206>)")
    raise StorageError(f"GCS resource '{bucket}' not found.")


def _from_local(uri: str, destination: str, folder: Path, root: Path) -> None:
    """Link the files of a folder, or one file, from the container's mounts or else from this machine."""
    path = uri.removeprefix("file://")
    source = next((p for p in (root / path.lstrip("/"), Path(path)) if p.exists()), None)
    if source is None:
        raise StorageError(f"Local path {uri} does not exist.")
    files = sorted(source.glob("*")) if source.is_dir() else [source]
    if not files:
        raise StorageError(f"Failed to fetch model. No model found in {uri}.")
    for file in files:
        _log("INFO", "kserve_storage.py:_download_local():921", f"Linking: {file} to {destination}/{file.name}")
        if not (folder / file.name).exists():
            (folder / file.name).symlink_to(file.resolve())
    if len(files) == 1:
        _unpack(folder / files[0].name, folder)


def _from_http(uri: str, folder: Path) -> None:
    name = urlparse(uri).path.rpartition("/")[2]
    if not name:
        raise StorageError(f"No filename contained in URI: {uri}")

    def check(response: requests.Response) -> None:
        if response.status_code != 200:
            raise StorageError(f"URI: {uri} returned a {response.status_code} response code.")
        _check_type(uri, name, response.headers.get("Content-Type", ""))

    downloads.fetch(uri, check, folder / name)
    _unpack(folder / name, folder)


def _check_type(uri: str, name: str, content_type: str) -> None:
    accepted = {"application/zip": _ZIP, "application/x-tar": _TAR}.get(mimetypes.guess_type(name)[0] or "")
    if accepted is None and not content_type.startswith("application/octet-stream"):
        raise StorageError(f"URI: {uri} did not respond with 'Content-Type': 'application/octet-stream'")
    if accepted is not None and not content_type.startswith(accepted):
        raise StorageError(f"URI: {uri} did not respond with any of following 'Content-Type': {', '.join(accepted)}")


def _unpack(file: Path, folder: Path) -> None:
    """Unpack an archive (.tgz, .tar.gz, .tar, .zip) into the folder and remove it; leave any other file as it is."""
    kind = mimetypes.guess_type(file.name)[0]
    if kind not in ("application/x-tar", "application/zip"):
        return
    _log("INFO", "kserve_storage.py:_unpack_archive_file():1025", f"Unpacking: {file.name}")
    try:
        if kind == "application/zip":
            _unpack_zip(file, folder)
        else:
            _unpack_tar(file, folder)
    except (tarfile.TarError, zipfile.BadZipFile) as error:
        raise StorageError("Failed to unpack archive file. The file format is not valid.") from error
    file.unlink()


def _unpack_zip(file: Path, folder: Path) -> None:
    with zipfile.ZipFile(file) as archive:
        budget = _Budget(file.name)
        for member in archive.infolist():
            budget.spend(member.file_size)
            archive.extract(member, folder)


def _unpack_tar(file: Path, folder: Path) -> None:
    with tarfile.open(file) as archive:
        budget = _Budget(file.name)
        for member in archive:
            budget.spend(member.size)
            archive.extract(member, folder, filter="data")


class _Budget:
    """The size and number of files that one archive may still unpack to."""

    def __init__(self, archive: str):
        self._archive, self._bytes, self._files = archive, MAX_UNPACKED_BYTES, MAX_UNPACKED_FILES

    def spend(self, size: int) -> None:
        """Count one file. Raises StorageError if the archive exceeds its limit."""
        self._bytes -= size
        self._files -= 1
        if self._bytes < 0 or self._files < 0:
            raise StorageError(f"{self._archive} unpacks to more than the limit of an embedded cluster, "
                               f"{MAX_UNPACKED_BYTES >> 30} GiB or {MAX_UNPACKED_FILES} files.")
