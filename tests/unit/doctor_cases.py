"""Faults for the doctor, each with its rule: states of a cluster or a session, and curl commands."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from kserve_nb.doctor import Facts, Session
from kserve_nb.doctor.facts import KSERVE_CONFIG, ProbeResult, services_of
from kserve_nb.rollout.sampling import Tally
from kserve_nb.tasks.drill_faults import FAULTS
from kserve_nb.values.manifest import MODEL
from kserve_nb.values.split import Split
from tests.unit.doctor_fixtures import (
    DATA,
    NOW,
    ROLLOUT,
    Object,
    annotated,
    answer,
    changed,
    items,
    node,
    predictor,
    recorded,
    unscheduled,
    waiting,
    with_pod,
)

INGRESS = "127.0.0.1:8080"
HOST = "sklearn-iris-predictor.kserve-test.example.com"  # as recorded, with Kourier's URLs
PREDICT = f"http://{INGRESS}/v1/models/sklearn-iris:predict"
JSON = "-H 'Content-Type: application/json'"
BODY = "-d @./iris-input.json"
GOOD = f"curl -v -H 'Host: {HOST}' {JSON} {PREDICT} {BODY}"

_STEP = "02-canary-10"
_BINDER = {"BINDER_LAUNCH_HOST": "https://mybinder.org/"}
_WEBHOOK = 'Internal error occurred: failed calling webhook "a": no endpoints available for service "kserve-webhook"'
_NO_NODE = "0/1 nodes are available:"


def _step(step: str = _STEP, **known: Any) -> Facts:
    return replace(recorded(ROLLOUT / step), **{"ingress": INGRESS, "now": NOW.timestamp(), **known})


def _service(facts: Facts, **known: Any) -> Facts:
    """The facts with a change of their first InferenceService's objects."""
    return replace(facts, services=(replace(facts.services[0], **known),))


def _settings(key: str, value: str) -> Facts:
    return _step(configs={KSERVE_CONFIG: {key: value}})


def _network(data: Object | None, *gateways: str, **config: str) -> Facts:
    """A cluster with this ConfigMap config-network and the Services of these gateways."""
    services = tuple({"metadata": {"name": name, "namespace": "istio-system"}, "spec": {"type": "ClusterIP"}}
                     for name in gateways)  # fmt: skip
    configs: dict[str, Any] = {"config-network": data, KSERVE_CONFIG: config}
    return _step(configs=configs, gateways=services)


def _revisions(*labels: str) -> tuple[Object, ...]:
    return tuple({"metadata": {"name": f"sklearn-iris-predictor-0000{number}", "labels": {"team": label}},
                  "spec": {"containers": [label]}} for number, label in enumerate(labels, start=1))  # fmt: skip


def _silent(isvc: Object) -> None:
    isvc.pop("status")
    isvc["metadata"]["creationTimestamp"] = "2026-11-23T11:59:00Z"


def _loading(pod: Object) -> None:
    pod["status"]["conditions"] = [{"type": "Ready", "status": "False"}]
    pod["status"]["containerStatuses"][0]["ready"] = False


def _balancer() -> Facts:
    waits = {"metadata": {"name": "istio-ingressgateway", "namespace": "istio-system"}, "status": {},
             "spec": {"type": "LoadBalancer", "ports": [{"name": "http2", "port": 80}]}}  # fmt: skip
    return _step(gateways=(waits,), unknown_host=ProbeResult(error="nothing listens"))


def _named(url: str) -> Facts:
    """A namespace whose InferenceService has this URL."""
    return replace(changed(_STEP, lambda isvc: isvc["status"].update(url=url)), ingress=INGRESS)


def _probed(status: int, text: str) -> Facts:
    return _service(_step(), probe=ProbeResult(answer=answer(status, text)))


def _helm(isvc: Object) -> None:
    isvc["metadata"].setdefault("labels", {})["app.kubernetes.io/managed-by"] = "Helm"


def _no_percent(isvc: Object) -> None:
    isvc["spec"]["predictor"].pop("canaryTrafficPercent", None)


