"""Serve the files of the tutorial's two iris models inside the cluster.

The models are trained when the server starts, by the same scikit-learn that will load them. This file runs as a script
in KServe's scikit-learn server image, so it imports nothing of this project. The environment variable `MODELS` has, as
JSON, the kernel of each model by the path of its file.
"""

from __future__ import annotations

import io
import json
import os
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import joblib
from sklearn.datasets import load_iris
from sklearn.svm import SVC

PORT = 8080


def trained(kernels: dict[str, str]) -> dict[str, bytes]:
    """The bytes of each model file, by its path."""
    features, species = load_iris(return_X_y=True)
    files = {}
    for path, kernel in kernels.items():
        buffer = io.BytesIO()
        joblib.dump(SVC(kernel=kernel, gamma="scale").fit(features, species), buffer)
        files[path] = buffer.getvalue()
    return files


def handler(files: dict[str, bytes]) -> type[BaseHTTPRequestHandler]:
    """A handler that serves those files: 404 for a missing file in their folders, 421 for any other folder."""
    folders = tuple(path.rsplit("/", 2)[0] + "/" for path in files if path.count("/") > 1)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            """Send the file of this path."""
            data = files.get(self.path)
            absent = HTTPStatus.NOT_FOUND if self.path.startswith(folders) else HTTPStatus.MISDIRECTED_REQUEST
            self.send_response(absent if data is None else HTTPStatus.OK)
            self.send_header("Content-Length", str(len(data or b"")))
            self.end_headers()
            self.wfile.write(data or b"")

    return Handler


def main() -> None:
    """Train the models, then serve them until the container ends."""
    files = trained(json.loads(os.environ["MODELS"])) | {"/ready": b"ok"}
    # Other pods fetch from here, so it listens on all addresses of its pod.
    ThreadingHTTPServer(("", PORT), handler(files)).serve_forever()


if __name__ == "__main__":
    main()
