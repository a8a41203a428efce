"""What is installed, step by step. Each step may be done again; each ends when what it installed answers."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass

import yaml

from kserve_nb.clusters.kind import models, settings, tools
from kserve_nb.clusters.kind.docker_node import NODE_PORT
from kserve_nb.clusters.kind.install_manifests import Manifests
from kserve_nb.clusters.kind.tools import Kubectl
from kserve_nb.clusters.kind.versions import Part, part
from kserve_nb.clusters.state import ClusterError

READY_S = 900.0  # for one step's pods: the first time, their images are fetched
_LOOK_S = 20  # of one `kubectl wait`; then what is waited for is said
GATEWAYS = {"istio": ("istio-system", "istio-ingressgateway"), "kourier": ("kourier-system", "kourier")}


@dataclass(frozen=True)
class Bench:
    """What a step works with."""

    kubectl: Kubectl
    manifests: Manifests
    gateway: str


@dataclass(frozen=True)
class Step:
    """One thing to install. `namespace` is there exactly when it has been begun."""

    name: str
    namespace: str
    do: Callable[[Bench], None]


def all_steps(gateway: str) -> tuple[Step, ...]:
    """The steps in the order in which they must be done."""
    kserve = f"KServe {part('kserve').version}"
    network = f"{gateway.capitalize()} for Knative {part(gateway).version}"
    return (
        Step(f"cert-manager {part('cert-manager').version}", "cert-manager", cert_manager),
        Step(f"Knative Serving {part('knative').version}", "knative-serving", knative),
        Step(network, GATEWAYS[gateway][0], network_layer),
        Step("Knative's settings", "knative-serving", knative_settings),
        Step(kserve, "kserve", kserve_controller),
        Step(f"{kserve}'s settings", "kserve", kserve_settings),
        Step("the serving runtimes", "kserve", runtimes),
        Step("the tutorial's models", models.NAMESPACE, tutorial_models),
    )


def cert_manager(bench: Bench) -> None:
    """cert-manager, which gives KServe's webhooks their certificates."""
    apply(bench, part("cert-manager"))
    ready(bench, "cert-manager")
    issuer = {"apiVersion": "cert-manager.io/v1", "kind": "Issuer", "spec": {"selfSigned": {}}}
    webhook_answers(bench, "cert-manager", issuer)


def knative(bench: Bench) -> None:
    """Knative Serving; its CRDs first, as objects of theirs follow."""
    (crds, crds_url), (core, core_url) = part("knative").manifests
    bench.kubectl.apply(bench.manifests.file(crds, crds_url))
    bench.kubectl.patiently("wait", "--for=condition=Established", "crd", "--all", "--timeout=60s")
    bench.kubectl.apply(bench.manifests.file(core, core_url))
    small(bench, "knative-serving")
    ready(bench, "knative-serving")
    container = {"name": "user-container", "image": "kind.local/probe"}
    service = {"apiVersion": "serving.knative.dev/v1", "kind": "Service",
               "spec": {"template": {"spec": {"containers": [container]}}}}
    webhook_answers(bench, "default", service)


def network_layer(bench: Bench) -> None:
    """The gateway, and Knative's controller of it."""
    namespace, service = GATEWAYS[bench.gateway]
    apply(bench, part(bench.gateway))
    small(bench, namespace)
    small(bench, "knative-serving")
    patch = json.dumps(settings.gateway_service(NODE_PORT))
    bench.kubectl.patiently("patch", "service", service, "-n", namespace, "-p", patch)
    ready(bench, namespace)
    ready(bench, "knative-serving")


def knative_settings(bench: Bench) -> None:
    """Domain, ingress class, and the registries that nobody is asked about."""
    for name, data in settings.knative(bench.gateway).items():
        merge(bench, ("configmap", name, "-n", "knative-serving"), {"data": data})


def kserve_controller(bench: Bench) -> None:
    """KServe's CRDs and controller. Its release file leaves the namespace to whoever installs it."""
    bench.kubectl.apply_text("apiVersion: v1\nkind: Namespace\nmetadata:\n  name: kserve\n")
    name, url = part("kserve").manifests[0]
    bench.kubectl.apply(bench.manifests.file(name, url))
    ready(bench, "kserve")
    kserve_answers(bench)


