"""Knative's rules for the containers of a revision: image, ports, probes, environment, security context.

Source: knative serving 1.21 pkg/apis/serving/{k8s_validation,fieldmask}.go.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

from kserve_nb.clusters.embedded.api.admission.knative.field_problems import (
    Problem,
    disallowed,
    invalid_value,
    missing,
    one_of,
    out_of_bounds,
    via,
)
from kserve_nb.clusters.embedded.api.admission.knative.knative_config import Features
from kserve_nb.clusters.embedded.api.admission.knative.knative_volumes import mount_problems
from kserve_nb.clusters.embedded.apimachinery.objects import Object

_RESERVED_NAME = "queue-proxy"
_RESERVED_VARIABLES = ("PORT", "K_SERVICE", "K_CONFIGURATION", "K_REVISION")
_RESERVED_PORTS = (8012, 8013, 8022, 8008, 9090, 9091)
_PORT_NAMES = ("h2c", "http1", "")
_HANDLERS = ("httpGet", "tcpSocket", "exec", "grpc")
_NOT_IN_INIT = ("livenessProbe", "readinessProbe", "startupProbe", "lifecycle")
_MOST = 2**31 - 1
_DEFAULT_PORT_NAME = "http"

# The grammar of image references (go-containerregistry pkg/name, which reads like the Docker CLI).
_REPOSITORY = re.compile(r"[a-z0-9_./-]{2,255}")
_TAG, _DIGEST = re.compile(r"[\w.-]{1,128}", re.ASCII), re.compile(r"sha256:[0-9a-f]{64}")


def serving_problems(container: Object, containers: list[Object], volumes: dict[Any, Object],
                     features: Features) -> Iterator[Problem]:
    """The problems of the container that serves requests (`ValidateUserContainer`)."""
    port_name = _serving_port_name(containers)
    yield from via("livenessProbe", _probe_problems(container.get("livenessProbe"), port_name))
    yield from via("readinessProbe", _readiness_problems(container.get("readinessProbe"), port_name))
    yield from _problems(container, volumes, features, _RESERVED_VARIABLES)
    yield from via("ports", _port_problems(container.get("ports") or []))


def sidecar_problems(container: Object, volumes: dict[Any, Object], features: Features) -> Iterator[Problem]:
    """The problems of a container that serves no requests (`validateSidecarContainer`)."""
    if features.enabled("multi-container-probing"):
        yield from via("livenessProbe", _probe_problems(container.get("livenessProbe"), None))
        yield from via("readinessProbe", _readiness_problems(container.get("readinessProbe"), None))
    else:
        for name in ("livenessProbe", "readinessProbe"):
            yield from via(name, disallowed(
                *("" if field in _HANDLERS else field for field in container.get(name) or {})))
    yield from _problems(container, volumes, features, _RESERVED_VARIABLES[1:])


def init_problems(container: Object, volumes: dict[Any, Object], features: Features) -> Iterator[Problem]:
    """The problems of an init container (`validateInitContainer`)."""
    yield from (Problem("field not allowed in an init container", field)
                for field in _NOT_IN_INIT if container.get(field) is not None)
    yield from _problems(container, volumes, features, _RESERVED_VARIABLES[1:])
    for port in container.get("ports") or []:
        yield from via("ports", _basic_port_problems(port))


def port_count_problems(containers: list[Object]) -> Iterator[Problem]:
    """The problem of no port, or of several, in all containers together (`validateContainersPorts`)."""
    count = sum(len(container.get("ports") or []) for container in containers)
    if not count and len(containers) > 1:
        yield from missing("ports")
    if count > 1:
        yield Problem("more than one container port is set", "ports",
                      "Only a single port is allowed across all containers")


def _serving_port_name(containers: list[Object]) -> str:
    ports = [container["ports"][0] for container in containers if container.get("ports")]
    return str((ports[-1].get("name") if ports else None) or _DEFAULT_PORT_NAME)


def _problems(container: Object, volumes: dict[Any, Object], features: Features,
              reserved: Iterable[str]) -> Iterator[Problem]:
    """The problems that every container can have (`validate`)."""
    if container.get("name") == _RESERVED_NAME:
        yield Problem(f'"{_RESERVED_NAME}" is a reserved container name', "name")
    for index, variable in enumerate(container.get("env") or []):
        yield from via(f"env[{index}]", _variable_problems(variable, features, reserved))
    for source in container.get("envFrom") or []:
        given = [field for field in ("configMapRef", "secretRef") if source.get(field) is not None]
        yield from via("envFrom", one_of(given, ("configMapRef", "secretRef")))
    yield from _image_problems(container.get("image") or "")
    yield from via("securityContext", _security_problems(container.get("securityContext") or {}, features))
    if container.get("terminationMessagePolicy") not in (None, "", "File", "FallbackToLogsOnError"):
        yield invalid_value(container["terminationMessagePolicy"], "terminationMessagePolicy")
    yield from via("volumeMounts", mount_problems(container.get("volumeMounts") or [], volumes, features))


def _variable_problems(variable: Object, features: Features, reserved: Iterable[str]) -> Iterator[Problem]:
    name = variable.get("name")
    if not name:
        yield from missing("name")
    elif name in reserved:
        yield Problem(f'"{name}" is a reserved environment variable', "name")
    if not features.allowed("kubernetes.podspec-fieldref"):
        source = variable.get("valueFrom") or {}
        yield from via("valueFrom", disallowed(
            *(field for field in ("fieldRef", "resourceFieldRef") if source.get(field) is not None)))


def _image_problems(image: str) -> Iterator[Problem]:
    if not image:
        yield from missing("image")
    elif reason := _parse_error(image):
        yield Problem("Failed to parse image reference", "image", f'image: "{image}", error: {reason}')


def _parse_error(image: str) -> str | None:
    base, at, digest = image.partition("@")
    if at and not _DIGEST.fullmatch(digest):
        return f"could not parse reference: {image}"
    head, colon, tag = base.rpartition(":")
    if colon and "/" not in tag:
        base = head
        if not _TAG.fullmatch(tag):
            return f"could not parse reference: {image}"
    registry, slash, repository = base.partition("/")
    if slash and ("." in registry or ":" in registry or registry == "localhost"):
        base = repository
    return None if _REPOSITORY.fullmatch(base) else f"could not parse reference: {image}"


def _security_problems(context: Object, features: Features) -> Iterator[Problem]:
    if context.get("privileged"):
        yield from disallowed("privileged")
    added = (context.get("capabilities") or {}).get("add")
    allowed = features.enabled("kubernetes.containerspec-addcapabilities") or (
        features.secure_defaults() and added == ["NET_BIND_SERVICE"])
    if added and not allowed:
        yield from disallowed("capabilities.add")
    for field in ("runAsUser", "runAsGroup"):
        value = context.get(field)
        if value is not None and not 0 <= value <= _MOST:
            yield out_of_bounds(value, 0, _MOST, field)


def _port_problems(ports: list[Object]) -> Iterator[Problem]:
    if not ports:
        return
    port = ports[0]
    yield from _basic_port_problems(port)
    if port.get("protocol") not in (None, "", "TCP"):
        yield invalid_value(port["protocol"], "protocol")
    if (port.get("name") or "") not in _PORT_NAMES:
        yield Problem(f"Port name {port['name']} is not allowed", "",
                      "Name must be empty, or one of: 'h2c', 'http1'")


def _basic_port_problems(port: Object) -> Iterator[Problem]:
    number = port.get("containerPort", 0)
    if number in _RESERVED_PORTS:
        text = f"{number} is a reserved port"
        yield invalid_value(text, "containerPort", f"{text}, please use a different value")
    if not 0 <= number <= 65535:
        yield out_of_bounds(number, 0, 65535, "containerPort")


def _readiness_problems(probe: Object | None, port_name: str | None) -> Iterator[Problem]:
    if probe is None:
        return
    yield from _probe_problems(probe, port_name)
    for field, least in (("periodSeconds", 0), ("initialDelaySeconds", 0), ("successThreshold", 1)):
        if (probe.get(field) or 0) < least:
            yield out_of_bounds(probe.get(field) or 0, least, _MOST, field)
    for field in ("failureThreshold", "timeoutSeconds"):
        value = probe.get(field) or 0
        if not probe.get("periodSeconds"):
            if value:
                yield Problem(f"{field} is disallowed when periodSeconds is zero", field)
        elif value < 1:
            yield out_of_bounds(value, 1, _MOST, field)


def _probe_problems(probe: Object | None, port_name: str | None) -> Iterator[Problem]:
    """The problems of a probe; `port_name` is that of the serving port, None in other containers."""
    if probe is None:
        return
    for handler in ("httpGet", "tcpSocket"):
        if probe.get(handler) is not None:
            port = probe[handler].get("port")
            if port_name is not None and isinstance(port, str) and port not in ("", port_name):
                yield invalid_value(port, f"{handler}.port", "Probe port must match container port")
            if port_name is None and not port:
                yield invalid_value(port or 0, f"{handler}.port", "Probe port must be specified")
    given = ["gRPC" if handler == "grpc" else handler for handler in _HANDLERS if probe.get(handler) is not None]
    yield from one_of(given, _HANDLERS)
