"""A lab: a cluster, its rollouts and checks, and the steps of the tutorial to stand on."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from IPython import get_ipython  # type: ignore[attr-defined]  # IPython exports it without saying so

from kserve_nb import clusters, doctor
from kserve_nb.access import gateway_discovery
from kserve_nb.access.api_client import INFERENCE_SERVICE, NAMESPACE, Client, ReadOnlyError, RefusedError
from kserve_nb.checks.tutorial import Checks
from kserve_nb.doctor import Report, summary
from kserve_nb.magics import magics
from kserve_nb.rollout.errors import NotReadyError
from kserve_nb.rollout.rollout import Rollout
from kserve_nb.rollout.sampling import Tally
from kserve_nb.values import manifest, render
from kserve_nb.values.cluster import Cluster
from kserve_nb.values.pods import Pod
from kserve_nb.values.revisions import short
from kserve_nb.values.rollout_status import RolloutStatus

_LOOK_S = 0.25

# The tutorial's steps in order: what each applies, and where traffic is after it.
_Traffic = tuple[tuple[str, int], ...]
STEPS: dict[str, tuple[dict[str, Any], _Traffic]] = {
    "first-model": (
        manifest.inference_service("sklearn-iris", manifest.MODEL),
        (("00001", 100),),
    ),
    "canary-10": (
        manifest.inference_service("sklearn-iris", manifest.MODEL_2, percent=10),
        (("00002", 10), ("00001", 90)),
    ),
    "promoted": (
        manifest.inference_service("sklearn-iris", manifest.MODEL_2),
        (("00002", 100),),
    ),
    "pinned": (
        manifest.inference_service("sklearn-iris", manifest.MODEL_2, percent=0),
        (("00002", 0), ("00001", 100)),
    ),
    "tagged": (
        manifest.inference_service("sklearn-iris", manifest.MODEL_2, percent=10, tag_routing=True),
        (("00003", 10), ("00001", 90)),
    ),
}


class Lab:
    """What a notebook works with: `.cluster`, `.rollout(name)`, `.check`, `await .ensure(step)`, `await .reset()`."""

    def __init__(self, cluster: Cluster):
        self.client = Client(cluster)
        self.client.read_only = cluster.read_only or self.client.forbidden()
        self.ingress = gateway_discovery.find(cluster, self.client, os.environ)
        self.cluster = replace(cluster, ingress=self.ingress.address, read_only=self.client.read_only)
        self.check = Checks(self.client, self.ingress, doctor=lambda: summary.in_a_line(self.cluster))

    @property
    def read_only(self) -> str:
        """Why nothing may be changed here; empty where it may."""
        return self.client.read_only

    def rollout(self, name: str = "sklearn-iris") -> Rollout:
        """The rollout of one InferenceService, which need not exist yet."""
        return Rollout(self.client, self.ingress, name)

    async def ensure(self, step: str, timeout_s: float = 180) -> RolloutStatus:
        """Bring the tutorial's InferenceService to a step, from wherever it is.

        The steps are `first-model`, `canary-10`, `promoted`, `pinned`, `tagged`.
        Steps that were taken already are kept; where it stands somewhere else, it is deleted and begun again. Each
        step is applied as `kubectl apply` does, so that the tutorial's next command works on it.

        Raises:
            ValueError: there is no such step.
            NotReadyError: a step was not done within timeout_s.
            ReadOnlyError: nothing may be changed here, and it does not stand at that step.
        """
        names = list(STEPS)
        if step not in names:
            raise ValueError(f"{step}: there is no such step. The steps are {', '.join(names)}.")
        rollout = self.rollout()
        wanted = names[: names.index(step) + 1]
        if self.read_only:
            return await asyncio.to_thread(self._found_at, rollout, step, wanted)
        await self._make_namespace(timeout_s)
        done = await asyncio.to_thread(self._done, rollout, wanted)
        if not done:
            await self.reset(timeout_s)
        # The last step taken is applied again: who got there otherwise did not write what `kubectl apply` remembers.
        for name in wanted[max(done - 1, 0) :]:
            rollout.apply(STEPS[name][0])
            await rollout.wait(timeout_s)
        await rollout.wait_pods(timeout_s)  # of the last step alone: a real cluster's windows last a minute each
        return rollout.status()

    async def reset(self, timeout_s: float = 180) -> None:
        """Delete the tutorial's InferenceService; wait until it and all its pods, Terminating ones too, are gone."""
        rollout = self.rollout()
        await asyncio.to_thread(rollout.delete)
        late = (
            f"{rollout.name}: it or its pods are still there {timeout_s:.0f} s after it was deleted. "
            "Look at %kubectl get isvc,pods."
        )
        await _until_not(lambda: self._left(rollout), timeout_s, late)

    def doctor(self, *, curl: str | None = None, error: str | None = None, tally: Tally | None = None) -> Report:
        """Name the first thing that is wrong, and what to do; changes nothing.

        Args:
            curl: a command to explain, as %%curl takes it.
            error: a message to explain.
            tally: a sample of requests to explain.
        """
        shell = get_ipython()  # type: ignore[no-untyped-call]  # IPython does not type it
        variables = shell.user_ns if shell is not None else {}
        own = {name: value for name, value in variables.items() if isinstance(value, str | int)}
        return doctor.examine(self.cluster, curl=curl, error=error, tally=tally, variables=own)

    def __repr__(self) -> str:
        return render.cluster_line(self.cluster)

    def _repr_html_(self) -> str:
        return render.cluster_html(self.cluster)

    async def _make_namespace(self, timeout_s: float) -> None:
        """See that the namespace is there; one that is being deleted goes first."""
        name = self.client.namespace
        late = f"{name}: the namespace is still being deleted after {timeout_s:.0f} s. Look at %kubectl get ns,all."
        await _until_not(self._namespace_ends, timeout_s, late)
        try:
            await asyncio.to_thread(self.client.create, NAMESPACE, {"metadata": {"name": name}})
        except RefusedError as refused:
            if refused.reason != "AlreadyExists":
                self.client.require_namespace()  # who may not create one may have been given one

    def _namespace_ends(self) -> bool:
        found = self.client.find(NAMESPACE, self.client.namespace)
        return found is not None and "deletionTimestamp" in found["metadata"]

    def _done(self, rollout: Rollout, wanted: list[str]) -> int:
        """How many of these steps have been taken, and nothing beyond them."""
        live = self.client.find(INFERENCE_SERVICE, rollout.name)
        if live is None:
            return 0
        status = RolloutStatus.of(live)
        seen = tuple((short(target.revision), target.percent) for target in status.traffic)
        for count, name in reversed(list(enumerate(wanted, start=1))):
            document, traffic = STEPS[name]
            if seen == traffic and not manifest.diff(live, document):
                return count
        return 0

    def _found_at(self, rollout: Rollout, step: str, wanted: list[str]) -> RolloutStatus:
        """The status where it stands at that step already: all that can be had where nothing may be changed."""
        if self._done(rollout, wanted) != len(wanted):
            raise ReadOnlyError(
                f"{rollout.name} does not stand at {step!r}, and cannot be brought there: {self.read_only}.",
                "Forbidden",
            )
        return rollout.status()

    def _left(self, rollout: Rollout) -> bool:
        return self.client.find(INFERENCE_SERVICE, rollout.name) is not None or bool(rollout.pods())


