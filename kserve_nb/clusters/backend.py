"""`Backend`, the protocol of each kind of cluster: no other code depends on which kind a cluster is."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from kserve_nb.clusters.publishing.model_claim import PublishedModel
from kserve_nb.clusters.publishing.model_package import ModelPackage
from kserve_nb.clusters.state import Record

Notify = Callable[[str], object]  # receives lines about the progress


@dataclass(frozen=True)
class Option:
    """An option of `kserve-nb up`: which values it takes, and what its help says."""

    name: str  # as a Python identifier: ingress_port is --ingress-port
    help: str
    type: type[float] | type[int] | type[str] | type[Path] = str
    default: str = ""  # what the help shows as the default
    choices: tuple[str, ...] = ()
    minimum: float | None = None
    maximum: float | None = None
    above_minimum: bool = False  # the minimum itself is not a valid value
    metavar: str | None = None
    unique: bool = False  # no two clusters can have the same value

    @property
    def flag(self) -> str:
        """The option as a user types it, for example `--ingress-port`."""
        return "--" + self.name.replace("_", "-")


GATEWAY = Option("gateway", "The ingress gateway, which also sets the form of the URLs.", choices=("istio", "kourier"),
                 default="istio")
INGRESS_PORT = Option("ingress_port", "The port of the ingress gateway on 127.0.0.1.", int, minimum=1, maximum=65535,
                      default="a free one", unique=True)


@dataclass(frozen=True)
class PartStatus:
    """The state of one part of a cluster, for example of its gateway."""

    name: str
    state: str
    since: float = 0.0  # POSIX seconds
    restarts: int = 0
    problem: str = ""  # why it ended or cannot start, with the last line of its log


@dataclass(frozen=True)
class Status:
    """Whether a cluster can be used now."""

    state: str  # running, stopped, or another word of its backend
    ready: bool
    reason: str = ""  # why it is not ready, and what to do
    parts: tuple[PartStatus, ...] = ()
    problems: tuple[str, ...] = ()  # what is wrong although the cluster can be used, one line each


@dataclass(frozen=True)
class BackendCommand:
    """A command that exists for one kind of cluster only: `kserve-nb KIND NAME`."""

    name: str
    help: str
    run: Callable[[Mapping[str, Any]], Iterable[str]]  # receives the options that were given; returns lines
    options: tuple[Option, ...] = ()


class Backend(Protocol):
    """One kind of cluster. `backends/` has one module for each, with an instance named BACKEND."""

    name: str  # the value of --cluster
    summary: str  # where such a cluster runs, for the help of --cluster
    options: tuple[Option, ...]  # those of `kserve-nb up` that it takes
    commands: tuple[BackendCommand, ...]
    side_by_side: bool  # whether notebooks can run at the same time, each on a new cluster of this kind
    deleted: str  # the result of `kserve-nb down` in one word: "deleted", "forgotten here"

    def start(self, name: str, before: Record | None, namespace: str, options: Mapping[str, Any],
              notify: Notify) -> Record:
        """Start the cluster, resume it, or find it running; return when it can be used.

        The caller holds the cluster's lock, and has compared the options with `settings`.

        Args:
            name: the cluster's name.
            before: its record; None if it is new.
            namespace: the namespace of its kubeconfig's context.
            options: the values of those options that were given.
            notify: receives lines about the progress.
        """

    def stop(self, record: Record) -> None:
        """Stop the cluster and keep its objects. The caller holds the lock. Raises ClusterError if it cannot stop."""

    def release(self, name: str, record: Record | None) -> None:
        """End the processes and containers of the cluster, before its state folder is removed.

        The caller holds the lock. Raises ClusterError if something of the cluster is left.

        Args:
            name: the cluster's name.
            record: its record; None if it is lost.
        """

    def status(self, record: Record) -> Status:
        """Whether the cluster can be used now."""

    def usable(self, record: Record) -> bool:
        """Whether a notebook can use the cluster without starting it: a quick answer, without waiting."""

    def settings(self, record: Record) -> Mapping[str, Any]:
        """The values of the options that cannot change while the cluster exists."""

    def describe(self, record: Record) -> str:
        """Further facts that `kserve-nb status` shows, for example the form of the URLs; may be empty."""

    def publish(self, record: Record, namespace: str, package: ModelPackage) -> PublishedModel:
        """Put a model where pods of the namespace can read it. A namespace that does not exist is created.

        Raises PublishError if another model has this name and version, or if the storage cannot be written.
        """

    def scikit_learn(self, record: Record) -> str:
        """The scikit-learn version of the cluster's model server; empty if it is not known."""
