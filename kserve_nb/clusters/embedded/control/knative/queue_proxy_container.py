"""The queue-proxy container that Knative adds to a revision's pods.

Source: knative serving pkg/reconciler/revision/resources/queue.go `makeQueueContainer`.
"""

from __future__ import annotations

import copy
import json
from typing import Any

from kserve_nb.clusters.embedded.apimachinery.objects import Object
from kserve_nb.values.labels import SERVICE_LABEL

NAME = "queue-proxy"
IMAGE = "gcr.io/knative-releases/knative.dev/serving/cmd/queue:v1.21.3"
HTTP_PORT, HTTP2_PORT, HTTPS_PORT, ADMIN_PORT = 8012, 8013, 8112, 8022
DEFAULT_USER_PORT = 8080

# Knative's default config-observability: no tracing, no metrics, the default template of request logs.
_REQUEST_LOG = (
    '{"httpRequest": {"requestMethod": "{{.Request.Method}}", "requestUrl": "{{js .Request.RequestURI}}", '
    '"requestSize": "{{.Request.ContentLength}}", "status": {{.Response.Code}}, "responseSize": "{{.Response.Size}}", '
    '"userAgent": "{{js .Request.UserAgent}}", "remoteIp": "{{js .Request.RemoteAddr}}", '
    '"serverIp": "{{.Revision.PodIP}}", "referer": "{{js .Request.Referer}}", "latency": "{{.Response.Latency}}s", '
    '"protocol": "{{.Request.Proto}}"}, "traceId": "{{.TraceID}}"}'
)
_OBSERVABILITY = {
    "tracing": {"protocol": "none"}, "metrics": {"protocol": "none"},
    "runtime": {"profiling": "disabled", "exportInterval": 15_000_000_000},
    "requestMetrics": {"protocol": "none"}, "requestLogTemplate": _REQUEST_LOG,
}
_PROBE_DEFAULTS = {"failureThreshold": 3, "periodSeconds": 10, "successThreshold": 1, "timeoutSeconds": 1}
_PROBE_ORDER = ("exec", "httpGet", "tcpSocket", "grpc", "initialDelaySeconds", "timeoutSeconds", "periodSeconds",
                "successThreshold", "failureThreshold", "terminationGracePeriodSeconds")
_HANDLERS = ("exec", "httpGet", "tcpSocket", "grpc")