async def _until_not(holds: Callable[[], bool], timeout_s: float, late: str) -> None:
    """Wait until it no longer holds. Raises NotReadyError with what is late."""
    deadline = time.monotonic() + timeout_s
    while await asyncio.to_thread(holds):
        if time.monotonic() > deadline:
            raise NotReadyError(late)
        await asyncio.sleep(_LOOK_S)


def connect(
    cluster: str | None = None,
    *,
    name: str | None = None,
    namespace: str = "kserve-test",
    kubeconfig: str | Path | None = None,
    context: str | None = None,
    ingress: str | None = None,
) -> Lab:
    """A lab on a cluster: the embedded one by default, which is started where it is not up.

    Sets KUBECONFIG for this process, and makes %kubectl and %curl of this notebook speak to the cluster.

    Args:
        cluster: `embedded`, `kind`, `attach`, or None (or `auto`) to let what is up and what is given decide.
        name: which of the clusters on this machine; $KSERVE_NB_NAME or `default` where not given.
        namespace: where the InferenceServices are; it need not exist yet.
        kubeconfig: attach: the file that tells how to reach the cluster; $KUBECONFIG where not given.
        context: attach: a context in it, the current one where not given; one that looks like production must be named.
        ingress: attach: HOST:PORT of its gateway; found by itself where it can be.
    """
    found = clusters.connect(
        cluster, name=name, kubeconfig=kubeconfig, context=context, ingress=ingress, namespace=namespace
    )
    lab = Lab(found)
    os.environ["KUBECONFIG"] = str(found.kubeconfig)
    shell = get_ipython()  # type: ignore[no-untyped-call]  # IPython does not type it
    if shell is not None:
        magics.load(shell, lab.cluster)
        _teach(shell)
    return lab


def _teach(shell: Any) -> None:
    """Let IPython show values as the rest of the package does."""
    plain = shell.display_formatter.formatters["text/plain"]
    plain.for_type(RolloutStatus, lambda value, printer, _cycle: printer.text(render.status_line(value)))
    plain.for_type(Pod, lambda value, printer, _cycle: printer.text(render.pod_line(value)))
