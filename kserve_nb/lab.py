"""The lab that a notebook works with: a cluster, its rollouts and checks, and the tutorial's steps."""

from __future__ import annotations

import asyncio
import html
import os
import secrets
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kserve_nb import clusters, doctor
from kserve_nb.access import gateway_discovery
from kserve_nb.access.api_client import INFERENCE_SERVICE, NAMESPACE, Client, ReadOnlyError, RefusedError
from kserve_nb.access.ingress import Rows
from kserve_nb.checks.tutorial import Checks
from kserve_nb.doctor import Report, summary
from kserve_nb.gates.gated_rollout import GatedRollout
from kserve_nb.observe.feed.story_recorder import StoryRecorder
from kserve_nb.observe.notebook_session import NotebookSession, evidence_file
from kserve_nb.observe.step_progress import StepProgress
from kserve_nb.rollout.errors import NotReadyError
from kserve_nb.rollout.sampling import Tally
from kserve_nb.rollout.waiting import interruptible
from kserve_nb.tasks import progress_text
from kserve_nb.tasks.attempts import begin
from kserve_nb.tasks.course_questions import question_named
from kserve_nb.tasks.course_tasks import task_named
from kserve_nb.tasks.drill import LOCKED
from kserve_nb.tasks.drill_faults import fault_of
from kserve_nb.tasks.learner_progress import LearnerProgress
from kserve_nb.values import manifest
from kserve_nb.values.cluster import Cluster
from kserve_nb.values.pods import Pod
from kserve_nb.values.revisions import short
from kserve_nb.values.rollout_status import RolloutStatus
from kserve_nb.values.text import render

if TYPE_CHECKING:
    from kserve_nb.widgets.drill_card import DrillCard
    from kserve_nb.widgets.prediction_card import PredictionCard
    from kserve_nb.widgets.task_card import TaskCard

_POLL_S = 0.25
TUTORIAL = "sklearn-iris"  # the InferenceService of the tutorial

# The tutorial's steps in order: the document that each applies, and the traffic after it.
_Traffic = tuple[tuple[str, int], ...]
STEPS: dict[str, tuple[dict[str, Any], _Traffic]] = {
    "first-model": (
        manifest.inference_service(TUTORIAL, manifest.MODEL),
        (("00001", 100),),
    ),
    "canary-10": (
        manifest.inference_service(TUTORIAL, manifest.MODEL_2, percent=10),
        (("00002", 10), ("00001", 90)),
    ),
    "promoted": (
        manifest.inference_service(TUTORIAL, manifest.MODEL_2),
        (("00002", 100),),
    ),
    "pinned": (
        manifest.inference_service(TUTORIAL, manifest.MODEL_2, percent=0),
        (("00002", 0), ("00001", 100)),
    ),
    "tagged": (
        manifest.inference_service(TUTORIAL, manifest.MODEL_2, percent=10, tag_routing=True),
        (("00003", 10), ("00001", 90)),
    ),
}


