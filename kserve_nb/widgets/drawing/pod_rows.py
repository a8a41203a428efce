"""The pods of a rollout by revision, the expected number of pods, and the pods deleted a moment ago."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

from kserve_nb.observe.snapshot import DeletedPod, Snapshot, clock
from kserve_nb.values.pods import Pod
from kserve_nb.values.revisions import short
from kserve_nb.values.text import render
from kserve_nb.values.text.foreign_text import last_line
from kserve_nb.widgets.drawing.frame import card, revision_role, with_state
from kserve_nb.widgets.drawing.markup import hidden, safe, table
from kserve_nb.widgets.drawing.palette import revision_mark

_ROWS_SHOWN = 20  # per revision: a table of a thousand pods still fits on one screen
_HEAD = ("REVISION", "READY", "STATUS", "RESTARTS", "POD", "WHY")
PodOrder = Literal["not ready first", "most restarts first", "name"]
_KEYS: dict[PodOrder, Callable[[Pod], tuple[Any, ...]]] = {
    "not ready first": lambda pod: (pod.is_ready, pod.name),
    "most restarts first": lambda pod: (-pod.restarts, pod.name),
    "name": lambda pod: (pod.name,),
}
POD_ORDERS = tuple(_KEYS)


def text(snapshot: Snapshot, revision: str = "", order: PodOrder = POD_ORDERS[0]) -> str:
    """kubectl's columns by revision and the expected pods, without names and ages, which differ from run to run."""
    groups = _groups(snapshot, revision, order)
    shown = [pod for pods in groups.values() for pod in pods[:_ROWS_SHOWN]]
    header, rows = render.pod_table(shown)
    hidden_counts = {short(name): len(pods) - _ROWS_SHOWN for name, pods in groups.items()}
    more = [f"{name}: and {count} more" for name, count in hidden_counts.items() if count > 0]
    pods_text = render.text((header, rows)) if rows else f"{snapshot.name}: no pods"
    gone = [f"gone at {clock(one.deleted_at)}: pod of {short(one.pod.revision)}" for one in snapshot.deleted_pods]
    return with_state(snapshot, "\n".join(filter(None, (pods_text, *more, expected_pods(snapshot), *gone))))


def html(snapshot: Snapshot, revision: str = "", order: PodOrder = POD_ORDERS[0], picked: str = "") -> str:
    """The pods as an HTML table; deleted pods are struck through for a while. A click on a row selects its pod."""
    groups = _groups(snapshot, revision, order)
    gone = [one for one in snapshot.deleted_pods if revision in ("", one.pod.revision)]
    body = ""
    for name in sorted({*groups, *(one.pod.revision for one in gone)}):
        body += _group_html(snapshot, name, groups.get(name, []), picked)
        body += "".join(_gone_row(one) for one in gone if one.pod.revision == name)
    expected = f"<div role='status'>{safe(expected_pods(snapshot))}</div>"
    has_reasons = any(pod.message for pods in groups.values() for pod in pods)
    head = _HEAD if has_reasons else _HEAD[:-1]
    shown = table(head, body, f"pods of {snapshot.name}") if body else "<div class='knb-soft'>no pods</div>"
    return card(snapshot, f"Pods of {snapshot.name}", shown + expected)


def expected_pods(snapshot: Snapshot) -> str:
    """How many pods each revision should have, and whether it has them: `expected: 00001 ×1 ✔ · 00002 ×1 ◌`."""
    status = snapshot.status
    if status is None:
        return ""
    newer = {pod.revision for pod in snapshot.pods if pod.revision > status.latest_created}  # not in the status yet
    named = sorted({*(target.revision for target in status.traffic), *snapshot.requested, *newer} - {""})
    least = ((snapshot.document.get("spec") or {}).get("predictor") or {}).get("minReplicas")
    least = 1 if least is None else least
    parts = [f"{short(name)} ×{least}{'+' * (least == 0)} {_mark(snapshot, name, least)}" for name in named]
    unused = sorted({pod.revision for pod in snapshot.pods}.difference(named))
    parts += [f"{short(name)} ×0 ↓" for name in unused]
    return "expected: " + (" · ".join(parts) or "none")


