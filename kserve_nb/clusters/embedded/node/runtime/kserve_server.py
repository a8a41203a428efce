"""The model server of a pod: KServe's own, with a scikit-learn model, on a socket file.

It does what the image kserve/sklearnserver does: the same arguments, files, answers and log lines.
"""

from __future__ import annotations

import argparse
import logging
import os
import socket
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import joblib
from kserve import Model, ModelRepository, ModelServer
from kserve.errors import InferenceError, ModelMissingError
from kserve.logging import configure_logging, logger
from kserve.model_server import parser as server_parser
from kserve.utils.utils import get_predict_input, get_predict_response

uvicorn_log = logging.getLogger("uvicorn.error")
EXTENSIONS = (".joblib", ".pkl", ".pickle")
STOP_S = 30  # how long requests that are being answered may go on after SIGTERM


class SKLearnModel(Model):  # type: ignore[misc]  # kserve is not typed
    """A pickled estimator, alone in its folder."""

    def __init__(self, name: str, model_dir: Path):
        super().__init__(name)
        self.model_dir = model_dir
        self.ready = False

    def load(self) -> bool:
        """Load the one model file. Raises ModelMissingError where there is none, RuntimeError where there are more."""
        files = sorted(f for f in self.model_dir.iterdir() if f.is_file() and f.name.endswith(EXTENSIONS))
        if not files:
            raise ModelMissingError(self.model_dir)
        if len(files) > 1:
            raise RuntimeError(
                f"More than one model file is detected, Only one is allowed within model_dir: {files}")
        self._model = joblib.load(files[0])
        self.ready = True
        return self.ready

    def predict(self, payload: Any, headers: dict[str, str] | None = None, **_: Any) -> Any:
        """Classes, or with PREDICT_PROBA=true probabilities where the estimator has them."""
        try:
            instances = get_predict_input(payload)
            wants_probabilities = os.environ.get("PREDICT_PROBA", "false").lower() == "true"
            if wants_probabilities and hasattr(self._model, "predict_proba"):
                result = self._model.predict_proba(instances)
            else:
                result = self._model.predict(instances)
            return get_predict_response(payload, result, self.name)
        except Exception as error:
            raise InferenceError(str(error)) from error


class SKLearnRepository(ModelRepository):  # type: ignore[misc]
    """Loads further models by name from below the model folder, when the repository API asks."""

    async def load(self, name: str) -> bool:
        model = SKLearnModel(name, Path(self.models_dir) / name)
        if model.load():
            self.update(model)
        return model.ready


class SocketServer(ModelServer):  # type: ignore[misc]
    """A ModelServer on a socket that is bound already; KServe's own binds a port of all addresses.

    Args:
        listener: the bound socket.
        listening: called when the server accepts connections.
        options: those of ModelServer.
    """

    def __init__(self, listener: socket.socket, listening: Callable[[], None], **options: Any):
        super().__init__(enable_grpc=False, **options)  # gRPC does not survive the fork
        self._listener, self._listening = listener, listening

    async def _serve(self) -> None:
        config, server = self._rest_server.config, self._rest_server._server
        config.backlog = socket.SOMAXCONN  # of a socket file, a full queue refuses clients at once
        config.load()
        config.loaded_app = _with_client_address(config.loaded_app)
        startup = server.startup

        async def start(sockets: object = None) -> None:
            await startup(sockets=[self._listener])
            uvicorn_log.info("Uvicorn running on http://0.0.0.0:%d (Press CTRL+C to quit)", config.port)
            self._listening()

        server.startup = start
        await super()._serve()


def _with_client_address(app: Callable[..., Any]) -> Callable[..., Any]:
    """Give each request the client address that it has on a port of 127.0.0.1: a socket file has none.

    Uvicorn takes the headers of a proxy, and so the address in the access log, from a client on 127.0.0.1 alone.
    """
    async def call(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            scope["client"] = ("127.0.0.1", 0)
        await app(scope, receive, send)

    return call


def run(argv: list[str], root: Path, listener: socket.socket, loaded: Callable[[], None],
        listening: Callable[[], None]) -> int:
    """Serve on `listener` until SIGTERM. `root` stands for the container's `/`.

    `loaded` is called when the model is in memory, `listening` when the server accepts connections.
    """
    warnings.filterwarnings("ignore", message=".*ORJSONResponse.*")  # of a newer FastAPI than the image's
    parser = argparse.ArgumentParser(parents=[server_parser])
    parser.add_argument("--model_dir", required=True)
    args, _ = parser.parse_known_args(argv)
    configure_logging(args.log_config_file)
    folder = root / args.model_dir.lstrip("/")
    model = SKLearnModel(args.model_name, folder)
    try:
        model.load()
    except ModelMissingError:
        logger.error("fail to locate model file for model %s under dir %s,trying loading from model repository.",
                     args.model_name, args.model_dir)
    loaded()
    server = SocketServer(
        listener, listening, registered_models=SKLearnRepository(str(folder)), enable_docs_url=args.enable_docs_url,
        enable_latency_logging=args.enable_latency_logging, access_log_format=args.access_log_format,
        max_asyncio_workers=args.max_asyncio_workers, timeout_keep_alive=args.timeout_keep_alive, grace_period=STOP_S)
    server.start([model] if model.ready else [])
    return 0
