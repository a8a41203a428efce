"""The model server of a pod: KServe's own with a scikit-learn model, on a socket file.

It behaves like the image kserve/sklearnserver: the same arguments, files, responses and log lines.
"""

from __future__ import annotations

import argparse
import logging
import os
import socket
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import joblib
from kserve import Model, ModelRepository, ModelServer
from kserve.errors import InferenceError, ModelMissingError
from kserve.logging import configure_logging, logger
from kserve.model_server import parser as server_parser
from kserve.utils.utils import get_predict_input, get_predict_response

uvicorn_log = logging.getLogger("uvicorn.error")
EXTENSIONS = (".joblib", ".pkl", ".pickle")
STOP_S = 30  # how long requests under way may continue after SIGTERM


class Reports(Protocol):
    """The reports of the server to the process that started it."""

    def loaded(self) -> None:
        """Report that the model is in memory."""

    def listening(self) -> None:
        """Report that the server accepts connections."""

    def out_of_memory(self) -> None:
        """Report that memory cannot be allocated. Does not return."""


class SKLearnModel(Model):  # type: ignore[misc]  # kserve is not typed
    """A pickled estimator, the only model file in its folder."""

    def __init__(self, name: str, model_dir: Path, reports: Reports):
        super().__init__(name)
        self.model_dir, self._reports = model_dir, reports
        self.ready = False

    def load(self) -> bool:
        """Load the model file. Raises ModelMissingError if there is none, and RuntimeError if there are several."""
        files = sorted(f for f in self.model_dir.iterdir() if f.is_file() and f.name.endswith(EXTENSIONS))
        if not files:
            raise ModelMissingError(self.model_dir)
        if len(files) > 1:
            raise RuntimeError(
                f"More than one model file is detected, Only one is allowed within model_dir: {files}")
        try:
            self._model = joblib.load(files[0])
        except MemoryError:
            self._reports.out_of_memory()
        self.ready = True
        return self.ready

    def predict(self, payload: Any, headers: dict[str, str] | None = None, **_: Any) -> Any:
        """Return classes, or probabilities if PREDICT_PROBA is true and the estimator has them."""
        try:
            instances = get_predict_input(payload)
            wants_probabilities = os.environ.get("PREDICT_PROBA", "false").lower() == "true"
            if wants_probabilities and hasattr(self._model, "predict_proba"):
                result = self._model.predict_proba(instances)
            else:
                result = self._model.predict(instances)
            return get_predict_response(payload, result, self.name)
        except MemoryError:
            self._reports.out_of_memory()
        except Exception as error:
            raise InferenceError(str(error)) from error


class SKLearnRepository(ModelRepository):  # type: ignore[misc]
    """Loads further models by name from sub-folders of the model folder, for the repository API."""

    def __init__(self, models_dir: Path, reports: Reports):
        super().__init__(str(models_dir))
        self._reports = reports

    async def load(self, name: str) -> bool:
        model = SKLearnModel(name, Path(self.models_dir) / name, self._reports)
        if model.load():
            self.update(model)
        return model.ready


class SocketServer(ModelServer):  # type: ignore[misc]
    """A ModelServer on a socket that is already bound; KServe's own listens on a TCP port of all addresses.

    Args:
        listener: the bound socket.
        listening: called when the server accepts connections.
        options: the options of ModelServer.
    """

    def __init__(self, listener: socket.socket, listening: Callable[[], None], **options: Any):
        super().__init__(enable_grpc=False, **options)  # gRPC does not work after a fork
        self._listener, self._listening = listener, listening

    async def _serve(self) -> None:
        config, server = self._rest_server.config, self._rest_server._server
        config.backlog = socket.SOMAXCONN  # a socket file refuses clients at once when its queue is full
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
    """Give each request the client address that it has on a TCP port: a socket file has none.

    Uvicorn accepts the headers of a proxy, and with them the address for the access log, from 127.0.0.1 only.
    """
    async def call(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            scope["client"] = ("127.0.0.1", 0)
        await app(scope, receive, send)

    return call


def run(argv: list[str], root: Path, listener: socket.socket, reports: Reports) -> int:
    """Serve on `listener` until SIGTERM. `root` is the folder that represents the container's `/`."""
    warnings.filterwarnings("ignore", message=".*ORJSONResponse.*")  # the image has an older FastAPI
    parser = argparse.ArgumentParser(parents=[server_parser])
    parser.add_argument("--model_dir", required=True)
    args, _ = parser.parse_known_args(argv)
    configure_logging(args.log_config_file)
    folder = root / args.model_dir.lstrip("/")
    model = SKLearnModel(args.model_name, folder, reports)
    try:
        model.load()
    except ModelMissingError:
        logger.error("fail to locate model file for model %s under dir %s,trying loading from model repository.",
                     args.model_name, args.model_dir)
    reports.loaded()
    server = SocketServer(
        listener, reports.listening, registered_models=SKLearnRepository(folder, reports),
        enable_docs_url=args.enable_docs_url, enable_latency_logging=args.enable_latency_logging,
        access_log_format=args.access_log_format, max_asyncio_workers=args.max_asyncio_workers,
        timeout_keep_alive=args.timeout_keep_alive, grace_period=STOP_S)
    server.start([model] if model.ready else [])
    return 0