def kserve_settings(bench: Bench) -> None:
    """Knative mode, the domain, and whether KServe writes VirtualServices; the controller reads them as it starts."""
    found = json.loads(bench.kubectl("get", "configmap", "inferenceservice-config", "-n", "kserve", "-o", "json"))
    changed = settings.kserve(found["data"], bench.gateway)
    if not changed:
        return
    merge(bench, ("configmap", "inferenceservice-config", "-n", "kserve"), {"data": changed})
    bench.kubectl("rollout", "restart", "deployment/kserve-controller-manager", "-n", "kserve")
    bench.kubectl("rollout", "status", "deployment/kserve-controller-manager", "-n", "kserve", "--timeout=300s",
                  timeout_s=330)
    kserve_answers(bench)


def runtimes(bench: Bench) -> None:
    """The ClusterServingRuntimes; scikit-learn's with resources that fit twice on a laptop."""
    name, url = part("kserve").manifests[1]
    bench.kubectl.apply(bench.manifests.file(name, url))
    kind = "clusterservingruntime"
    found = json.loads(bench.kubectl("get", kind, "kserve-sklearnserver", "-o", "json"))
    merge(bench, (kind, "kserve-sklearnserver"), settings.runtime(found["spec"]))


def tutorial_models(bench: Bench) -> None:
    """A server of the two models, and a ClusterStorageContainer that asks it for `gs://` URIs."""
    kind = "clusterstoragecontainer"
    found = json.loads(bench.kubectl("get", kind, "default", "-o", "json"))
    merge(bench, (kind, "default"), settings.without_gs(found["spec"]))
    bench.kubectl.apply_text(yaml.safe_dump_all(models.objects(), sort_keys=False))
    ready(bench, models.NAMESPACE)


def apply(bench: Bench, what: Part) -> None:
    """Apply all manifests of a part, in order."""
    for name, url in what.manifests:
        bench.kubectl.apply(bench.manifests.file(name, url))


def merge(bench: Bench, target: tuple[str, ...], patch: settings.Object) -> None:
    """Merge-patch an object: what the patch does not name stays."""
    bench.kubectl.patiently("patch", *target, "--type", "merge", "-p", json.dumps(patch))


def small(bench: Bench, namespace: str) -> None:
    """Let Deployments ask for little, as KServe's own installer does: they use far less than they ask for."""
    requests = "--requests=cpu=10m,memory=40Mi"
    bench.kubectl.patiently("set", "resources", "deployment", "--all", "-n", namespace, requests)


def ready(bench: Bench, namespace: str) -> None:
    """Wait until every Deployment of a namespace is available. Raises ClusterError with the last warning there."""
    began, told = time.monotonic(), ""
    while True:
        waited = bench.kubectl.ask("wait", "--for=condition=Available", "deployment", "--all", "-n", namespace,
                                   f"--timeout={_LOOK_S}s", timeout_s=_LOOK_S + 60)
        if waited.returncode == 0:
            return
        warning = last_warning(bench, namespace)
        if time.monotonic() - began > READY_S:
            raise ClusterError(
                f"{namespace}: not ready after {READY_S:.0f} s: {warning or tools.last_line(waited)}. Look at it: "
                f"kubectl --kubeconfig {bench.kubectl.kubeconfig} get pods -n {namespace}. "
                "The same `kserve-nb up` goes on from here.")
        if warning != told and warning:
            bench.kubectl.notify(f"{namespace}: {warning}")
        told = warning
        time.sleep(tools.PAUSE_S)


def last_warning(bench: Bench, namespace: str) -> str:
    """What the newest warning of a namespace says: why a pod is not scheduled, or an image not fetched."""
    asked = bench.kubectl.ask(
        "get", "events", "-n", namespace, "--field-selector=type=Warning", "--sort-by=.lastTimestamp", "-o",
        "jsonpath={range .items[*]}{.involvedObject.name}: {.message}{'\\n'}{end}")
    lines = asked.stdout.strip().splitlines() if asked.returncode == 0 else []
    return lines[-1].strip() if lines else ""


def webhook_answers(bench: Bench, namespace: str, probe: settings.Object) -> None:
    """Wait until an admission webhook answers: an object is created and not kept (a dry run on the server)."""
    named = {**probe, "metadata": {"name": "kserve-nb-probe", "namespace": namespace}}
    bench.kubectl.patiently("create", "--dry-run=server", "-f", "-", stdin=json.dumps(named))


def kserve_answers(bench: Bench) -> None:
    """Wait until KServe's webhooks answer."""
    predictor = {"model": {"modelFormat": {"name": "sklearn"}, "storageUri": "gs://kfserving-examples/probe"}}
    webhook_answers(bench, "default", {"apiVersion": "serving.kserve.io/v1beta1", "kind": "InferenceService",
                                       "spec": {"predictor": predictor}})
