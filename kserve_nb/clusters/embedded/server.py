"""The server process of an embedded cluster: API server, reconcilers, kubelet and gateway controller.

    python -m kserve_nb.clusters.embedded.server NAME LISTENING_FD

The supervisor starts it. The parts do not call each other: they exchange objects through the store.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import signal
import socket
import ssl
import sys
from pathlib import Path

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from kserve_nb.clusters import state
from kserve_nb.clusters.embedded import control, unreadable_objects
from kserve_nb.clusters.embedded.api.admission.chain import admit
from kserve_nb.clusters.embedded.api.initial_objects import populate
from kserve_nb.clusters.embedded.api.store.database import StoreError
from kserve_nb.clusters.embedded.api.store.store import Store
from kserve_nb.clusters.embedded.api.verbs.app import make_app
from kserve_nb.clusters.embedded.apimachinery.objects import Settings
from kserve_nb.clusters.embedded.cluster_settings import settings_of
from kserve_nb.clusters.embedded.control.framework.control_loop import ControlLoop
from kserve_nb.clusters.embedded.control.framework.event_recorder import record as record_event
from kserve_nb.clusters.embedded.gateway.ingress_controller import Gateway
from kserve_nb.clusters.embedded.node.kubelet.agent import Kubelet
from kserve_nb.clusters.embedded.node.protocol import RUNTIME_SOCKET
from kserve_nb.clusters.state import Record

SOCKETS = Path()  # the supervisor starts this process in the folder of the socket files


def note_use(folder: Path, every_s: float) -> Middleware:
    """A middleware that updates the time of the cluster's last use: a cluster without requests stops after a while.

    The time is that of the file `used` in the state folder. It is updated at most every `every_s` seconds.
    """
    last = 0.0

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        nonlocal last
        now = asyncio.get_running_loop().time()
        if now - last > every_s:
            last = now
            with contextlib.suppress(OSError):  # the disk is full: answer the request anyway
                (folder / "used").touch()
        return await handler(request)

    return middleware


async def serve_api(store: Store, settings: Settings, record: Record, folder: Path, listener: socket.socket) -> None:
    """Serve the API on the listening socket that the supervisor holds."""
    app = make_app(store, settings, token=record.token)
    app.middlewares.insert(0, note_use(folder, min(60, record.idle_s / 4)))
    # handler_cancellation: a watch ends when its client has gone, not at its next event.
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1, handler_cancellation=True)
    await runner.setup()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(folder / "tls.crt", folder / "tls.key")
    await web.SockSite(runner, listener, ssl_context=context).start()
    try:
        await asyncio.Event().wait()
    finally:
        await runner.cleanup()


async def run(name: str, listener: socket.socket) -> None:
    """Run all parts until SIGTERM; a part that fails ends the process, and the supervisor starts it again."""
    record, folder = state.read(name), state.folder(name)
    assert record is not None
    settings = settings_of(record)
    store = Store(folder / "store.db", admission=admit)
    with contextlib.suppress(OSError):  # the disk is full: they are in the log
        unreadable_objects.write(folder, store.unreadable)
    populate(store, settings)
    loop = ControlLoop(store, settings, control.reconcilers(), record_event)
    kubelet = Kubelet(store.as_manager("kubelet"), settings, folder, SOCKETS / RUNTIME_SOCKET)
    ingress = "kourier" if settings.gateway == "kourier" else "controller"
    gateway = Gateway(store.as_manager(ingress), settings, folder / "envoy", SOCKETS)
    gc.collect()
    gc.freeze()  # these objects stay: later garbage collections do not have to visit them
    async with asyncio.TaskGroup() as group:
        task = group.create_task(serve_api(store, settings, record, folder, listener))
        for part in (loop, kubelet, gateway):
            group.create_task(part.run())
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, _cancel, group, task)


def _cancel(group: asyncio.TaskGroup, *_: object) -> None:
    for task in asyncio.all_tasks():
        task.cancel()


def main() -> None:
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(levelname)s %(message)s")
    try:
        asyncio.run(run(sys.argv[1], socket.socket(fileno=int(sys.argv[2]))))
    except asyncio.CancelledError:
        pass
    except StoreError as error:
        sys.exit(str(error))  # the last line of the log, which `kserve-nb up` and `status` show


if __name__ == "__main__":
    main()
