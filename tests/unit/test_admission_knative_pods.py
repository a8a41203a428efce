"""Knative's rules for the pod spec of a revision: which fields may be set, and to what."""

from __future__ import annotations

from typing import Any

import pytest

from kserve_nb.clusters.embedded.apimachinery.objects import Object, StatusError
from tests.unit.test_admission_knative import DENIED, created, refusal_of, service, store_with

AT = "spec.template.spec"
SECRET = {"name": "s", "secret": {"secretName": "s"}}


def container(**fields: Any) -> Object:
    return {"image": "app"} | fields


def with_mount(volume: Object, **mount: Any) -> Object:
    return {"volumes": [volume], "containers": [container(volumeMounts=[
        {"name": volume.get("name", ""), "mountPath": "/data"} | mount])]}


@pytest.mark.parametrize(("field", "value"), [
    ("affinity", {"a": 1}), ("topologySpreadConstraints", [{}]), ("hostAliases", [{}]), ("nodeSelector", {"a": "b"}),
    ("runtimeClassName", "a"), ("tolerations", [{}]), ("shareProcessNamespace", True), ("priorityClassName", "a"),
    ("schedulerName", "a"), ("dnsPolicy", "Default"), ("dnsConfig", {"a": 1}), ("hostIPC", True), ("hostPID", True),
    ("hostNetwork", True), ("automountServiceAccountToken", True), ("securityContext", {"runAsUser": 1}),
])
@pytest.mark.slow
def test_fields_behind_a_feature_flag_are_refused_without_it(field: str, value: Any) -> None:
    refused = refusal_of(service(**{field: value}))

    assert f"must not set the field(s): {AT}.{field}" in refused.message


def test_a_feature_flag_allows_its_field() -> None:
    store = store_with("config-features", **{"kubernetes.podspec_nodeselector": "enabled"})

    stored = created(service(nodeSelector={"a": "b"}, automountServiceAccountToken=False), store)

    assert stored["spec"]["template"]["spec"]["nodeSelector"] == {"a": "b"}


@pytest.mark.parametrize(("spec", "words"), [
    ({"containers": []}, f"missing field(s): {AT}.containers"),
    ({"containers": [{"name": "a"}]}, f"missing field(s): {AT}.containers[0].image"),
    ({"containers": [container(image="Not an image")]},
     f'Failed to parse image reference: {AT}.containers[0].image\nimage: "Not an image", error: could not parse '
     "reference: Not an image"),
    ({"containers": [container(name="queue-proxy")]},
     f'"queue-proxy" is a reserved container name: {AT}.containers[0].name'),
    ({"containers": [container(env=[{"name": "PORT", "value": "1"}])]},
     f'"PORT" is a reserved environment variable: {AT}.containers[0].env[0].name'),
    ({"containers": [container(env=[{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}])]},
     f"must not set the field(s): {AT}.containers[0].env[0].valueFrom.fieldRef"),
    ({"containers": [container(envFrom=[{"prefix": "a"}])]},
     f"expected exactly one, got neither: {AT}.containers[0].envFrom.configMapRef, "
     f"{AT}.containers[0].envFrom.secretRef"),
    ({"containers": [container(ports=[{"containerPort": 1}, {"containerPort": 2}])]},
     f"more than one container port is set: {AT}.containers[*].ports\n"
     "Only a single port is allowed across all containers"),
    ({"containers": [container(ports=[{"containerPort": 8012}])]},
     f"invalid value: 8012 is a reserved port: {AT}.containers[0].ports.containerPort\n"
     "8012 is a reserved port, please use a different value"),
    ({"containers": [container(ports=[{"containerPort": 65536}])]},
     f"expected 0 <= 65536 <= 65535: {AT}.containers[0].ports.containerPort"),
    ({"containers": [container(ports=[{"containerPort": 80, "protocol": "UDP"}])]},
     f"invalid value: UDP: {AT}.containers[0].ports.protocol"),
    ({"containers": [container(ports=[{"containerPort": 80, "name": "http"}])]},
     f"Port name http is not allowed: {AT}.containers[0].ports\nName must be empty, or one of: 'h2c', 'http1'"),
    ({"containers": [container(securityContext={"privileged": True})]},
     f"must not set the field(s): {AT}.containers[0].securityContext.privileged"),
    ({"containers": [container(securityContext={"capabilities": {"add": ["SYS_ADMIN"]}})]},
     f"must not set the field(s): {AT}.containers[0].securityContext.capabilities.add"),
    ({"containers": [container(securityContext={"runAsUser": -1})]},
     f"expected 0 <= -1 <= 2147483647: {AT}.containers[0].securityContext.runAsUser"),
    ({"containers": [container(terminationMessagePolicy="Never")]},
     f"invalid value: Never: {AT}.containers[0].terminationMessagePolicy"),
    ({"serviceAccountName": "foo@bar.baz"}, f"invalid value: foo@bar.baz: {AT}.serviceAccountName\n"
                                            "a lowercase RFC 1123 subdomain must consist of"),
])
@pytest.mark.slow
def test_a_container_has_rules(spec: Object, words: str) -> None:
    assert refusal_of(service(**spec)).message.startswith(DENIED + words)


