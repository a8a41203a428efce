"""The readiness probe of a pod, asked of its model server."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass

import aiohttp

from kserve_nb.clusters.embedded.addresses import connect, socket_path
from kserve_nb.clusters.embedded.objects import Object
from kserve_nb.clusters.embedded.socket_connector import SocketConnector


@dataclass(frozen=True)
class Probe:
    """How often to ask, and what. Seconds are real ones at any speed, as the server's answers are."""

    path: str | None = None  # None: that it accepts a connection is enough
    headers: tuple[tuple[str, str], ...] = ()
    period_s: float = 10
    timeout_s: float = 1
    failures: int = 3  # so many in a row make it not ready


def probe_of(pod: Object) -> Probe:
    """The probe of the pod's server: the one that Knative hands to its queue-proxy, or else the container's own."""
    specs = pod["spec"]["containers"]
    handed = next((e.get("value") for c in specs for e in c.get("env", [])
                   if e["name"] == "SERVING_READINESS_PROBE"), None)
    own: Object = next((c["readinessProbe"] for c in specs if "readinessProbe" in c), {})
    spec = json.loads(handed) if handed else own
    http = spec.get("httpGet")
    return Probe(
        http.get("path", "/") if http else None,
        tuple((h["name"], h["value"]) for h in http.get("httpHeaders", [])) if http else (),
        own.get("periodSeconds", 10), own.get("timeoutSeconds", 1), own.get("failureThreshold", 3))


async def ask(probe: Probe, address: str, shown: str) -> str:
    """Probe the server at `address` once. Empty when it succeeded, else why not, in a kubelet's words.

    `shown` is the address in the pod's own network, which the words are about.
    """
    try:
        async with asyncio.timeout(probe.timeout_s):
            if probe.path is None:
                _, writer = await connect(address)
                writer.close()
                return ""
            return await _get(address, f"http://{shown}/{probe.path.lstrip('/')}", dict(probe.headers))
    except TimeoutError:
        return f'Get "http://{shown}/": context deadline exceeded (Client.Timeout exceeded while awaiting headers)'
    except (OSError, aiohttp.ClientError):
        return f'Get "http://{shown}/": dial tcp {shown}: connect: connection refused'


async def _get(address: str, url: str, headers: dict[str, str]) -> str:
    path = socket_path(address)
    async with (aiohttp.ClientSession(headers={"User-Agent": "kube-probe/1.35", **headers},
                                      connector=SocketConnector(path) if path else None) as session,
                session.get(url, allow_redirects=False) as response):
        return "" if 200 <= response.status < 400 else f"HTTP probe failed with statuscode: {response.status}"
