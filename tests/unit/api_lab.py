"""A Kubernetes API server on a free port, and the real kubectl as its client."""

from __future__ import annotations

import asyncio
import json
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

from aiohttp import web

from kserve_nb.clusters.embedded.api.admission.chain import admit
from kserve_nb.clusters.embedded.api.initial_objects import populate
from kserve_nb.clusters.embedded.api.store.store import Store
from kserve_nb.clusters.embedded.api.store.watch_history import History
from kserve_nb.clusters.embedded.api.verbs.app import make_app
from kserve_nb.clusters.embedded.apimachinery.kinds import NAMESPACE
from kserve_nb.clusters.embedded.apimachinery.objects import Kind, Settings
from kserve_nb.clusters.embedded.certificate import make
from kserve_nb.clusters.embedded.control.framework.control_loop import ControlLoop
from kserve_nb.clusters.embedded.control.framework.event_recorder import record
from kserve_nb.clusters.embedded.control.framework.reconciler import Reconciler

DATA = Path(__file__).parent.parent / "data" / "api"
TOKEN = "secret"


def items(name: str) -> list[dict[str, Any]]:
    """The objects of a real cluster whose canary received 10 % of the traffic."""
    found: list[dict[str, Any]] = json.loads((DATA / f"{name}.json").read_text())
    return found


def new_store(*namespaces: str) -> Store:
    """A store in memory, with admission and the objects of a new cluster, which are created once and then copied."""
    store, template = Store(None, admission=admit), _template()
    template._database._connection.backup(store._database._connection)
    store.version = template.version
    store.history = History(store.version)
    store._load()
    return _with(store, *namespaces)


def _populated() -> Store:
    store = Store(None, admission=admit)
    populate(store, Settings())
    return store


_template = cache(_populated)


def _with(store: Store, *namespaces: str) -> Store:
    for name in namespaces:
        store.create(NAMESPACE, {"metadata": {"name": name}})
    return store


class ApiLab:
    """The server, which runs in a thread until `close`."""

    def __init__(self, folder: Path, *namespaces: str, kinds: Iterable[Kind] = (),
                 reconcilers: Iterable[Reconciler] = ()) -> None:
        self._folder, self._namespaces = folder, namespaces
        self._kinds, self._reconcilers = tuple(kinds), tuple(reconcilers)
        self._loop, self._ready = asyncio.new_event_loop(), threading.Event()
        self._thread = threading.Thread(target=self._loop.run_until_complete, args=(self._serve(),), daemon=True)
        self._thread.start()
        assert self._ready.wait(60), "the API server did not start within 60 s"

    def kubectl(self, *words: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        """Run the real kubectl in the lab's folder."""
        program = Path(sys.executable).with_name("kubectl")
        return subprocess.run([program, *words], cwd=self._folder, capture_output=True, text=True, timeout=60,
                              input=stdin, env={"KUBECONFIG": str(self._folder / "config"), "HOME": str(self._folder)})

    def close(self) -> None:
        """Stop the server."""
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)

    async def _serve(self) -> None:
        self._stop, store = asyncio.Event(), _with(_populated(), *self._namespaces)
        for kind in self._kinds:
            store.kinds.add(kind)
        runner = web.AppRunner(make_app(store, Settings(), token=TOKEN), access_log=None,
                               handler_cancellation=True, shutdown_timeout=0.1)
        controllers = asyncio.ensure_future(ControlLoop(store, Settings(), self._reconcilers, record).run())
        await runner.setup()
        certificate, key = make(self._folder)
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(certificate, key)
        await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
        self._write_config(runner.addresses[0][1], certificate)
        self._ready.set()
        await self._stop.wait()
        controllers.cancel()
        await asyncio.wait([controllers])
        await runner.cleanup()

    def _write_config(self, port: int, certificate: Path) -> None:
        (self._folder / "config").write_text(json.dumps({
            "apiVersion": "v1", "kind": "Config", "current-context": "lab",
            "clusters": [{"name": "lab", "cluster": {"server": f"https://127.0.0.1:{port}",
                                                     "certificate-authority": str(certificate)}}],
            "users": [{"name": "lab", "user": {"token": TOKEN}}],
            "contexts": [{"name": "lab", "context": {"cluster": "lab", "user": "lab", "namespace": "kserve-test"}}]}))