class Lab:
    """A cluster with its rollouts and checks: what a notebook works with.

    >>> lab.rollout().status().latest.percent
    10
    >>> passed = lab.check.split_status(percent=10)
    ✔ PREV=90 (00001) LATEST=10 (00002)
    """

    def __init__(self, cluster: Cluster):
        self.client = Client(cluster)
        self.client.read_only = cluster.read_only or self.client.forbidden()
        self.ingress = gateway_discovery.find(cluster, self.client, os.environ)
        self.cluster = replace(cluster, ingress=self.ingress.address, read_only=self.client.read_only)
        self.check = Checks(self.client, self.ingress, doctor=lambda: summary.in_a_line(self.cluster))
        self.stopped_kernels: tuple[str, ...] = ()  # kernels of earlier notebooks of the course
        self.progress = LearnerProgress()
        self._drill: DrillCard | None = None  # the last one
        self.restored: tuple[str, ...] = ()  # names of evidence that an earlier kernel of this notebook had collected
        self._recorders: dict[str, StoryRecorder] = {}  # by the name of the InferenceService

    @property
    def read_only(self) -> str:
        """Why nothing can be changed here; empty if it can."""
        return self.client.read_only

    @property
    def models(self) -> clusters.ModelPublisher:
        """Publishes your own models: `lab.models.publish(model, "wine/v1")` returns a storageUri."""
        return clusters.ModelPublisher(self.cluster)

    def rollout(self, name: str = TUTORIAL, *, rows: Rows | None = None) -> GatedRollout:
        """The rollout of one InferenceService, which does not have to exist yet. A notebook records its story.

        Args:
            name: of the InferenceService.
            rows: inputs of its model, from which requests are chosen; by default flowers, as in the tutorial.
        """
        in_notebook = _shell() is not None
        if name not in self._recorders:
            self._recorders[name] = StoryRecorder(self._unrecorded(name), _display if in_notebook else None)
        if in_notebook:
            self._recorders[name].start()
        return GatedRollout(self.client, self.ingress, name, rows=rows, recorder=self._recorders[name])

    def _unrecorded(self, name: str = TUTORIAL) -> GatedRollout:
        return GatedRollout(self.client, self.ingress, name)

    def manifest(
        self,
        model: str,
        *,
        name: str = TUTORIAL,
        percent: int | None = None,
        tag_routing: bool = False,
        old_schema: bool = False,
    ) -> manifest.Document:
        """The document of an InferenceService, as the tutorial writes it.

        >>> lab.manifest("gs://my-bucket/model", percent=10)["spec"]["predictor"]["canaryTrafficPercent"]
        10

        Args:
            model: the storageUri.
            percent: `canaryTrafficPercent`; None leaves the field out.
            tag_routing: adds the annotation that adds the `latest-` host.
            old_schema: puts the model under `predictor.sklearn`, as before KServe 0.8.
        """
        return manifest.inference_service(
            name, model, percent=percent, tag_routing=tag_routing, old_schema=old_schema)

    def task(self, name: str) -> TaskCard:
        """A task to do alone, by any means. It is done when the cluster's state shows it.

        >>> task = lab.task("canary-percent")
        >>> print(task.finish())
        ○ task canary-percent is open: the traffic is PREV 90 % (00001), LATEST 10 % (00002). The notebook goes on ...
        """
        from kserve_nb.widgets.task_card import TaskCard  # imports IPython, which a script does not need

        task, seed = task_named(name), self.progress.seed
        targets = task.targets(seed)
        return TaskCard(task, self._unrecorded(targets.service), targets, self.progress, seed)

    def predict(self, name: str) -> PredictionCard:
        """A question to answer before a change; afterwards it shows the cluster's answer next to yours.

        >>> prediction = lab.predict("percent-revision")
        >>> prediction.enter("no")
        >>> print(prediction.text)
        ? Will there be a revision 00003?
          your prediction: no
          The cluster answers after the next cells.
        """
        from kserve_nb.widgets.prediction_card import PredictionCard  # imports IPython, which a script does not need

        return PredictionCard(question_named(name), self._unrecorded(), self.progress)

    async def drill(self, seed: int | None = None, timeout_s: float = 180) -> DrillCard:
        """Set up one fault, to be found and repaired unaided. The doctor is locked until one attempt was made.

        Args:
            seed: which fault; None draws one.
            timeout_s: how long the healthy canary, with which a drill begins, may take.
        """
        from kserve_nb.widgets.drill_card import DrillCard  # imports IPython, which a script does not need

        seed = secrets.randbelow(1000) if seed is None else seed
        await self.ensure("canary-10", timeout_s)
        rollout = self._unrecorded()
        self._drill = DrillCard(seed, fault_of(seed), rollout, self.progress, rollout.host())
        await self._drill.begin()
        return self._drill

    async def ensure(self, step: str, timeout_s: float = 180) -> RolloutStatus:
        """Bring the tutorial's InferenceService to a step, from any state.

        The steps are `first-model`, `canary-10`, `promoted`, `pinned`, `tagged`. Steps that are done already are
        kept; in any other state the InferenceService is deleted and created again. Each step is applied as
        `kubectl apply` does it, so that the tutorial's next command works on it.

        Raises:
            ValueError: there is no such step.
            NotReadyError: a step was not done within timeout_s.
            ReadOnlyError: nothing can be changed here, and the InferenceService is not at that step.
        """
        names = list(STEPS)
        if step not in names:
            raise ValueError(f"There is no step {step!r}. The steps are: {', '.join(names)}.")
        wanted = names[: names.index(step) + 1]
        if self.read_only:
            return await asyncio.to_thread(self._found_at, self._unrecorded(), step, wanted)
        progress = StepProgress(step, notebook=_shell() is not None)
        with interruptible(f"{TUTORIAL} is on its way to step {step!r}."):
            return await self._brought_to(wanted, timeout_s, progress)

    async def _brought_to(self, wanted: list[str], timeout_s: float, progress: StepProgress) -> RolloutStatus:
        rollout = self._unrecorded()
        await self._make_namespace(timeout_s)
        done = await asyncio.to_thread(self._done, rollout, wanted)
        if not done:
            progress.show("deleting what is there")
            await self.reset(timeout_s)
        # Apply the last step that is done again: a rollout changed by other means has no last-applied annotation.
        for count, name in enumerate(wanted, start=1):
            if count >= done:
                if count > done:
                    progress.show(f"applying step {count} of {len(wanted)}, {name!r}, and waiting for it")
                rollout.apply(STEPS[name][0])
                await rollout.wait(timeout_s)
        await rollout.wait_pods(timeout_s)  # only for the last step: on a real cluster each wait takes a minute
        progress.end()
        status = rollout.status()
        for recorder in self._recorders.values():
            await asyncio.to_thread(recorder.catch_up, status.version)
            recorder.skip()
        return status

    async def reset(self, timeout_s: float = 180, *, name: str = TUTORIAL) -> None:
        """Delete an InferenceService, by default the tutorial's, and wait until it and all its pods are gone."""
        rollout = self._unrecorded(name)
        await asyncio.to_thread(rollout.delete)
        late = (
            f"{rollout.name}: it or its pods still exist {timeout_s:.0f} s after the deletion. "
            "See what is left: %kubectl get isvc,pods"
        )
        await _until_not(lambda: self._left(rollout), timeout_s, late)

    def doctor(
        self, *, curl: str | None = None, error: str | None = None, tally: Tally | None = None,
        namespace: str | None = None, all_namespaces: bool = False,
    ) -> Report:  # fmt: skip
        """Find what is wrong, and what to do about it. Changes nothing.

        Args:
            curl: a curl command to explain.
            error: an error message to explain.
            tally: the result of `rollout.send()` to explain.
            namespace: the namespace to examine; by default the lab's.
            all_namespaces: examine every namespace that has InferenceServices.
        """
        if self._drill is not None and self._drill.is_locked:
            return Report((), unknown=LOCKED)
        shell = _shell()
        variables = shell.user_ns if shell is not None else {}
        own = {name: value for name, value in variables.items() if isinstance(value, str | int)}
        return doctor.examine(
            self.cluster, curl=curl, error=error, tally=tally, variables=own, all_namespaces=all_namespaces,
            namespace=namespace or self.cluster.namespace, notebook=shell is not None,
        )  # fmt: skip

    def __repr__(self) -> str:
        return "\n".join([render.cluster_line(self.cluster), *self._notes()])

    def _repr_html_(self) -> str:
        notes = "".join(f"<div>{html.escape(note)}</div>" for note in self._notes())
        return render.cluster_html(self.cluster) + notes

    def _notes(self) -> list[str]:
        stopped, restored = ", ".join(self.stopped_kernels), ", ".join(self.restored)
        notes = [f"stopped the kernels of finished notebooks, to save memory: {stopped}"] if stopped else []
        notes += [f"restored what the former kernel had counted: {restored}"] if restored else []
        shows_progress = _shell() is not None and not self.progress.off
        return [*notes, *([f"your progress: {progress_text.headline(self.progress)}"] if shows_progress else [])]

    async def _make_namespace(self, timeout_s: float) -> None:
        """Create the namespace if it does not exist; wait first if it is being deleted."""
        name = self.client.namespace
        late = f"{name}: the namespace is still being deleted after {timeout_s:.0f} s. See: %kubectl get ns,all"
        await _until_not(self._namespace_ends, timeout_s, late)
        try:
            await asyncio.to_thread(self.client.create, NAMESPACE, {"metadata": {"name": name}})
        except RefusedError as refused:
            if refused.reason != "AlreadyExists":
                self.client.require_namespace()  # without the right to create a namespace, use an existing one

    def _namespace_ends(self) -> bool:
        found = self.client.find(NAMESPACE, self.client.namespace)
        return found is not None and "deletionTimestamp" in found["metadata"]

    def _done(self, rollout: GatedRollout, wanted: list[str]) -> int:
        """How many of these steps are done, if nothing beyond them is."""
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

    def _found_at(self, rollout: GatedRollout, step: str, wanted: list[str]) -> RolloutStatus:
        """The status, if the InferenceService is at that step already."""
        if self._done(rollout, wanted) != len(wanted):
            raise ReadOnlyError(
                f"{rollout.name} is not at step {step!r}, and cannot be changed: {self.read_only}.",
                "Forbidden",
            )
        return rollout.status()

    def _left(self, rollout: GatedRollout) -> bool:
        return self.client.find(INFERENCE_SERVICE, rollout.name) is not None or bool(rollout.pods())


