"""The installation steps. Each can be repeated, and each ends when what it installed answers."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

import yaml

from kserve_nb.clusters.kind import models, settings, tools
from kserve_nb.clusters.kind.docker_node import NODE_PORT
from kserve_nb.clusters.kind.install_events import newest_warning
from kserve_nb.clusters.kind.install_manifests import Manifests
from kserve_nb.clusters.kind.tools import Kubectl
from kserve_nb.clusters.kind.versions import Part, part
from kserve_nb.clusters.state import ClusterError

READY_S = 900.0  # for one step's pods: the first time, their images are fetched
_WAIT_S = 20  # for one `kubectl wait`; after it the reason for waiting is reported
GATEWAYS = {"istio": ("istio-system", "istio-ingressgateway"), "kourier": ("kourier-system", "kourier")}


@dataclass(frozen=True)
class InstallContext:
    """The tools and settings that an installation step works with."""

    kubectl: Kubectl
    manifests: Manifests
    gateway: str


Action = Callable[[InstallContext], None]


@dataclass(frozen=True)
class InstallStep:
    """One thing to install. If `namespace` does not exist, the step was not begun."""

    name: str
    namespace: str
    install: Action
    seconds: int  # an estimate for 2 CPUs, with all images present
    probe: Callable[[], tuple[str, settings.Object]] | None = None  # an object for a dry run through its webhook


def all_steps(gateway: str) -> tuple[InstallStep, ...]:
    """The steps in the order in which they must be done."""
    kserve = f"KServe {part('kserve').version}"
    network = f"{gateway.capitalize()} for Knative {part(gateway).version}"
    return (
        InstallStep(f"cert-manager {part('cert-manager').version}", "cert-manager", cert_manager, 30, issuer),
        InstallStep(f"Knative Serving {part('knative').version}", "knative-serving", knative, 35, knative_service),
        InstallStep(network, GATEWAYS[gateway][0], network_layer, 30),
        InstallStep("Knative's settings", "knative-serving", knative_settings, 2),
        InstallStep(kserve, "kserve", kserve_controller, 30, inference_service),
        InstallStep(f"{kserve}'s settings", "kserve", kserve_settings, 15),
        InstallStep("the serving runtimes", "kserve", runtimes, 3),
        InstallStep("the tutorial's models", models.NAMESPACE, tutorial_models, 15),
    )


def issuer() -> tuple[str, settings.Object]:
    """A namespace, and an object that goes through cert-manager's webhook."""
    return "cert-manager", {"apiVersion": "cert-manager.io/v1", "kind": "Issuer", "spec": {"selfSigned": {}}}


def knative_service() -> tuple[str, settings.Object]:
    """A namespace, and an object that goes through Knative's webhook."""
    container = {"name": "user-container", "image": "kind.local/probe"}
    return "default", {"apiVersion": "serving.knative.dev/v1", "kind": "Service",
                       "spec": {"template": {"spec": {"containers": [container]}}}}


def inference_service() -> tuple[str, settings.Object]:
    """A namespace, and an object that goes through KServe's webhooks."""
    predictor = {"model": {"modelFormat": {"name": "sklearn"}, "storageUri": "gs://kfserving-examples/probe"}}
    return "default", {"apiVersion": "serving.kserve.io/v1beta1", "kind": "InferenceService",
                       "spec": {"predictor": predictor}}


def cert_manager(context: InstallContext) -> None:
    """Install cert-manager, which issues the certificates of KServe's webhooks."""
    apply(context, part("cert-manager"))
    ready(context, "cert-manager")
    wait_for_webhook(context, issuer())


def knative(context: InstallContext) -> None:
    """Install Knative Serving: first its CRDs, then the objects that need them."""
    (crds, crds_url), (core, core_url) = part("knative").manifests
    context.kubectl.apply(context.manifests.file(crds, crds_url))
    context.kubectl.patiently("wait", "--for=condition=Established", "crd", "--all", "--timeout=60s")
    context.kubectl.apply(context.manifests.file(core, core_url))
    request_little(context, "knative-serving")
    ready(context, "knative-serving")
    wait_for_webhook(context, knative_service())


def network_layer(context: InstallContext) -> None:
    """Install the gateway, and Knative's controller for it."""
    namespace, service = GATEWAYS[context.gateway]
    apply(context, part(context.gateway))
    request_little(context, namespace)
    request_little(context, "knative-serving")
    patch = json.dumps(settings.gateway_service(NODE_PORT))
    context.kubectl.patiently("patch", "service", service, "-n", namespace, "-p", patch)
    ready(context, namespace)
    ready(context, "knative-serving")


def knative_settings(context: InstallContext) -> None:
    """Set the domain, the ingress class, and the registries whose tags are not resolved."""
    for name, data in settings.knative(context.gateway).items():
        merge(context, ("configmap", name, "-n", "knative-serving"), {"data": data})


