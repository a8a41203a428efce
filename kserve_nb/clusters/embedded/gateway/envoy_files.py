"""Writes Envoy's clusters and routes in an order in which no request finds a route without its cluster.

The order: new clusters, a wait until Envoy uses them, the routes, and 100 ms later the removal of clusters that no
route names any more. Envoy does not order changes of two files itself, so requests failed in any other order.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import orjson

from kserve_nb.clusters.embedded.apimachinery.objects import Object
from kserve_nb.clusters.embedded.gateway.envoy_admin import ConfigurationRejectedError, Discovery, EnvoyAdmin
from kserve_nb.clusters.embedded.gateway.envoy_bootstrap import replace
from kserve_nb.clusters.embedded.gateway.envoy_routes import (
    CLUSTERS_FILE,
    ROUTES_FILE,
    EnvoyConfig,
    clusters_document,
    clusters_of,
    routes_document,
)

REMOVE_AFTER_S = 0.1
_FILES: dict[Discovery, str] = {"clusters": CLUSTERS_FILE, "routes": ROUTES_FILE}


class EnvoyFiles:
    """The files from which Envoy reads its clusters and routes, and the versions that Envoy is known to use."""

    def __init__(self, folder: Path, admin: EnvoyAdmin, clock: Callable[[], float] = time.monotonic):
        self._folder, self._admin, self._clock = folder, admin, clock
        self._documents: dict[Discovery, Object] = {
            what: orjson.loads((folder / name).read_bytes()) for what, name in _FILES.items()}
        self._used: dict[Discovery, str] = {}
        self._rejections: dict[Discovery, int] = {}  # the count at the last change that Envoy has loaded
        self._unused_since: dict[str, float] = {}  # clusters that neither the routes nor the objects name

    async def apply(self, wanted: EnvoyConfig) -> bool:
        """Configure Envoy. True if unused clusters are left, to be removed by a call after `REMOVE_AFTER_S`.

        Raises ConfigurationRejectedError, after which the files contain what Envoy uses, and EnvoyUnavailableError.
        """
        kept = self._kept_clusters(wanted)
        await self._put("clusters", clusters_document(dict(sorted({**kept, **wanted.clusters}.items()))))
        await self._put("routes", routes_document(wanted.virtual_hosts))
        unused = kept.keys() - clusters_of(self._documents["routes"])
        self._unused_since = {name: self._unused_since.get(name, self._clock()) for name in unused}
        return bool(unused)

    def _kept_clusters(self, wanted: EnvoyConfig) -> dict[str, Object]:
        """Clusters that are no longer wanted but stay for now, because requests to them may be in flight."""
        due = self._clock() - REMOVE_AFTER_S
        return {cluster["name"]: cluster for cluster in self._documents["clusters"]["resources"]
                if cluster["name"] not in wanted.clusters and self._unused_since.get(cluster["name"], due + 1) > due}

    async def _put(self, what: Discovery, document: Object) -> None:
        version = document["version_info"]
        if self._used.get(what) == version:
            return
        rejections = self._rejections.pop(what, None)  # known after a success, which saves a request
        if rejections is None:
            rejections = await self._admin.rejections(what)
        before = self._documents[what]
        self._write(what, document)
        try:
            self._rejections[what] = await self._admin.wait_until_used(what, version, rejections)
        except ConfigurationRejectedError:
            self._write(what, before)  # a restarted Envoy must find the configuration that it used before
            raise
        self._used[what] = version

    def _write(self, what: Discovery, document: Object) -> None:
        if document["version_info"] != self._documents[what]["version_info"]:
            replace(self._folder / _FILES[what], document)
            self._documents[what] = document
