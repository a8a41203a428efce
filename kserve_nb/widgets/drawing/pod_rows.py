"""The pods of a rollout by revision, what there should be, and who has just gone. Pure."""

from __future__ import annotations

from collections.abc import Callable
from html import escape
from typing import Any, Literal

from kserve_nb.observe.snapshot import DeletedPod, Snapshot, clock
from kserve_nb.values import render
from kserve_nb.values.foreign_text import last_line
from kserve_nb.values.pods import Pod
from kserve_nb.values.revisions import short
from kserve_nb.widgets.drawing.draw import cell, choice, choosable, framed, revision_role, table, with_state
from kserve_nb.widgets.drawing.markup import pod_glyph

NO_POD = "no pod"
REVISION_LIST, ORDER_LIST, PICK_LIST = range(3)  # the lists below the table, in this order
_ROWS_SHOWN = 20  # of one revision: a thousand pods are still one screen
_HEAD = ("REVISION", "READY", "STATUS", "RESTARTS", "POD", "WHY")
_WHY = "min-width:14em;overflow-wrap:anywhere"
Order = Literal["not ready first", "most restarts first", "name"]
_KEYS: dict[Order, Callable[[Pod], tuple[Any, ...]]] = {
    "not ready first": lambda pod: (pod.is_ready, pod.name),  # they are what one looks for
    "most restarts first": lambda pod: (-pod.restarts, pod.name),
    "name": lambda pod: (pod.name,),
}
ORDERS = tuple(_KEYS)
_SORTS: dict[str, Order] = {"READY": "not ready first", "STATUS": "not ready first", "POD": "name",
                            "RESTARTS": "most restarts first"}  # fmt: skip


def text(snapshot: Snapshot, revision: str = "", order: Order = ORDERS[0]) -> str:
    """kubectl's columns by revision, and what there should be; without what differs from run to run."""
    groups = _groups(snapshot, revision, order)
    shown = [pod for pods in groups.values() for pod in pods[:_ROWS_SHOWN]]
    header, rows = render.pod_table(shown)
    hidden = {short(name): len(pods) - _ROWS_SHOWN for name, pods in groups.items()}
    more = [f"{name}: and {count} more" for name, count in hidden.items() if count > 0]
    shown_pods = render.text((header, rows)) if rows else f"{snapshot.name}: no pods"
    gone = [f"gone at {clock(ghost.deleted_at)}: pod of {short(ghost.pod.revision)}" for ghost in snapshot.deleted_pods]
    return with_state(snapshot, "\n".join(filter(None, (shown_pods, *more, should_be(snapshot), *gone))))


def html(snapshot: Snapshot, revision: str = "", order: Order = ORDERS[0], picked: str = "") -> str:
    """The same as a table; pods that have gone are struck through for a while. A click picks a pod, or an order."""
    groups = _groups(snapshot, revision, order)
    ghosts = [ghost for ghost in snapshot.deleted_pods if revision in ("", ghost.pod.revision)]
    body = ""
    for name in sorted({*groups, *(ghost.pod.revision for ghost in ghosts)}):
        pods = groups.get(name, [])
        role = " ".join(filter(None, (short(name), revision_role(snapshot, name))))
        body += f"<tr><th scope='rowgroup' colspan='6' {cell()}>{escape(role)} · {_count(pods)}</th></tr>"
        body += "".join(_pod_row(pod, picked) for pod in pods[:_ROWS_SHOWN])
        if len(pods) > _ROWS_SHOWN:
            body += f"<tr><td colspan='6' {cell()}>and {len(pods) - _ROWS_SHOWN} more</td></tr>"
        for ghost in ghosts:
            if ghost.pod.revision == name:
                body += _row(_ghost(ghost), gone=True)
    caption = f"<div style='line-height:1.6'>pods of <b>{escape(snapshot.name)}</b></div>"
    wanted = f"<div role='status' style='line-height:1.6'>{escape(should_be(snapshot))}</div>"
    shown = choosable(table(tuple(map(_head, _HEAD)), body)) if body else "<i>no pods</i>"
    return framed(snapshot, caption + shown + wanted)


def should_be(snapshot: Snapshot) -> str:
    """`should be: 00001 ×1 ✔ · 00002 ×1 ◌`: each revision that has traffic, or is to have it, has pods."""
    status = snapshot.status
    if status is None:
        return ""
    newer = {pod.revision for pod in snapshot.pods if pod.revision > status.latest_created}  # KServe has yet to say so
    named = sorted({*(target.revision for target in status.traffic), *snapshot.requested, *newer} - {""})
    least = ((snapshot.document.get("spec") or {}).get("predictor") or {}).get("minReplicas")
    least = 1 if least is None else least
    parts = [f"{short(name)} ×{least}{'+' * (least == 0)} {_mark(snapshot, name, least)}" for name in named]
    left = sorted({pod.revision for pod in snapshot.pods}.difference(named))
    parts += [f"{short(name)} ×0 ↓" for name in left]
    return "should be: " + (" · ".join(parts) or "none")


def _mark(snapshot: Snapshot, name: str, least: int) -> str:
    return "✔" if sum(pod.is_ready for pod in snapshot.pods if pod.revision == name) >= least else "◌"


def label(pod: Pod) -> str:
    """How a list calls a pod: `00002 …x7k2p`."""
    return f"{short(pod.revision)} {_tail(pod)}"


def _groups(snapshot: Snapshot, revision: str, order: Order) -> dict[str, list[Pod]]:
    """Pods by revision."""
    groups: dict[str, list[Pod]] = {}
    for pod in snapshot.pods:
        if revision in ("", pod.revision):
            groups.setdefault(pod.revision, []).append(pod)
    return {name: sorted(pods, key=_KEYS[order]) for name, pods in sorted(groups.items())}


def _count(pods: list[Pod]) -> str:
    ready = sum(pod.is_ready for pod in pods)
    return f"{ready} of {len(pods)} pods ready" if pods else "no pods"


def _cells(pod: Pod) -> tuple[str, ...]:
    ready = f"{pod.ready}/{pod.containers}"
    state = f"{pod_glyph(ready, pod.status)} {pod.status}"
    return short(pod.revision), ready, state, str(pod.restarts), _tail(pod), last_line(pod.message)[:160]


def _ghost(ghost: DeletedPod) -> tuple[str, ...]:
    return short(ghost.pod.revision), "", f"† gone at {clock(ghost.deleted_at)}", "", _tail(ghost.pod), ""


def _tail(pod: Pod) -> str:
    return f"…{pod.name[-5:]}"


def _pod_row(pod: Pod, picked: str) -> str:
    if pod.name != picked:
        return _row(_cells(pod), choice(PICK_LIST, label(pod), "click: its events and the end of its log"))
    *cells, tail, why = _cells(pod)
    picks = choice(PICK_LIST, NO_POD, "click: no events and no log", "font-weight:600")
    return _row((*cells, f"▸ {tail}", why), f"aria-current='true' {picks}")


def _head(name: str) -> str:
    order = _SORTS.get(name)
    return f"<span {choice(ORDER_LIST, order, f'click: {order}')}>{name}</span>" if order else name


def _row(cells: tuple[str, ...], more: str = "", *, gone: bool = False) -> str:
    words = (f"<s>{escape(words)}</s>" if gone and not words.startswith("†") else escape(words) for words in cells)
    *columns, why = words
    row = "".join(f"<td {cell()}>{word}</td>" for word in columns) + f"<td {cell(_WHY)}>{why}</td>"
    return f"<tr style='opacity:.6'>{row}</tr>" if gone else f"<tr {more}>{row}</tr>"