_ONE = Split({"sklearn-iris-predictor-00001": 10, "sklearn-iris-predictor-00002": 0})
_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
_STRAY = '{"spec": {"predictor": {"model": {"canaryTrafficPercent": 20}}}}'
_CANARY = [{"trafficPercent": 10, "predictor": {"name": "v2", "model": {"storageUri": MODEL}}}]
_SAME = tuple({**revision, "spec": {}} for revision in _revisions("a", "b"))  # they differ in a label alone
_PIN = items(DATA, "pin-first-step")
_PINNING = services_of(_PIN, [], items(DATA / "broken-canary", "revision"), [], [])
_CHANGING = {"metadata": {"kernelspec": {"name": "python3"}}, "cells": [
    {"cell_type": "code", "source": "import kserve_nb\n# NBVAL_CHECK_OUTPUT", "metadata": {"tags": ["parameters"]},
     "outputs": [{"output_type": "stream", "name": "stdout", "text": "ready at 12:30:45"}]}]}  # fmt: skip
_OTHER_VERSION = ("/usr/lib/sklearn/base.py:525: InconsistentVersionWarning: Trying to unpickle estimator SVC from "
                  "version 1.9.1 when using version 1.5.2. This might lead to breaking code or invalid results.\n")
_NO_FILE = "fail to locate model file for model sklearn-iris under dir /mnt/models,trying loading from model repository"
_PART = {"name": "envoy", "state": "crash-looping", "restarts": 3, "last_log": "bind failed"}