@pytest.mark.parametrize(("probe", "words"), [
    ({"httpGet": {"path": "/"}, "tcpSocket": {"port": 0}},
     f"expected exactly one, got both: {AT}.containers[0].readinessProbe.httpGet, "
     f"{AT}.containers[0].readinessProbe.tcpSocket"),
    ({"httpGet": {"port": "other"}}, f"invalid value: other: {AT}.containers[0].readinessProbe.httpGet.port\n"
                                     "Probe port must match container port"),
    ({"failureThreshold": 2},
     f"failureThreshold is disallowed when periodSeconds is zero: {AT}.containers[0].readinessProbe.failureThreshold"),
    ({"periodSeconds": -1}, f"expected 0 <= -1 <= 2147483647: {AT}.containers[0].readinessProbe.periodSeconds"),
    ({"periodSeconds": 1, "timeoutSeconds": -1},
     f"expected 1 <= -1 <= 2147483647: {AT}.containers[0].readinessProbe.timeoutSeconds"),
])
def test_a_probe_has_rules(probe: Object, words: str) -> None:
    assert refusal_of(service(containers=[container(readinessProbe=probe)])).message == DENIED + words


@pytest.mark.parametrize(("containers", "words"), [
    ([container(), container()], f"missing field(s): {AT}.containers[*].ports"),
    ([container(name="a", ports=[{"containerPort": 80}]), container(name="a")],
     f'duplicate container name "a": {AT}.containers[1].name'),
    ([container(ports=[{"containerPort": 80}]), container(livenessProbe={"periodSeconds": 1})],
     f"must not set the field(s): {AT}.containers[1].livenessProbe.periodSeconds"),
    ([container(ports=[{"containerPort": 80}]), container(env=[{"name": "K_REVISION"}])],
     f'"K_REVISION" is a reserved environment variable: {AT}.containers[1].env[0].name'),
])
def test_sidecars_have_rules(containers: list[Object], words: str) -> None:
    assert refusal_of(service(containers=containers)).message == DENIED + words


def test_sidecars_and_init_containers_can_be_switched() -> None:
    one, two = container(ports=[{"containerPort": 80}]), container()
    alone = store_with("config-features", multi_container="disabled")
    with_init = store_with("config-features", **{"kubernetes.podspec_init_containers": "enabled"})

    with pytest.raises(StatusError) as refused:
        created(service(containers=[one, two]), alone)
    without_init = refusal_of(service(initContainers=[container()]))
    with pytest.raises(StatusError) as probed:
        created(service(initContainers=[container(readinessProbe={})]), with_init)

    assert refused.value.message == f"{DENIED}multi-container is off, but found 2 containers: {AT}"
    assert without_init.message == (
        f"{DENIED}must not set the field(s): {AT}.initContainers\n"
        f"pod spec support for init-containers is off, but found 1 init containers: {AT}")
    assert probed.value.message == f"{DENIED}field not allowed in an init container: {AT}.containers[0].readinessProbe"


