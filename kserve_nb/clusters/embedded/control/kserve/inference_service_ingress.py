"""The URL of an InferenceService. With Istio also its VirtualService and a Service of the same name.

Sources: kserve pkg/controller/v1beta1/inferenceservice/reconcilers/ingress/ingress_reconciler.go,
pkg/constants/constants.go `HostRegExp`. With Kourier, KServe runs with `disableIstioVirtualHost: true`.
"""

from __future__ import annotations

import re

from kserve_nb.clusters.embedded.apimachinery.kinds import SERVICE, VIRTUAL_SERVICE
from kserve_nb.clusters.embedded.apimachinery.objects import Kind, Object, Objects, owner_reference
from kserve_nb.clusters.embedded.control.framework.condition_set import Conditions
from kserve_nb.clusters.embedded.control.framework.reconciler import Changes, Moment
from kserve_nb.clusters.embedded.control.kserve.predictor_annotations import copied_annotations
from kserve_nb.clusters.embedded.control.kserve.predictor_service import service_name
from kserve_nb.values.labels import CLUSTER_LOCAL, VISIBILITY_LABEL

LOCAL_GATEWAY, INGRESS_GATEWAY, MESH = (
    "knative-serving/knative-local-gateway", "knative-serving/knative-ingress-gateway", "mesh")
LOCAL_GATEWAY_SERVICE = "knative-local-gateway.istio-system.svc.cluster.local"


def reconcile_ingress(isvc: Object, status: Object, conditions: Conditions, view: Objects, moment: Moment,
                      changes: Changes) -> None:
    """Write the VirtualService and the Service, and set the URL once the predictor has one."""
    istio = moment.settings.gateway == "istio"
    url = str(((status.get("components") or {}).get("predictor") or {}).get("url", ""))
    if istio:
        _write_virtual_service(isvc, url, conditions, view, changes)
        _write(SERVICE, _make_service(isvc), view, changes)
    if not url:
        return
    name, namespace = isvc["metadata"]["name"], isvc["metadata"]["namespace"]
    status["url"] = short_url(url) if istio else url
    status["address"] = {"url": f"http://{name if istio else service_name(isvc)}.{namespace}.svc.cluster.local"}
    conditions.mark_true("IngressReady")


def stop_ingress(isvc: Object, conditions: Conditions, view: Objects, changes: Changes) -> None:
    """Delete the VirtualService and the Service of a stopped InferenceService."""
    meta = isvc["metadata"]
    for kind in (VIRTUAL_SERVICE, SERVICE):
        existing = view.find(kind, meta["namespace"], meta["name"])
        owners = (existing or {"metadata": {}})["metadata"].get("ownerReferences") or []
        if existing is not None and any(owner["uid"] == meta["uid"] for owner in owners):
            changes.delete(kind, existing)
    conditions.mark_false("IngressReady", "Stopped")


def short_url(url: str) -> str:
    """The InferenceService's URL: the predictor's URL without its suffix (`getHostBasedServiceUrl`).

    KServe removes `-predictor-default`, the suffix of old versions, if the URL contains `-default` anywhere.
    """
    return url.replace("-predictor-default" if "-default" in url else "-predictor", "", 1)


def _write_virtual_service(isvc: Object, url: str, conditions: Conditions, view: Objects, changes: Changes) -> None:
    """Write the VirtualService if the predictor is ready, else set IngressReady (`reconcileVirtualService`)."""
    ready = conditions.status_of("PredictorReady")
    if ready == "True":
        _write(VIRTUAL_SERVICE, _make_virtual_service(isvc, short_url(url).removeprefix("http://")), view, changes)
    else:
        mark = conditions.mark_false if ready == "False" else conditions.mark_unknown
        mark("IngressReady", "Predictor ingress not created")


def _write(kind: Kind, desired: Object, view: Objects, changes: Changes) -> None:
    meta = desired["metadata"]
    existing = view.find(kind, meta["namespace"], meta["name"])
    if existing is None:
        changes.create(kind, desired)
        return
    wanted = {**existing, "spec": desired["spec"], "metadata": {
        **existing["metadata"], **{key: meta[key] for key in ("labels", "annotations") if key in meta}}}
    if wanted != existing:
        changes.update(kind, wanted)


def _make_service(isvc: Object) -> Object:
    return {
        "apiVersion": "v1", "kind": "Service",
        "metadata": {"name": isvc["metadata"]["name"], "namespace": isvc["metadata"]["namespace"],
                     "ownerReferences": [owner_reference(isvc)]},
        "spec": {"externalName": LOCAL_GATEWAY_SERVICE, "sessionAffinity": "None", "type": "ExternalName"},
    }


def _make_virtual_service(isvc: Object, host: str) -> Object:
    """Routes all requests for the InferenceService's hosts to the predictor's host (`createIngress`)."""
    meta = isvc["metadata"]
    name, namespace = meta["name"], meta["namespace"]
    inside = f"{name}.{namespace}.svc.cluster.local"
    internal = host == inside or (meta.get("labels") or {}).get(VISIBILITY_LABEL) == CLUSTER_LOCAL
    match = [_match(inside, [LOCAL_GATEWAY, MESH])] + ([] if internal else [_match(host, [INGRESS_GATEWAY])])
    headers = {"Host": f"{service_name(isvc)}.{namespace}.svc.cluster.local",
               "KServe-Isvc-Name": name, "KServe-Isvc-Namespace": namespace}
    http = {"headers": {"request": {"set": headers}}, "match": match,
            "route": [{"destination": {"host": LOCAL_GATEWAY_SERVICE, "port": {"number": 80}}, "weight": 100}]}
    copied = {"annotations": copied_annotations(isvc), "labels": dict(meta.get("labels") or {})}
    return {
        "apiVersion": VIRTUAL_SERVICE.api_version, "kind": VIRTUAL_SERVICE.kind,
        "metadata": {"name": name, "namespace": namespace, "ownerReferences": [owner_reference(isvc)],
                     **{key: value for key, value in copied.items() if value}},
        "spec": {"gateways": [LOCAL_GATEWAY, MESH] + ([] if internal else [INGRESS_GATEWAY]),
                 "hosts": [inside] + ([] if internal else [host]), "http": [http]},
    }


def _match(host: str, gateways: list[str]) -> Object:
    pattern = re.sub(r"([.+*?()|\[\]{}^$\\])", r"\\\1", host)  # Go's regexp.QuoteMeta
    return {"authority": {"regex": rf"^{pattern}(?::\d{{1,5}})?$"}, "gateways": gateways}