async def _until_not(holds: Callable[[], bool], timeout_s: float, late: str) -> None:
    """Wait until a condition no longer holds. Raises NotReadyError with this message after timeout_s."""
    deadline = time.monotonic() + timeout_s
    with interruptible("the deletion goes on."):
        while await asyncio.to_thread(holds):
            if time.monotonic() > deadline:
                raise NotReadyError(late)
            await asyncio.sleep(_POLL_S)


def connect(
    cluster: str | None = None,
    *,
    name: str | None = None,
    namespace: str = "kserve-test",
    attempt: str = "same",
    kubeconfig: str | Path | None = None,
    context: str | None = None,
    ingress: str | None = None,
) -> Lab:
    """Connect to a cluster, by default to the embedded one, which is started if it is not running.

    Sets KUBECONFIG for this process, and makes %kubectl and %curl of this notebook use the cluster.

    >>> lab = connect("attach", kubeconfig=kubeconfig, ingress=ingress)
    >>> lab
    attach cluster default · namespace kserve-test · gateway 127.0.0.1:...

    Args:
        cluster: `embedded`, `kind`, `attach`, or None (or `auto`) to choose by what is running and what is given.
        name: the name of a cluster on this machine; by default $KSERVE_NB_NAME or `default`.
        namespace: of the InferenceServices; it does not have to exist yet.
        attempt: `same` keeps the values of the tasks, `new` draws others once, and any other word draws those that
            belong to it.
        kubeconfig: attach: a kubeconfig file; by default $KUBECONFIG.
        context: attach: a context in it, by default the current one. A context whose name suggests production must
            be named.
        ingress: attach: HOST:PORT of the ingress gateway; by default it is discovered.
    """
    found = clusters.connect(
        cluster, name=name, kubeconfig=kubeconfig, context=context, ingress=ingress, namespace=namespace
    )
    lab = Lab(found)
    begin(lab.progress, attempt, progress_text.running_notebook())
    lab.ingress.locate = lambda: _ingress_of(found.name)
    os.environ["KUBECONFIG"] = str(found.kubeconfig)
    shell = _shell()
    if shell is not None:
        from kserve_nb.magics import magics  # imports IPython, which a script does not need
        from kserve_nb.magics.finished_kernels import stop_finished_kernels

        magics.load(shell, lab.cluster)
        lab.stopped_kernels = stop_finished_kernels()
        _register_formatters(shell)
        session = NotebookSession(shell, lab.rollout(), evidence_file())
        lab.restored = session.restore()
        session.start()
    return lab


def _ingress_of(name: str) -> str:
    """The gateway's address now, if the cluster has a fixed one: a cluster that was created again has another."""
    record = clusters.read(name)
    return record.ingress if record else ""


def _shell() -> Any:
    """The running IPython shell; None in a plain Python process, where IPython is not even imported."""
    ipython = sys.modules.get("IPython")
    return ipython.get_ipython() if ipython else None


def _display(value: Any) -> None:
    from IPython.display import display

    display(value)  # type: ignore[no-untyped-call]  # IPython does not type it


def _register_formatters(shell: Any) -> None:
    """Make IPython show a status and a pod in the same words as the rest of the package."""
    plain = shell.display_formatter.formatters["text/plain"]
    plain.for_type(RolloutStatus, lambda value, printer, _cycle: printer.text(render.status_line(value)))
    plain.for_type(Pod, lambda value, printer, _cycle: printer.text(render.pod_line(value)))
