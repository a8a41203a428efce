"""An aiohttp client over a socket file, for requests between the parts of an embedded cluster."""

from __future__ import annotations

import asyncio
from typing import Any

import aiohttp

from kserve_nb.clusters.embedded.addresses import open_socket


class SocketConnector(aiohttp.BaseConnector):
    """Opens a connection to a socket file for each request.

    Unlike aiohttp's own, it waits while the server's queue of connections is full. Connections are not kept, since the
    server may be restarted at any time.
    """

    def __init__(self, path: str):
        super().__init__(force_close=True, limit=0)
        self._path = path

    async def _create_connection(self, req: aiohttp.ClientRequest, *_: Any, **__: Any) -> Any:
        try:
            connected = await open_socket(self._path)
        except OSError as error:
            raise aiohttp.ClientConnectorError(req.connection_key, error) from error
        return (await asyncio.get_running_loop().create_unix_connection(self._factory, sock=connected))[1]
