"""TCP ports of 127.0.0.1: which are free, and whether a certain one is."""

from __future__ import annotations

import secrets
import socket

from kserve_nb.clusters.state import ClusterError

_RANGE = range(20000, 32000)  # below the ports that Linux and macOS give to outgoing connections


def free_ports(count: int) -> list[int]:
    """That many different ports of 127.0.0.1 on which nothing listens."""
    found: list[int] = []
    offset = secrets.randbelow(len(_RANGE))
    for step in range(len(_RANGE)):
        port = _RANGE[(offset + step * 7) % len(_RANGE)]
        if not unavailable(port):
            found.append(port)
        if len(found) == count:
            return found
    raise ClusterError(f"Cannot find {count} free ports between {_RANGE.start} and {_RANGE.stop} on 127.0.0.1. "
                       "Close programs that listen on ports of that range.")


def unavailable(port: int) -> str:
    """Why no server can listen on this port of 127.0.0.1; empty if one can."""
    try:
        with socket.create_server(("127.0.0.1", port)):
            return ""
    except OSError as error:
        return error.strerror or str(error)
