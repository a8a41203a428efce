"""KServe's agent container, which loads models of a multi-model server, logs requests and batches them.

Source: kserve 0.20 pkg/webhook/admission/pod/agent_injector.go (`InjectAgent`, `getLoggerConfigs`).
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from typing import Any

from kserve_nb.clusters.embedded.apimachinery.objects import Object
from kserve_nb.clusters.embedded.storage_initializer import SERVER, TRANSFORMER
from kserve_nb.values.labels import INFERENCE_SERVICE_LABEL, KSERVE_INTERNAL

NAME, PORT = "agent", 9081
_MODEL_DIR, _CONFIG_DIR = "/mnt/models", "/mnt/configs"


def inject_agent(pod: Object, isvc: Object | None, config: Mapping[str, Any],
                 logger_config: Mapping[str, Any]) -> None:
    """Add the agent to a pod whose annotations request it.

    Args:
        isvc: the pod's InferenceService; its logger overrides `logger_config`.
        config: `agent` of KServe's configuration.
        logger_config: `logger` of KServe's configuration.
    """
    spec, annotations = pod["spec"], pod["metadata"].get("annotations") or {}
    loads, batches, logs = (f"{KSERVE_INTERNAL}{key}" in annotations for key in ("agent", "batcher", "logger"))
    if not (loads or batches or logs) or any(c["name"] == NAME for c in spec["containers"]):
        return
    args = [*(_loader_args(annotations) if loads else ()), *(_batcher_args(annotations) if batches else ()),
            *(_logger_args(pod, _logger_settings(isvc, logger_config)) if logs else ())]
    agent: Object = {
        "name": NAME, "image": config.get("image", ""), "args": [*args, "--component-port", _component_port(spec)],
        "ports": [{"name": "agent-port", "containerPort": PORT, "protocol": "TCP"}],
        "resources": {"limits": {"cpu": config["cpuLimit"], "memory": config["memoryLimit"]},
                      "requests": {"cpu": config["cpuRequest"], "memory": config["memoryRequest"]}},
        "readinessProbe": {"httpGet": {"httpHeaders": [{"name": "K-Network-Probe", "value": "queue"}], "path": "/",
                                       "port": PORT, "scheme": "HTTP"}}}
    if spec["containers"][0].get("securityContext") is not None:
        agent["securityContext"] = copy.deepcopy(spec["containers"][0]["securityContext"])
    environment = _redirect_queue_proxy(spec)
    if environment:
        agent["env"] = environment
    spec["containers"].append(agent)
    if loads:
        _mount_models(spec, agent, annotations)


def _loader_args(annotations: Mapping[str, str]) -> Iterator[str]:
    yield "--enable-puller"
    yield from _pairs(annotations, {"configMountPath": "--config-dir", "modelDir": "--model-dir"})


def _batcher_args(annotations: Mapping[str, str]) -> Iterator[str]:
    yield "--enable-batcher"
    yield from _pairs(annotations, {"batcher-max-batchsize": "--max-batchsize", "batcher-max-latency": "--max-latency"})


def _pairs(annotations: Mapping[str, str], names: Mapping[str, str]) -> Iterator[str]:
    for key, flag in names.items():
        if KSERVE_INTERNAL + key in annotations:
            yield from (flag, annotations[KSERVE_INTERNAL + key])


def _logger_settings(isvc: Object | None, config: Mapping[str, Any]) -> dict[str, Any]:
    logger = ((isvc or {}).get("spec") or {}).get("predictor", {}).get("logger")
    if logger is None:
        return dict(config)
    own = {key: logger[key] for key in ("marshallerUrl", "batchSize", "batchInterval") if logger.get(key)}
    return {**config, "storage": logger.get("storage"), **own}


def _logger_args(pod: Object, settings: Mapping[str, Any]) -> Iterator[str]:
    meta, annotations = pod["metadata"], pod["metadata"]["annotations"]
    labels, storage = meta.get("labels") or {}, settings.get("storage") or {}
    flags = {
        "--log-url": annotations.get(f"{KSERVE_INTERNAL}logger-sink-url", settings.get("defaultUrl", "")),
        "--source-uri": meta.get("name", ""),
        "--log-mode": annotations.get(f"{KSERVE_INTERNAL}logger-mode", "all"),
        "--inference-service": labels.get(INFERENCE_SERVICE_LABEL, ""), "--namespace": meta["namespace"],
        "--endpoint": labels.get("endpoint", ""), "--component": labels.get("component", "")}
    optional = {
        "--log-store-path": storage.get("path"),
        "--log-store-format": (storage.get("parameters") or {}).get("format"),
        "--log-marshaller-url": settings.get("marshallerUrl"), "--log-batch-size": settings.get("batchSize"),
        "--log-batch-interval": settings.get("batchInterval"),
        "--metadata-headers": annotations.get(f"{KSERVE_INTERNAL}logger-metadata-headers"),
        "--metadata-annotations": _metadata_annotations(annotations),
        "--logger-ca-cert-file": settings.get("caCertFile")}
    flags |= {flag: str(value) for flag, value in optional.items() if value is not None and value != ""}
    for flag, value in flags.items():
        yield from (flag, value)
    yield from ("--logger-tls-skip-verify", "true" if settings.get("tlsSkipVerify") else "false")


def _metadata_annotations(annotations: Mapping[str, str]) -> str | None:
    keys = annotations.get(f"{KSERVE_INTERNAL}logger-metadata-annotations")
    if keys is None:
        return None
    return ",".join(f"{key}={annotations[key]}" for key in keys.split(",") if key in annotations)


def _component_port(spec: Object) -> str:
    """The port of the container that the agent forwards to: a transformer's, else the model server's."""
    by_name = {container["name"]: container for container in spec["containers"]}
    container = by_name.get(TRANSFORMER) or by_name.get(SERVER) or {}
    ports = container.get("ports") or [{"containerPort": 8080}]
    return str(ports[0]["containerPort"])


def _redirect_queue_proxy(spec: Object) -> list[Object]:
    """Let queue-proxy forward to the agent. Returns the environment that queue-proxy had, which the agent gets."""
    for container in spec["containers"]:
        if container["name"] == "queue-proxy":
            before: list[Object] = copy.deepcopy(container.get("env") or [])
            for variable in container.get("env") or []:
                if variable["name"] == "USER_PORT":
                    variable["value"] = str(PORT)
            return before
    return []


def _mount_models(spec: Object, agent: Object, annotations: Mapping[str, str]) -> None:
    """Mount the folder of models, and for the agent the list of models (`mountModelDir`, `mountModelConfig`)."""
    volumes = spec.setdefault("volumes", [])
    volumes.append({"name": "model-dir", "emptyDir": {}})
    for container in spec["containers"]:
        if container["name"] in (NAME, SERVER):
            container.setdefault("volumeMounts", []).append({"mountPath": _MODEL_DIR, "name": "model-dir"})
    volumes.append({"name": "model-config", "configMap": {
        "name": annotations[f"{KSERVE_INTERNAL}configVolumeName"]}})
    agent["volumeMounts"].append({"mountPath": _CONFIG_DIR, "name": "model-config"})
