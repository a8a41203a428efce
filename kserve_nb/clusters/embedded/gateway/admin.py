"""Envoy's admin interface: statistics, and which configuration it has taken."""

from __future__ import annotations

import asyncio
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

import aiohttp

from kserve_nb.clusters.embedded.socket_connector import SocketConnector

Discovery = Literal["clusters", "routes"]
_SCOPES: dict[Discovery, str] = {"clusters": "cluster_manager.cds", "routes": "http.ingress.rds.routes"}
ANSWER_WITHIN_S = 3.0


class SilentError(Exception):
    """Envoy does not answer, or has not looked at a configuration in time."""


class RejectedError(Exception):
    """Envoy has refused a configuration and goes on with the one before."""


class Admin:
    """A client of the admin interface, as an asynchronous context. `socket` is the file that Envoy listens on."""

    def __init__(self, socket: Path):
        self._url = "http://envoy/stats"
        self._session = aiohttp.ClientSession(
            trust_env=False, connector=SocketConnector(str(socket)),
            timeout=aiohttp.ClientTimeout(total=ANSWER_WITHIN_S))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None,
                        trace: TracebackType | None) -> None:
        await self._session.close()

    async def stats(self, pattern: str) -> dict[str, int | str]:
        """The statistics whose names match a regular expression. Raises SilentError."""
        try:
            async with self._session.get(self._url, params={"format": "json", "filter": pattern}) as response:
                found = (await response.json(content_type=None))["stats"]
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            raise SilentError(f"Envoy does not answer at {self._url}: {error!r}") from error
        return {stat["name"]: stat["value"] for stat in found if "name" in stat}

    async def rejections(self, what: Discovery) -> int:
        """How many configurations of that sort Envoy has refused since it started."""
        name = f"{_SCOPES[what]}.update_rejected"
        return int((await self.stats(f"^{name}$".replace(".", r"\."))).get(name, 0))

    async def acknowledged(self, what: Discovery, version: str, rejections: int) -> None:
        """Return once Envoy uses that version. Raises RejectedError where it counts more `rejections`, SilentError."""
        scope = _SCOPES[what].replace(".", r"\.")
        pause_s, deadline = 0.001, asyncio.get_running_loop().time() + ANSWER_WITHIN_S
        while True:
            stats = await self.stats(rf"^{scope}\.(version_text|update_rejected)$")
            if stats.get(f"{_SCOPES[what]}.version_text") == version:
                return
            if int(stats.get(f"{_SCOPES[what]}.update_rejected", 0)) > rejections:
                raise RejectedError(f"Envoy has refused the {what} {version} and keeps those before: its log says why")
            if asyncio.get_running_loop().time() > deadline:
                raise SilentError(f"Envoy has not taken the {what} {version} within {ANSWER_WITHIN_S:g} s")
            await asyncio.sleep(pause_s)
            pause_s = min(pause_s * 1.5, 0.1)
