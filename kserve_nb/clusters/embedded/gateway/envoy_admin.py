"""A client of Envoy's admin interface: statistics, and which configuration Envoy uses."""

from __future__ import annotations

import asyncio
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

import aiohttp

from kserve_nb.clusters.embedded.socket_connector import SocketConnector

Discovery = Literal["clusters", "routes"]
_SCOPES: dict[Discovery, str] = {"clusters": "cluster_manager.cds", "routes": "http.ingress.rds.routes"}
TIMEOUT_S = 3.0


class EnvoyUnavailableError(Exception):
    """Envoy does not respond, or has not loaded a configuration in time."""


class ConfigurationRejectedError(Exception):
    """Envoy has rejected a configuration and keeps using the previous one."""


class EnvoyAdmin:
    """A client of Envoy's admin interface, to be used as an asynchronous context.

    `socket` is the file on which the interface listens.
    """

    def __init__(self, socket: Path):
        self._url = "http://envoy/stats"
        self._session = aiohttp.ClientSession(
            trust_env=False, connector=SocketConnector(str(socket)),
            timeout=aiohttp.ClientTimeout(total=TIMEOUT_S))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None,
                        trace: TracebackType | None) -> None:
        await self._session.close()

    async def stats(self, pattern: str) -> dict[str, int | str]:
        """The statistics whose names match a regular expression. Raises EnvoyUnavailableError."""
        try:
            async with self._session.get(self._url, params={"format": "json", "filter": pattern}) as response:
                found = (await response.json(content_type=None))["stats"]
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            raise EnvoyUnavailableError(f"Envoy does not respond at {self._url}: {error!r}") from error
        return {stat["name"]: stat["value"] for stat in found if "name" in stat}

    async def rejections(self, what: Discovery) -> int:
        """The number of configurations of that sort that Envoy has rejected since it started."""
        name = f"{_SCOPES[what]}.update_rejected"
        return int((await self.stats(f"^{name}$".replace(".", r"\."))).get(name, 0))

    async def wait_until_used(self, what: Discovery, version: str, rejections: int) -> int:
        """Wait until Envoy uses that version of the clusters or routes. Returns the number of rejections by then.

        Args:
            rejections: `rejections(what)` before the version was written; a higher number means that it was rejected.

        Raises ConfigurationRejectedError, EnvoyUnavailableError.
        """
        scope = _SCOPES[what].replace(".", r"\.")
        pause_s, deadline = 0.001, asyncio.get_running_loop().time() + TIMEOUT_S
        while True:
            stats = await self.stats(rf"^{scope}\.(version_text|update_rejected)$")
            rejected = int(stats.get(f"{_SCOPES[what]}.update_rejected", 0))
            if stats.get(f"{_SCOPES[what]}.version_text") == version:
                return rejected
            if rejected > rejections:
                raise ConfigurationRejectedError(
                    f"Envoy has rejected version {version} of its {what} and keeps the previous one. "
                    "The reason is in envoy.log")
            if asyncio.get_running_loop().time() > deadline:
                raise EnvoyUnavailableError(
                    f"Envoy has not loaded version {version} of its {what} within {TIMEOUT_S:g} s")
            await asyncio.sleep(pause_s)
            pause_s = min(pause_s * 1.5, 0.02)