def queue_container(revision: Object) -> Object:
    """The queue-proxy of a revision's pods, with the API server's defaults."""
    serving = serving_container(revision["spec"]["containers"])
    port = HTTP2_PORT if protocol(revision) == "h2c" else HTTP_PORT
    container = {
        "env": _environment(revision, serving, port),
        "image": IMAGE,
        "imagePullPolicy": "IfNotPresent",
        "name": NAME,
        "ports": [
            _port(9090, "http-autometric"), _port(9091, "http-usermetric"),
            _port(port, "queue-port"), _port(HTTPS_PORT, "https-port")],
        "resources": {"requests": {"cpu": "25m"}},
        "securityContext": {
            "allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}, "readOnlyRootFilesystem": True,
            "runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
        "terminationMessagePath": "/dev/termination-log",
        "terminationMessagePolicy": "File",
    }
    if "readinessProbe" in serving:
        container["readinessProbe"] = _queue_probe(serving["readinessProbe"], port)
    return container


def serving_container(containers: list[Object]) -> Object:
    """The container that serves requests: the one with ports, or the only one (`RevisionSpec.GetContainer`)."""
    if len(containers) == 1:
        return containers[0]
    return next((c for c in containers if c.get("ports")), {})


def user_port(container: Object) -> int:
    """The port that the serving container listens on (`getUserPort`)."""
    ports = container.get("ports") or [{}]
    return int(ports[0].get("containerPort") or DEFAULT_USER_PORT)


def protocol(revision: Object) -> str:
    """`h2c` if the serving port has that name or `http2`, else `http1` (`Revision.GetProtocol`)."""
    ports = serving_container(revision["spec"]["containers"]).get("ports") or [{}]
    return "h2c" if ports[0].get("name") in ("h2c", "http2") else "http1"


def _environment(revision: Object, serving: Object, port: int) -> list[Object]:
    meta, spec = revision["metadata"], revision["spec"]
    owners = meta.get("ownerReferences", [])
    configuration = next((o["name"] for o in owners if o.get("controller") and o["kind"] == "Configuration"), "")
    full_duplex = meta.get("annotations", {}).get("features.knative.dev/http-full-duplex", "").lower() == "enabled"
    return [
        _value("SERVING_NAMESPACE", meta["namespace"]),
        _value("SERVING_SERVICE", meta.get("labels", {}).get(SERVICE_LABEL, "")),
        _value("SERVING_CONFIGURATION", configuration),
        _value("SERVING_REVISION", meta["name"]),
        _value("QUEUE_SERVING_PORT", port),
        _value("QUEUE_SERVING_TLS_PORT", HTTPS_PORT),
        _value("CONTAINER_CONCURRENCY", spec.get("containerConcurrency") or 0),
        _value("REVISION_TIMEOUT_SECONDS", spec.get("timeoutSeconds") or 0),
        _value("REVISION_RESPONSE_START_TIMEOUT_SECONDS", spec.get("responseStartTimeoutSeconds") or 0),
        _value("REVISION_IDLE_TIMEOUT_SECONDS", spec.get("idleTimeoutSeconds") or 0),
        _field("SERVING_POD", "metadata.name"),
        _field("SERVING_POD_IP", "status.podIP"),
        _value("SERVING_LOGGING_CONFIG", ""),
        _value("SERVING_LOGGING_LEVEL", ""),
        _value("USER_PORT", user_port(serving)),
        _value("SYSTEM_NAMESPACE", "knative-serving"),
        _value("SERVING_READINESS_PROBE", _encoded_probe(serving)),
        _field("HOST_IP", "status.hostIP"),
        _value("ENABLE_HTTP2_AUTO_DETECTION", "false"),
        _value("ENABLE_HTTP_FULL_DUPLEX", "true" if full_duplex else "false"),
        *(_value(name, "") for name in (
            "ROOT_CA", "QUEUE_PROXY_TLS_MIN_VERSION", "QUEUE_PROXY_TLS_MAX_VERSION", "QUEUE_PROXY_TLS_CIPHER_SUITES",
            "QUEUE_PROXY_TLS_CURVE_PREFERENCES")),
        _value("ENABLE_MULTI_CONTAINER_PROBES", "false"),
        _value("OBSERVABILITY_CONFIG", json.dumps(_OBSERVABILITY, separators=(",", ":"))),
    ]


def _value(name: str, value: object) -> Object:
    return {"name": name, "value": str(value)} if value != "" else {"name": name}


def _field(name: str, path: str) -> Object:
    return {"name": name, "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": path}}}


def _port(number: int, name: str) -> Object:
    return {"containerPort": number, "name": name, "protocol": "TCP"}


def _queue_probe(probe: Object, port: int) -> Object:
    kept = {key: value for key, value in probe.items() if key not in _HANDLERS}
    headers = [{"name": "K-Network-Probe", "value": "queue"}]
    http_get = {"httpHeaders": headers, "path": "/", "port": port, "scheme": "HTTP"}
    return {**_PROBE_DEFAULTS, **kept, "httpGet": http_get}


def _encoded_probe(serving: Object) -> str:
    """The serving container's probe, which queue-proxy runs, as JSON in the field order of Go.

    Source: `applyReadinessProbeDefaults`, `EncodeSingleProbe`.
    """
    if "readinessProbe" not in serving:
        return ""
    probe: dict[str, Any] = copy.deepcopy(serving["readinessProbe"])
    port = user_port(serving)
    if "httpGet" in probe:
        given = probe["httpGet"]
        ordered = {"path": given.get("path"), "port": given.get("port") or port, "host": "127.0.0.1",
                   "scheme": given.get("scheme") or "HTTP", "httpHeaders": given.get("httpHeaders")}
        probe["httpGet"] = {key: value for key, value in ordered.items() if value is not None}
    elif "grpc" in probe:
        probe["grpc"]["port"] = probe["grpc"].get("port") or port
    else:  # queue-proxy cannot run a command in the other container, so it probes the port
        probe.pop("exec", None)
        probe["tcpSocket"] = {"port": (probe.get("tcpSocket") or {}).get("port") or port, "host": "127.0.0.1"}
    if probe.get("periodSeconds") and not probe.get("timeoutSeconds"):
        probe["timeoutSeconds"] = 1
    return json.dumps({key: probe[key] for key in _PROBE_ORDER if key in probe}, separators=(",", ":"))