CASES: tuple[tuple[str, Facts], ...] = (
    ("K01", _step(hidden="inferenceservices is forbidden", context="theirs")),
    ("K01", _step(context="prod-eu", server="https://203.0.113.1")),
    ("K02", _step(unreachable="connection refused", session=Session())),
    ("K03", _step(version="v1.29.3")),
    ("N01", _step(nodes=(node(Ready="False"),))),
    ("N02", _step(nodes=(node(Ready="True", DiskPressure="True"),))),
    ("N03", _step(health={"parts": [_PART]})),
    ("N04", _step(free_bytes=1024, folder="/tmp")),
    ("K05", _step(dry_run=_WEBHOOK)),
    ("K06", _settings("deploy", '{"defaultDeploymentMode": "Standard"}')),
    ("K06", changed("01-create", annotated(**{"serving.kserve.io/deploymentMode": "Standard"}))),
    ("K07", _step(lacking=("revisions.serving.knative.dev",))),
    ("K07", _settings("deploy", '{"defaultDeploymentMode": "Knative"')),
    ("K07", _settings("ingress", '{"disableIstioVirtualHost": true}')),
    ("K07", _network(None)),
    ("K07", _network({"ingress-class": "kourier.ingress.networking.knative.dev"}, "istio-ingressgateway")),
    ("K07", _network({"ingress-class": "istio.ingress.networking.knative.dev"}, "kourier")),
    ("K07", _network({"ingress-class": "kourier.ingress.networking.knative.dev"}, "kourier",
                     ingress='{"ingressGateway": "a", "disableIstioVirtualHost": false}')),
    ("K08", _step(namespace_labels={"control-plane": "kserve"})),
    ("K16", changed("01-create", _silent)),
    ("K04", with_pod(_STEP, unscheduled(f"{_NO_NODE} 1 Insufficient cpu."))),
    ("P01", with_pod(_STEP, unscheduled(f"{_NO_NODE} 1 node(s) had untolerated taint {{gpu: true}}."))),
    ("P02", with_pod(_STEP, unscheduled(f"{_NO_NODE} 1 Insufficient nvidia.com/gpu."))),
    ("K14", _service(_step(), first_lines={"sklearn-iris-predictor-00002-deployment-0": _OTHER_VERSION})),
    ("L01", _service(_step(), first_lines={"sklearn-iris-predictor-00002-deployment-0": _NO_FILE})),
    ("S04", with_pod(_STEP, unscheduled(f'{_NO_NODE} persistentvolumeclaim "absent" not found.'))),
    ("K12", with_pod(_STEP, waiting("kserve-container", "ImagePullBackOff", "Back-off pulling image"))),
    ("K15", with_pod(_STEP, waiting("kserve-container", "CrashLoopBackOff", exitCode=137, reason="OOMKilled"))),
    ("P04", with_pod(_STEP, waiting("kserve-container", "CreateContainerConfigError", 'secret "a" not found'))),
    ("K13", with_pod(_STEP, waiting("storage-initializer", "CrashLoopBackOff", exitCode=1, message="no bucket"))),
    ("K13", recorded(DATA / "broken-canary-after-deadline")),
    ("K17", with_pod(_STEP, waiting("kserve-container", "CrashLoopBackOff", exitCode=3, message="new"))),
    ("K17", recorded(DATA / "bad-input", "bad-rt")),
    ("P15", with_pod(_STEP, _loading)),
    ("R01", _balancer()),
    ("R02", _step(ingress="192.168.49.2:80", unknown_host=ProbeResult(error="ConnectTimeout"))),
    ("R03", _named("http://sklearn-iris.kserve-test.10.0.0.1.sslip.io")),
    ("R04", _probed(404, '{"error": "no such model"}')),
    ("R04", _probed(404, "")),
    ("R06", _named("http://sklearn-iris.kserve-test.svc.cluster.local")),
    ("R06", _step(configs={"config-domain": {}})),
    ("R09", _step(unknown_host=ProbeResult(error="connection refused"))),
    ("R10", _probed(504, "timeout")),
    ("C01", _service(changed("01-create", predictor(canaryTrafficPercent=10)), revisions=_revisions("a"))),
    ("C02", _step(tally=Tally(_ONE, "sklearn-iris-predictor-00002", 10, "by the answers"))),
    ("C03", _step(tally=Tally(_ONE, "sklearn-iris-predictor-00002", 10, "by the answers"))),
    ("C04", _service(recorded(ROLLOUT / "broken-canary"), probe=ProbeResult(answer=answer(200, "{}")))),
    ("C05", recorded(DATA / "broken-canary")),
    ("C06", _service(_step(), revisions=_SAME)),
    ("C07", recorded(ROLLOUT / "05-rollback")),
    ("C08", Facts("kserve-test", namespace_labels={}, services=_PINNING)),
    ("C09", recorded(ROLLOUT / "05-rollback")),
    ("C10", _step()),
    ("C11", changed(_STEP, annotated(**{_APPLIED: '{"spec": {"predictor": {"model": {}}}}'}))),
    ("C12", changed(_STEP, predictor(canaryTrafficPercent=150))),
    ("C12", changed(_STEP, annotated(**{_APPLIED: _STRAY}))),
    ("C13", _step()),
    ("C16", changed(_STEP, lambda isvc: isvc["spec"].update(transformer={"canaryTrafficPercent": 20}))),
    ("C18", changed("01-create", lambda isvc: isvc["spec"].update(canary=_CANARY))),
    ("C19", changed("04-promote", _no_percent)),
    ("C20", _service(changed("04-promote", _helm), revisions=_revisions("a", "b"))),
    ("C21", changed("01-create", annotated(**{"serving.kserve.io/canaryTrafficPercent": "25"}))),
    ("J02", _step(session=Session(widget_extension=False))),
    ("J03", _step(session=Session(ipykernel="6.29"))),
    ("J07", _step(session=Session(notebooks={"notebook.ipynb": _CHANGING}))),
    ("J10", _step(session=Session(environ=_BINDER, memory_bytes=1 << 30))),
    ("J11", _step(session=Session(environ=_BINDER))),
)  # fmt: skip
COMMANDS: tuple[tuple[str, str], ...] = (
    # The faults of the drill, except the one that shows only when the command is sent.
    *((fault.rule, fault.command(HOST, INGRESS)) for fault in FAULTS
      if fault.in_request and fault.id != "stale-port-forward"),
    ("R04", GOOD.replace("/sklearn-iris:predict", "/sklearn-iris/predict")),
    ("R01", GOOD.replace(INGRESS, ":")),
    ("R01", GOOD.replace(INGRESS, ":").replace(HOST, "")),
    ("R06", f"curl {JSON} http://sklearn-iris-predictor.kserve-test.svc.cluster.local/v1/models/sklearn-iris:predict"
            f" {BODY}"),
    ("R27", f"curl -K curlrc {PREDICT}"),
    ("R03", f"curl {JSON} http://{HOST}/v1/models/sklearn-iris:predict {BODY}"),
    ("R08", GOOD.replace(BODY, "-d @./iris.json")),
    ("R08", GOOD.replace(BODY, "-d '{\"instances\": [[6.8, 2.8], [6.0, 3.4, 4.5, 1.6]]}'")),
    ("R08", GOOD.replace(BODY, "-d '{instances: 1}'")),
    ("C13", GOOD.replace(HOST, f"latest-{HOST}")),
    ("C03", GOOD.replace("curl -v", "curl -v -H 'Connection: keep-alive'")),
)