def kserve_controller(context: InstallContext) -> None:
    """Install KServe's CRDs and controller. Its release file does not contain the namespace."""
    context.kubectl.apply_text("apiVersion: v1\nkind: Namespace\nmetadata:\n  name: kserve\n")
    name, url = part("kserve").manifests[0]
    context.kubectl.apply(context.manifests.file(name, url))
    ready(context, "kserve")
    wait_for_webhook(context, inference_service())


def kserve_settings(context: InstallContext) -> None:
    """Set Knative mode, the domain, whether KServe creates VirtualServices, and the initializer's resources.

    The controller reads all but the last one only when it starts, so it is restarted if one of them changed.
    """
    config = ("configmap", "inferenceservice-config", "-n", "kserve")
    found = json.loads(context.kubectl.patiently("get", *config, "-o", "json"))
    changed = settings.kserve(found["data"], context.gateway)
    if not changed:
        return
    merge(context, config, {"data": changed})
    if not changed.keys() - {"storageInitializer"}:
        return
    controller = ("deployment/kserve-controller-manager", "-n", "kserve")
    context.kubectl.patiently("rollout", "restart", *controller)
    context.kubectl.patiently("rollout", "status", *controller, "--timeout=300s", timeout_s=330)
    wait_for_webhook(context, inference_service())


def runtimes(context: InstallContext) -> None:
    """Install the ClusterServingRuntimes, that of scikit-learn with small resource requests."""
    name, url = part("kserve").manifests[1]
    context.kubectl.apply(context.manifests.file(name, url))
    kind = "clusterservingruntime"
    found = json.loads(context.kubectl.patiently("get", kind, "kserve-sklearnserver", "-o", "json"))
    merge(context, (kind, "kserve-sklearnserver"), settings.runtime(found["spec"]))


def tutorial_models(context: InstallContext) -> None:
    """Install a server of the two models, and a ClusterStorageContainer that fetches `gs://` URIs from it."""
    kind = "clusterstoragecontainer"
    found = json.loads(context.kubectl.patiently("get", kind, "default", "-o", "json"))
    merge(context, (kind, "default"), settings.storage_container(found["spec"]))
    context.kubectl.apply_text(yaml.safe_dump_all(models.objects(), sort_keys=False))
    ready(context, models.NAMESPACE)


def apply(context: InstallContext, what: Part) -> None:
    """Apply all manifests of a part, in order."""
    for name, url in what.manifests:
        context.kubectl.apply(context.manifests.file(name, url))


def merge(context: InstallContext, target: tuple[str, ...], patch: settings.Object) -> None:
    """Merge-patch an object: fields that the patch does not have stay."""
    context.kubectl.patiently("patch", *target, "--type", "merge", "-p", json.dumps(patch))


def request_little(context: InstallContext, namespace: str) -> None:
    """Lower the resource requests of all Deployments, as KServe's own installer does: they use much less."""
    requests = "--requests=cpu=10m,memory=40Mi"
    context.kubectl.patiently("set", "resources", "deployment", "--all", "-n", namespace, requests)


def ready(context: InstallContext, namespace: str) -> None:
    """Wait until every Deployment of a namespace is available. Raises ClusterError with the last warning there."""
    began, since, told = time.monotonic(), datetime.now(UTC), ""
    while True:
        waited = context.kubectl.attempt("wait", "--for=condition=Available", "deployment", "--all", "-n", namespace,
                                         f"--timeout={_WAIT_S}s", timeout_s=_WAIT_S + 60)
        if waited.returncode == 0:
            return
        warning = _warning(context, namespace, since)
        if time.monotonic() - began > READY_S:
            raise ClusterError(
                f"{namespace}: not ready after {READY_S:.0f} s: {warning or tools.last_line(waited)}. Look at it: "
                f"kubectl --kubeconfig {context.kubectl.kubeconfig} get pods -n {namespace}. "
                "Then continue with the same `kserve-nb up`.")
        if warning != told and warning:
            context.kubectl.notify(f"{namespace}: {warning}")
        told = warning
        time.sleep(tools.PAUSE_S)


def _warning(context: InstallContext, namespace: str, since: datetime) -> str:
    """Why a pod of the namespace is not scheduled, or its image not fetched; empty if no event tells."""
    return newest_warning(_items(context, "events", namespace), _items(context, "pods", namespace), since)


def _items(context: InstallContext, kind: str, namespace: str) -> list[settings.Object]:
    done = context.kubectl.attempt("get", kind, "-n", namespace, "-o", "json")
    found: list[settings.Object] = json.loads(done.stdout)["items"] if done.returncode == 0 else []
    return found


def wait_for_webhook(context: InstallContext, probe: tuple[str, settings.Object]) -> None:
    """Wait until an admission webhook answers a dry run of the object."""
    context.kubectl.patiently("create", "--dry-run=server", "-f", "-", stdin=dry_run_manifest(probe))


def dry_run_manifest(probe: tuple[str, settings.Object]) -> str:
    """The object of a dry run, as JSON."""
    namespace, body = probe
    return json.dumps({**body, "metadata": {"name": "kserve-nb-probe", "namespace": namespace}})