def pod_glyph(ready: str, state: str) -> str:
    """The mark before a pod's state, which distinguishes states without colour."""
    if state == "Terminating":
        return "↓"
    if state == "Running":
        have, _, all_ = ready.partition("/")
        return "✔" if have == all_ else "…"
    return "…" if state in ("Pending", "ContainerCreating", "PodInitializing") or state[:6] == "Init:0" else "✖"


def pod_label(pod: Pod) -> str:
    """A pod in a list to choose from: its revision and the end of its name."""
    return f"{short(pod.revision)} {_name_end(pod)}"


def _mark(snapshot: Snapshot, name: str, least: int) -> str:
    return "✔" if sum(pod.is_ready for pod in snapshot.pods if pod.revision == name) >= least else "◌"


def _groups(snapshot: Snapshot, revision: str, order: PodOrder) -> dict[str, list[Pod]]:
    groups: dict[str, list[Pod]] = {}
    for pod in snapshot.pods:
        if revision in ("", pod.revision):
            groups.setdefault(pod.revision, []).append(pod)
    return {name: sorted(pods, key=_KEYS[order]) for name, pods in sorted(groups.items())}


def _group_html(snapshot: Snapshot, name: str, pods: list[Pod], picked: str) -> str:
    label = " ".join(filter(None, (short(name), revision_role(snapshot, name))))
    ready = sum(pod.is_ready for pod in pods)
    count = f"{ready} of {len(pods)} pods ready" if pods else "no pods"
    head = f"{revision_mark(name)} {safe(label)} · {count}"
    rows = f"<tr data-key='{safe(name)}'><th scope='rowgroup' colspan='6'>{head}</th></tr>"
    rows += "".join(_pod_row(pod, is_picked=pod.name == picked) for pod in pods[:_ROWS_SHOWN])
    if len(pods) > _ROWS_SHOWN:
        rows += f"<tr data-key='more {safe(name)}'><td colspan='6'>and {len(pods) - _ROWS_SHOWN} more</td></tr>"
    return rows


def _pod_row(pod: Pod, *, is_picked: bool) -> str:
    ready = f"{pod.ready}/{pod.containers}"
    cells = (short(pod.revision), ready, f"{pod_glyph(ready, pod.status)} {pod.status}", str(pod.restarts))
    reports = f"data-click='pick' data-value='{'' if is_picked else safe(pod.name)}'"
    button = (
        f"<button type='button' class='knb-link' {reports} aria-pressed='{str(is_picked).lower()}' "
        f"title='show its events and the end of its log'>{_name_end(pod)}{hidden(f' of {short(pod.revision)}: log')}"
        "</button>"
    )
    shown = "".join(f"<td>{safe(words)}</td>" for words in cells)
    arrow = "▸" if is_picked else "<span style='visibility:hidden'>▸</span>"
    why = f"<td class='knb-wrap'>{safe(last_line(pod.message)[:160])}</td>" if pod.message else ""
    look = " class='knb-picked'" if is_picked else ""
    return f"<tr data-key='{safe(pod.name)}' {reports}{look}>{shown}<td>{arrow} {button}</td>{why}</tr>"


def _gone_row(one: DeletedPod) -> str:
    revision, name = short(one.pod.revision), _name_end(one.pod)
    return (
        f"<tr data-key='gone {safe(one.pod.name)}' class='knb-gone'><td><s>{safe(revision)}</s></td><td></td>"
        f"<td>† gone at {clock(one.deleted_at)}</td><td></td><td><s>{name}</s></td></tr>"
    )


def _name_end(pod: Pod) -> str:
    return f"…{safe(pod.name[-5:])}"
