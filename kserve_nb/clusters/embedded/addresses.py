"""Addresses of servers inside the embedded cluster: `unix:PATH` for a socket file, `HOST:PORT` for a TCP port.

Nothing inside the cluster listens on a TCP port except the ingress gateway and the API server: every user of the
machine, and every page in a browser, can connect to a port of 127.0.0.1. A socket file is open to its owner alone.
Paths may be relative to the folder that the cluster's processes run in, since the path of a socket is limited to about
100 bytes.
"""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path

_PREFIX = "unix:"
# The names of the API server: in its certificate, and in the Host header of each request.
API_SERVER_NAMES = ("localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc")
API_SERVER_IP = "127.0.0.1"
FULL_S = 0.02  # how long to wait while the queue of a listening socket is full


def of_socket(path: Path) -> str:
    """Return the address of a socket file."""
    return f"{_PREFIX}{path}"


def socket_path(address: str) -> str | None:
    """Return the path of the socket file, or None if the address is a TCP port."""
    return address.removeprefix(_PREFIX) if address.startswith(_PREFIX) else None


async def connect(address: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Open a connection to the server at the address. Raises OSError."""
    path = socket_path(address)
    if path is not None:
        return await asyncio.open_unix_connection(sock=await open_socket(path))
    host, _, port = address.rpartition(":")
    return await asyncio.open_connection(host, int(port))


async def open_socket(path: str) -> socket.socket:
    """Connect to a socket file, and wait while its queue of connections is full. Raises OSError.

    The kernel refuses a connection to a full queue with EAGAIN, which asyncio takes for a connection under way.
    """
    while True:
        connecting = socket.socket(socket.AF_UNIX)
        try:
            connecting.setblocking(False)
            connecting.connect(path)
            return connecting
        except BlockingIOError:
            connecting.close()
            await asyncio.sleep(FULL_S)
        except OSError:
            connecting.close()
            raise
