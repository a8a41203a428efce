"""The API server's rules for pods.

Source: kubernetes 1.35 pkg/apis/core/validation/validation.go (`ValidatePodSpec`, `validateContainers`,
`validateVolumes`, `ValidateVolumeMounts`).
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Iterator
from typing import Any

from kserve_nb.clusters.embedded.api.admission.review import Review
from kserve_nb.clusters.embedded.api.field_errors import Cause, forbidden, invalid, invalid_value, required
from kserve_nb.clusters.embedded.apimachinery.objects import Object
from kserve_nb.values import dns_names

_PULL_POLICIES, _RESTART_POLICIES = ("Always", "IfNotPresent", "Never"), ("Always", "OnFailure", "Never")
_PROTOCOLS = ("SCTP", "TCP", "UDP")
_PORT_NAME = re.compile(r"(?!.*--)[a-z0-9-]*[a-z][a-z0-9-]*")


def validate(review: Review) -> None:
    """Refuse a pod that breaks a rule. Raises StatusError 422."""
    causes = list(_pod_causes(review.new["spec"]))
    if causes:
        raise invalid(review.kind, review.name, causes)


def _pod_causes(spec: Object) -> Iterator[Cause]:
    volumes = spec.get("volumes") or []
    yield from _volume_causes(volumes)
    names = {volume.get("name") for volume in volumes}
    if not spec.get("containers"):
        yield required("spec.containers")
    seen: set[str] = set()
    for field in ("initContainers", "containers"):
        for index, container in enumerate(spec.get(field) or []):
            yield from _container_causes(f"spec.{field}[{index}]", container, names, seen)
    yield from _choice("spec.restartPolicy", spec.get("restartPolicy"), _RESTART_POLICIES)
    account = spec.get("serviceAccountName")
    if account:
        yield from _name_causes("spec.serviceAccountName", account, dns_names.subdomain_errors)


def _container_causes(at: str, container: Object, volumes: set[Any], seen: set[str]) -> Iterator[Cause]:
    name, image = container.get("name"), container.get("image")
    yield from _name_causes(f"{at}.name", name, dns_names.label_errors)
    if name in seen:
        yield _duplicate(f"{at}.name", name)
    if name:
        seen.add(name)
    if not image:
        yield required(f"{at}.image")
    elif image != image.strip():
        yield invalid_value(f"{at}.image", image, "must not have leading or trailing whitespace")
    yield from _choice(f"{at}.imagePullPolicy", container.get("imagePullPolicy"), _PULL_POLICIES)
    for index, port in enumerate(container.get("ports") or []):
        yield from _port_causes(f"{at}.ports[{index}]", port)
    for index, variable in enumerate(container.get("env") or []):
        if not variable.get("name"):
            yield required(f"{at}.env[{index}].name")
    paths: set[str] = set()
    for index, mount in enumerate(container.get("volumeMounts") or []):
        yield from _mount_causes(f"{at}.volumeMounts[{index}]", mount, volumes, paths)


def _port_causes(at: str, port: Object) -> Iterator[Cause]:
    number, name = port.get("containerPort", 0), port.get("name")
    if name and (len(name) > 15 or not _PORT_NAME.fullmatch(name) or name[0] == "-" or name[-1] == "-"):
        text = "must be no more than 15 characters" if len(name) > 15 else (
            "must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)")
        yield invalid_value(f"{at}.name", name, text)
    if not 1 <= number <= 65535:
        yield invalid_value(f"{at}.containerPort", number, "must be between 1 and 65535, inclusive")
    yield from _choice(f"{at}.protocol", port.get("protocol"), _PROTOCOLS)


def _mount_causes(at: str, mount: Object, volumes: set[Any], paths: set[str]) -> Iterator[Cause]:
    name, path, sub_path = mount.get("name"), mount.get("mountPath"), mount.get("subPath")
    if not name:
        yield required(f"{at}.name")
    elif name not in volumes:
        yield Cause(f"{at}.name", "FieldValueNotFound", f'Not found: "{name}"')
    if not path:
        yield required(f"{at}.mountPath")
    elif path in paths:
        yield invalid_value(f"{at}.mountPath", path, "must be unique")
    paths.add(path or "")
    if sub_path:
        if posixpath.isabs(sub_path):
            yield invalid_value(f"{at}.subPath", sub_path, "must be a relative path")
        if ".." in sub_path.split("/"):
            yield invalid_value(f"{at}.subPath", sub_path, "must not contain '..'")


def _volume_causes(volumes: list[Object]) -> Iterator[Cause]:
    seen: set[str] = set()
    for index, volume in enumerate(volumes):
        at, name = f"spec.volumes[{index}]", volume.get("name")
        yield from _name_causes(f"{at}.name", name, dns_names.label_errors)
        if name in seen:
            yield _duplicate(f"{at}.name", name)
        if name:
            seen.add(name)
        sources = [source for source in volume if source != "name"]
        if not sources:
            yield required(at, "must specify a volume type")
        yield from (forbidden(f"{at}.{source}", "may not specify more than 1 volume type") for source in sources[1:])
        claim = volume.get("persistentVolumeClaim")
        if claim is not None:  # the problem of a name that no claim can have: the node uses the name in a path
            yield from _name_causes(f"{at}.persistentVolumeClaim.claimName", claim.get("claimName"),
                                    dns_names.subdomain_errors)


def _name_causes(field: str, name: str | None, rule: Callable[[str], Iterator[str]]) -> Iterator[Cause]:
    if not name:
        yield required(field)
    else:
        yield from (invalid_value(field, name, text) for text in rule(name))


def _choice(field: str, value: Any, choices: tuple[str, ...]) -> Iterator[Cause]:
    if value is not None and value not in choices:
        supported = ", ".join(f'"{choice}"' for choice in choices)
        yield Cause(field, "FieldValueNotSupported", f'Unsupported value: "{value}": supported values: {supported}')


def _duplicate(field: str, value: Any) -> Cause:
    return Cause(field, "FieldValueDuplicate", f'Duplicate value: "{value}"')
