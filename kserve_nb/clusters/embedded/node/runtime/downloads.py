"""Downloads over HTTP for the storage-initializer, within limits of address, size and time."""

from __future__ import annotations

import ipaddress
import os
import socket
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urljoin, urlparse

import requests

LOCAL_URLS = "KSERVE_NB_LOCAL_URLS"  # an environment variable of `kserve-nb up`; `allow` permits URLs of this machine
RESPONSE_S = 60  # how long a server may take to respond
TOTAL_S = 600.0
MAX_BYTES = 4 << 30
MAX_REDIRECTS = 5
CHUNK = 1 << 20


class DownloadError(Exception):
    """A download was refused or has failed; the message says why."""


def fetch(uri: str, check: Callable[[requests.Response], None], file: Path) -> None:
    """Download a URI to a file. `check` raises if the response is not the expected one. Raises DownloadError."""
    deadline = time.monotonic() + TOTAL_S
    with _open(uri) as response:
        check(response)
        size = 0
        with file.open("wb") as output:
            for chunk in response.iter_content(CHUNK):
                size += len(chunk)
                if size > MAX_BYTES:
                    limit = f"{MAX_BYTES >> 30} GiB"
                    raise DownloadError(f"{uri} is larger than the limit of an embedded cluster, {limit}.")
                if time.monotonic() > deadline:
                    raise DownloadError(f"{uri} was not downloaded within the limit of an embedded cluster, "
                                        f"{TOTAL_S:.0f} s.")
                output.write(chunk)


def _open(uri: str) -> requests.Response:
    """Send the request and follow redirects; each address on the way must be permitted."""
    url = uri
    for _ in range(MAX_REDIRECTS + 1):
        host = urlparse(url).hostname or ""
        addresses = _addresses(host)
        _check_permitted(uri, url, addresses)
        session = requests.Session()
        session.trust_env = not any(address.is_loopback for address in addresses)  # a proxy cannot reach this machine
        response = session.get(url, stream=True, timeout=RESPONSE_S, allow_redirects=False)
        if not response.is_redirect:
            return response
        url = urljoin(url, response.headers["Location"])
        response.close()
        if urlparse(url).scheme not in ("http", "https"):
            raise DownloadError(f"{uri} redirects to {url}, which is not an http or https address.")
    raise DownloadError(f"{uri} redirects more than {MAX_REDIRECTS} times.")


def _addresses(host: str) -> list[ipaddress.IPv4Address | ipaddress.IPv6Address]:
    """Resolve a host name. Empty if it cannot be resolved here: a proxy may be able to."""
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return []
    addresses = [ipaddress.ip_address(str(row[4][0]).partition("%")[0]) for row in found]
    return [getattr(address, "ipv4_mapped", None) or address for address in addresses]


def _check_permitted(uri: str, url: str, addresses: list[ipaddress.IPv4Address | ipaddress.IPv6Address]) -> None:
    """Refuse servers of this machine and of its network card's own range: a pasted manifest could read from them."""
    if os.environ.get(LOCAL_URLS) == "allow":
        return
    for address in addresses:
        if address.is_loopback or address.is_link_local or address.is_unspecified or address.is_multicast:
            via = "" if url == uri else f" by a redirect to {url}"
            raise DownloadError(
                f"{uri} leads to {address}{via}, an address of this machine or its local link, from which an embedded "
                f"cluster reads no models. Use file:// or pvc://, or start the cluster with {LOCAL_URLS}=allow")
