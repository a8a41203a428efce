"""The embedded cluster's API server without controllers: in a thread, over TLS, on a free port."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import ssl
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import requests
from aiohttp import web

from kserve_nb.clusters.embedded import certificate
from kserve_nb.clusters.embedded.api.admission.chain import admit
from kserve_nb.clusters.embedded.api.store.store import Store
from kserve_nb.clusters.embedded.api.verbs.app import make_app
from kserve_nb.clusters.embedded.apimachinery.kinds import NAMESPACE
from kserve_nb.clusters.embedded.apimachinery.objects import Settings

TOKEN = "a-secret"
KUBECTL = os.environ.get("KUBECTL", "kubectl")  # set it to test another version of kubectl
SERVICES = "/apis/serving.kserve.io/v1beta1/namespaces/demo/inferenceservices"


def isvc(name: str, **predictor: object) -> dict[str, Any]:
    """Return an InferenceService in the namespace demo."""
    model = {"modelFormat": {"name": "sklearn"}, "storageUri": "gs://kfserving-examples/models/sklearn/1.0/model"}
    return {"apiVersion": "serving.kserve.io/v1beta1", "kind": "InferenceService",
            "metadata": {"name": name, "namespace": "demo"}, "spec": {"predictor": {"model": model, **predictor}}}


class ApiServer:
    """An API server with the namespaces default and demo."""

    def __init__(self, folder: Path):
        self.folder, self.loop = folder, asyncio.new_event_loop()
        certificate.make(folder)
        threading.Thread(target=self.loop.run_forever, daemon=True).start()
        self.store = Store(folder / "store.db", admission=admit)
        for name in ("default", "demo"):
            self.store.create(NAMESPACE, {"metadata": {"name": name}})
        self.url = self._run(self._start())
        self.session = requests.Session()
        self.session.trust_env = False
        self.session.verify = str(folder / "tls.crt")
        self.session.headers["Authorization"] = f"Bearer {TOKEN}"
        self.kubeconfig = folder / "kubeconfig"
        self.kubeconfig.write_text(json.dumps(self._kubeconfig()))

    def close(self) -> None:
        self.session.close()
        self._run(self._runner.cleanup())
        self.call(self.store.close)
        self.loop.call_soon_threadsafe(self.loop.stop)

    def call(self, function: Any, *args: Any, **kwargs: Any) -> Any:
        """Call a function of the store in the server's thread."""
        async def run() -> Any:
            return function(*args, **kwargs)

        return self._run(run())

    def request(self, method: str, path: str, body: Any = None, **kwargs: Any) -> requests.Response:
        """Send a request as administrator. A body that is not bytes is sent as JSON."""
        headers = {"Content-Type": "application/json"} | kwargs.pop("headers", {})
        data = body if isinstance(body, bytes | None) else json.dumps(body)
        return self.session.request(method, self.url + path, data=data, headers=headers, timeout=20, **kwargs)

    @property
    def env(self) -> dict[str, str]:
        """The environment variables with which this installation's kubectl uses this server."""
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
        return {**os.environ, "PATH": path, "KUBECONFIG": str(self.kubeconfig), "HOME": str(self.folder)}

    def kubectl(self, *args: str, stdin: str | None = None, check: bool = True,
                **env: str) -> subprocess.CompletedProcess[str]:
        """Run the real kubectl."""
        done = subprocess.run([KUBECTL, *args], input=stdin, text=True, capture_output=True, timeout=60,
                              env=self.env | env)
        assert not check or done.returncode == 0, f"{args}: {done.stdout}{done.stderr}"
        return done

    async def _start(self) -> str:
        self._runner = web.AppRunner(
            make_app(self.store, Settings(), token=TOKEN), handler_cancellation=True, shutdown_timeout=0.1)
        await self._runner.setup()
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(self.folder / "tls.crt", self.folder / "tls.key")
        await web.TCPSite(self._runner, "127.0.0.1", 0, ssl_context=context).start()
        return f"https://127.0.0.1:{self._runner.addresses[0][1]}"

    def _run(self, coroutine: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(30)

    def _kubeconfig(self) -> dict[str, Any]:
        authority = base64.b64encode((self.folder / "tls.crt").read_bytes()).decode()
        cluster = {"server": self.url, "certificate-authority-data": authority}
        return {"apiVersion": "v1", "kind": "Config", "current-context": "test",
                "clusters": [{"name": "test", "cluster": cluster}],
                "users": [{"name": "test", "user": {"token": TOKEN}}],
                "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test", "namespace": "demo"}}]}
