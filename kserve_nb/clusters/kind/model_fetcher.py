"""Fetch models of `gs://` URIs: the tutorial's from the cluster's own model server, all others as KServe does.

This file runs as a script in KServe's storage-initializer image, so it imports nothing of this project. Its arguments
are those of the storage initializer: pairs of a URI and a folder.
"""

from __future__ import annotations

import os
import sys
import time
import urllib.error
import urllib.request
from http import HTTPStatus
from pathlib import Path

FILE = "model.joblib"
INITIALIZER = "/storage-initializer/scripts/initializer-entrypoint"
TRIES = 5


def fetch(server: str, uri: str, folder: str) -> bool:
    """Put the model of that URI into the folder; return False if the server has no models of that folder.

    Raises:
        RuntimeError: the server has models of that folder, but not this one. The message is KServe's own.
        OSError: the server does not answer.
    """
    address = f"{server}/{uri.removeprefix('gs://').rstrip('/')}/{FILE}"
    for left in reversed(range(TRIES)):
        try:
            with urllib.request.urlopen(address, timeout=10) as answer:
                Path(folder).mkdir(parents=True, exist_ok=True)
                (Path(folder) / FILE).write_bytes(answer.read())
            return True
        except urllib.error.HTTPError as error:
            if error.code == HTTPStatus.NOT_FOUND:
                raise RuntimeError(f"Failed to fetch model. No model found in {uri}.") from None
            if error.code == HTTPStatus.MISDIRECTED_REQUEST:
                return False
            raise
        except OSError:
            if not left:
                raise
            time.sleep(1)
    return False


def main(arguments: list[str]) -> None:
    """Fetch all models, or run KServe's own initializer if one of them is not the tutorial's."""
    pairs = list(zip(arguments[::2], arguments[1::2], strict=True))
    if not all(fetch(os.environ["MODEL_SERVER"], uri, folder) for uri, folder in pairs):
        os.execv(INITIALIZER, [INITIALIZER, *arguments])


if __name__ == "__main__":
    main(sys.argv[1:])
