"""TCP ports of 127.0.0.1: which are free, and whether a certain one is."""

from __future__ import annotations

import secrets
import socket
import zlib

from kserve_nb.clusters.state import ClusterError

_RANGE = range(20000, 32000)  # below the ports that Linux and macOS give to outgoing connections


def free_ports(count: int, name: str | None = None) -> list[int]:
    """That many different ports of 127.0.0.1 on which nothing listens.

    Args:
        count: how many.
        name: the search starts at a port that depends on this name, so that a cluster that is deleted and started
            again has the same ports if they are free. None for a random port.
    """
    found: list[int] = []
    offset = (secrets.randbelow(len(_RANGE)) if name is None else zlib.crc32(name.encode())) % len(_RANGE)
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
