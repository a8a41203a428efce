"""Fetch models of `gs://` URIs: the tutorial's from the cluster's own model server, all others as KServe does.

This file runs by itself in KServe's storage-initializer image: it imports nothing of this project.
Its arguments are those of the storage initializer: URI and folder, in turn.
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
    """Put the model of that URI into the folder; False where it is not the server's to have.

    Raises:
        RuntimeError: the server should have it, and has not; in the words of KServe's storage initializer.
        OSError: there is no server.
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
    """Fetch each; hand over to KServe's own initializer where one of them is not the tutorial's."""
    pairs = list(zip(arguments[::2], arguments[1::2], strict=True))
    if not all(fetch(os.environ["MODEL_SERVER"], uri, folder) for uri, folder in pairs):
        os.execv(INITIALIZER, [INITIALIZER, *arguments])


if __name__ == "__main__":
    main(sys.argv[1:])
