"""The order in which Envoy is told of a change, so that no request ever finds a route without its cluster.

New clusters, wait until Envoy has them, then the routes, and the clusters that nobody names any more 100 ms later:
in any other order requests were seen to fail, because nothing else orders two files.
"""

from __future__ import annotations

import time
from pathlib import Path

import orjson

from kserve_nb.clusters.embedded.gateway.admin import Admin, Discovery, RejectedError
from kserve_nb.clusters.embedded.gateway.envoy_bootstrap import replace
from kserve_nb.clusters.embedded.gateway.routes import (
    CLUSTERS_FILE,
    ROUTES_FILE,
    Routing,
    clusters_document,
    clusters_of,
    routes_document,
)
from kserve_nb.clusters.embedded.objects import Object

DROP_AFTER_S = 0.1
_FILES: dict[Discovery, str] = {"clusters": CLUSTERS_FILE, "routes": ROUTES_FILE}


class Files:
    """The files that Envoy reads its clusters and routes from, and what of them it has acknowledged."""

    def __init__(self, folder: Path, admin: Admin):
        self._folder, self._admin = folder, admin
        self._documents: dict[Discovery, Object] = {
            what: orjson.loads((folder / name).read_bytes()) for what, name in _FILES.items()}
        self._acknowledged: dict[Discovery, str] = {}
        self._idle_since: dict[str, float] = {}  # clusters that neither the routes nor the objects name

    async def apply(self, wanted: Routing) -> bool:
        """Bring Envoy there. True where a cluster is left to be dropped by another call, after `DROP_AFTER_S`.

        Raises RejectedError, after which the files hold what Envoy uses, and SilentError.
        """
        kept = self._kept(wanted)
        await self._put("clusters", clusters_document(dict(sorted({**kept, **wanted.clusters}.items()))))
        await self._put("routes", routes_document(wanted.virtual_hosts))
        unnamed = kept.keys() - clusters_of(self._documents["routes"])
        self._idle_since = {name: self._idle_since.get(name, time.monotonic()) for name in unnamed}
        return bool(unnamed)

    def _kept(self, wanted: Routing) -> dict[str, Object]:
        """Clusters that Envoy has, that nobody wants any more, and that requests may still be on their way to."""
        due = time.monotonic() - DROP_AFTER_S
        return {cluster["name"]: cluster for cluster in self._documents["clusters"]["resources"]
                if cluster["name"] not in wanted.clusters and self._idle_since.get(cluster["name"], due + 1) > due}

    async def _put(self, what: Discovery, document: Object) -> None:
        version = document["version_info"]
        if self._acknowledged.get(what) == version:
            return
        rejections = await self._admin.rejections(what)
        before = self._documents[what]
        self._write(what, document)
        try:
            await self._admin.acknowledged(what, version, rejections)
        except RejectedError:
            self._write(what, before)  # an Envoy that is started again must find what it had
            raise
        self._acknowledged[what] = version

    def _write(self, what: Discovery, document: Object) -> None:
        if document["version_info"] != self._documents[what]["version_info"]:
            replace(self._folder / _FILES[what], document)
            self._documents[what] = document
