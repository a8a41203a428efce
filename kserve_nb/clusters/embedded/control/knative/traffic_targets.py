"""Resolves a Route's traffic: the revision of each target, grouped by the host that serves it.

Source: knative.dev/serving pkg/reconciler/route/traffic/traffic.go (`BuildTrafficConfiguration`) and errors.go.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from kserve_nb.clusters.embedded.apimachinery.kinds import CONFIGURATION, REVISION
from kserve_nb.clusters.embedded.apimachinery.objects import Object, Objects, condition
from kserve_nb.clusters.embedded.control.knative.configuration import is_ready
from kserve_nb.values.labels import CONFIGURATION_LABEL, SERVICE_LABEL

DEFAULT = ""  # the group of the Route's own host; the other groups are named by their tag
H2C = "h2c"


@dataclass(frozen=True)
class RevisionTarget:
    """A revision and its percent in one group."""

    revision: str
    configuration: str
    percent: int
    latest: bool
    tag: str = DEFAULT
    port: int = 80  # the port of the revision's Service; 81 for h2c (networking `ServicePort`)


@dataclass(frozen=True)
class Traffic:
    """A Route's resolved traffic."""

    targets: tuple[RevisionTarget, ...]  # in the order of the Route's spec
    groups: dict[str, tuple[RevisionTarget, ...]]  # by tag: the targets that share a host's traffic


class BadTargetError(Exception):
    """A target cannot receive traffic, with reason and message for the condition AllTrafficAssigned.

    Args:
        failed: whether waiting cannot help, so that the condition is False instead of Unknown.
    """

    def __init__(self, failed: bool, reason: str, message: str):
        super().__init__(message)
        self.failed, self.reason, self.message = failed, reason, message


def resolve(route: Object, view: Objects) -> Traffic:
    """The revisions that a Route's targets refer to now. Raises BadTargetError unless all of them are ready.

    Of several bad targets the first one is reported, unless a later one has failed for good (`deferTargetError`).
    """
    targets, bad = [], None
    for spec in route["spec"].get("traffic") or []:
        try:
            targets.append(_target(spec, route, view))
        except BadTargetError as error:
            if bad is None or error.failed:
                bad = error
    if bad is not None:
        raise bad
    groups: dict[str, list[RevisionTarget]] = {}
    for target in targets:
        for name in dict.fromkeys((DEFAULT, target.tag)):
            groups.setdefault(name, []).append(target)
    return Traffic(_merge(targets), {name: _consolidate(group) for name, group in groups.items()})


def _target(spec: Object, route: Object, view: Objects) -> RevisionTarget:
    """Resolve one target (`addRevisionTarget`, `addConfigurationTarget`)."""
    namespace = route["metadata"]["namespace"]
    if spec.get("revisionName"):
        revision = _find_revision(spec["revisionName"], view, namespace)
        _check_owner(revision, route)
        configuration = (revision["metadata"].get("labels") or {}).get(CONFIGURATION_LABEL, "")
    else:
        configuration = spec["configurationName"]
        revision = _find_revision(_latest_ready(configuration, view, namespace), view, namespace)
    name = revision["metadata"]["name"]
    if not is_ready(revision):
        failed = condition(revision, "Ready").get("status") == "False"
        raise BadTargetError(failed, "RevisionMissing", f'Revision "{name}" failed to become ready.' if failed
                             else f'Revision "{name}" is not yet ready.')
    return RevisionTarget(name, configuration, spec.get("percent") or 0, bool(spec.get("latestRevision")),
                  spec.get("tag", DEFAULT), _port(revision))


def _find_revision(name: str, view: Objects, namespace: str) -> Object:
    revision = view.find(REVISION, namespace, name)
    if revision is None:
        raise BadTargetError(True, "RevisionMissing", f'Revision "{name}" referenced in traffic not found.')
    return revision


def _latest_ready(configuration: str, view: Objects, namespace: str) -> str:
    found = view.find(CONFIGURATION, namespace, configuration)
    if found is None:
        raise BadTargetError(
            True, "ConfigurationMissing", f'Configuration "{configuration}" referenced in traffic not found.')
    name = (found.get("status") or {}).get("latestReadyRevisionName")
    if name:
        return str(name)
    failed = condition(found, "Ready").get("status") == "False"
    state = "does not have any ready Revision." if failed else "is waiting for a Revision to become ready."
    raise BadTargetError(failed, "RevisionMissing", f'Configuration "{configuration}" {state}')


def _check_owner(revision: Object, route: Object) -> None:
    """Raise BadTargetError if the revision belongs to another Service (`MarkRevisionNotOwned`)."""
    expected = (route["metadata"].get("labels") or {}).get(SERVICE_LABEL)
    actual = (revision["metadata"].get("labels") or {}).get(SERVICE_LABEL)
    if expected and actual != expected:
        name = revision["metadata"]["name"]
        raise BadTargetError(
            True, "RevisionNotOwned", f'Revision "{name}" belongs to Service "{actual}", not Service "{expected}".'
            if actual else f'Revision "{name}" does not belong to Service "{expected}".')


def _port(revision: Object) -> int:
    ports = [port for container in revision["spec"]["containers"] for port in container.get("ports") or []]
    return 81 if ports and ports[0].get("name") == H2C else 80


def _merge(targets: list[RevisionTarget]) -> tuple[RevisionTarget, ...]:
    """Add up targets that differ only in their percent (`mergeIfNecessary`)."""
    merged: dict[tuple[str, str, bool], RevisionTarget] = {}
    for target in targets:
        key = (target.tag, target.revision, target.latest)
        before = merged.get(key)
        merged[key] = replace(before, percent=before.percent + target.percent) if before else target
    return tuple(merged.values())


def _consolidate(group: list[RevisionTarget]) -> tuple[RevisionTarget, ...]:
    """Add up the percents of each revision; a single revision gets 100 % (`consolidate`)."""
    by_revision: dict[str, RevisionTarget] = {}
    for target in group:
        before = by_revision.get(target.revision)
        by_revision[target.revision] = replace(before, percent=before.percent + target.percent) if before else target
    alone = len(by_revision) == 1
    return tuple(replace(target, percent=100) if alone else target for target in by_revision.values())
