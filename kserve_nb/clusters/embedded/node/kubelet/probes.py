"""The readiness probe of a pod, sent to its model server."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass

import aiohttp

from kserve_nb.clusters.embedded.addresses import connect, socket_path
from kserve_nb.clusters.embedded.apimachinery.objects import Object
from kserve_nb.clusters.embedded.socket_connector import SocketConnector


@dataclass(frozen=True)
class ReadinessProbe:
    """A readiness probe. Its seconds are real at any speed of the cluster, because a server's responses are.

    >>> ReadinessProbe(path="/v1/models/iris", period_s=5)
    ReadinessProbe(path='/v1/models/iris', headers=(), period_s=5, timeout_s=1, failures=3)
    """

    path: str | None = None  # None for a probe that only opens a connection
    headers: tuple[tuple[str, str], ...] = ()
    period_s: float = 10
    timeout_s: float = 1
    failures: int = 3  # so many in a row make the container not ready


def probe_of(pod: Object) -> ReadinessProbe:
    """Return the probe of a pod's server: the one that Knative gives to its queue-proxy, or else the container's."""
    specs = pod["spec"]["containers"]
    given = next((e.get("value") for c in specs for e in c.get("env", [])
                  if e["name"] == "SERVING_READINESS_PROBE"), None)
    own: Object = next((c["readinessProbe"] for c in specs if "readinessProbe" in c), {})
    spec = json.loads(given) if given else own
    http = spec.get("httpGet")
    return ReadinessProbe(
        http.get("path", "/") if http else None,
        tuple((h["name"], h["value"]) for h in http.get("httpHeaders", [])) if http else (),
        own.get("periodSeconds", 10), own.get("timeoutSeconds", 1), own.get("failureThreshold", 3))


async def run_probe(probe: ReadinessProbe, address: str, shown: str) -> str:
    """Probe the server at `address` once. Returns an empty string, or a kubelet's message if the probe failed.

    `shown` is the address in the pod network, for the message.
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