@pytest.mark.parametrize(("spec", "words"), [
    ({"volumes": [SECRET]}, f'volume with name "s" not mounted: {AT}.volumes[0].name'),
    (with_mount({"name": "s"}), f"expected exactly one, got neither: {AT}.volumes[0].configMap, "
                                f"{AT}.volumes[0].emptyDir, {AT}.volumes[0].projected, {AT}.volumes[0].secret"),
    (with_mount(SECRET | {"emptyDir": {}}),
     f"expected exactly one, got both: {AT}.volumes[0].emptyDir, {AT}.volumes[0].secret"),
    (with_mount({"name": "A", "emptyDir": {}}), f"invalid value: A: {AT}.volumes[0].name"),
    (with_mount({"name": "p", "persistentVolumeClaim": {"claimName": "c"}}),
     f"Persistent volume claim support is disabled, but found persistent volume claim c: {AT}.volumes[0]\n"
     f"Persistent volume write support is disabled, but found persistent volume claim c that is not read-only: "
     f"{AT}.volumes[0]\nmust not set the field(s): {AT}.volumes[0].persistentVolumeClaim"),
    (with_mount({"name": "h", "hostPath": {"path": "/"}}),
     f"HostPath volume support is disabled, but found HostPath volume h: {AT}.volumes[0]\n"
     f"must not set the field(s): {AT}.volumes[0].hostPath"),
    (with_mount({"name": "e", "emptyDir": {"medium": "Disk"}}),
     f"invalid value: Disk: {AT}.volumes[0].emptyDir.medium"),
    (with_mount({"name": "s", "secret": {"secretName": "s", "items": [{"key": "a", "path": ""}]}}),
     f"missing field(s): {AT}.volumes[0].items[0].path"),
    (with_mount({"name": "p", "projected": {"sources": [{"secret": {}}]}}),
     f"missing field(s): {AT}.volumes[0].projected[0].secret.name"),
    (with_mount(SECRET, mountPath="/dev"),
     f'mountPath "/dev" is a reserved path: {AT}.containers[0].volumeMounts[0].mountPath'),
    (with_mount(SECRET, mountPath="a"), f"invalid value: a: {AT}.containers[0].volumeMounts[0].mountPath"),
    (with_mount(SECRET, mountPath=""), f"missing field(s): {AT}.containers[0].volumeMounts[0].mountPath"),
    (with_mount(SECRET, name="other"), f"volumeMount has no matching volume: {AT}.containers[0].volumeMounts[0].name"),
    (with_mount(SECRET, mountPropagation="Bidirectional"),
     f"Volume Mount Propagation support is disabled, but found volume mount s with mount propagation: "
     f"{AT}.containers[0].volumeMounts[0]\nmount propagation should be set to None or HostToContainer"),
])
def test_volumes_have_rules(spec: Object, words: str) -> None:
    message = refusal_of(service(**spec)).message

    assert message.startswith(DENIED + words) or f"\n{words}" in message


def test_two_mounts_have_two_paths() -> None:
    spec = with_mount(SECRET)
    spec["containers"][0]["volumeMounts"] *= 2

    assert refusal_of(service(**spec)).message == (
        f'{DENIED}invalid value: "/data" must be unique: {AT}.containers[0].volumeMounts[1].mountPath')


@pytest.mark.parametrize("image", [
    "app", "kserve/sklearnserver:v0.20.0", "localhost:5000/a/b", "gcr.io/p/i@sha256:" + "a" * 64,
    "gcr.io/p/i:t@sha256:" + "a" * 64])
def test_image_references_are_read_as_the_docker_cli_reads_them(image: str) -> None:
    created(service(containers=[container(image=image)]))


@pytest.mark.parametrize("image", ["a", "gcr.io/p/i@sha256:12", "p/I", "a:b:c/d:e f"])
def test_other_image_references_are_refused(image: str) -> None:
    assert "Failed to parse image reference" in refusal_of(service(containers=[container(image=image)])).message
