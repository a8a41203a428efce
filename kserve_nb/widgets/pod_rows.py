"""The pods of a rollout by revision, what there should be, and who has just gone. Pure."""

from __future__ import annotations

from html import escape

from kserve_nb import render
from kserve_nb.model import Pod, short
from kserve_nb.snapshot import Ghost, Snapshot, clock
from kserve_nb.widgets.draw import cell, framed, revision_role, table, with_state
from kserve_nb.widgets.faces import pod_glyph

_ROWS_SHOWN = 20  # of one revision: a thousand pods are still one screen
_HEAD = ("REVISION", "READY", "STATUS", "RESTARTS", "POD", "WHY")


def text(snapshot: Snapshot, revision: str = "") -> str:
    """kubectl's columns by revision, and what there should be; without what differs from run to run."""
    groups = _groups(snapshot, revision)
    shown = [pod for pods in groups.values() for pod in pods[:_ROWS_SHOWN]]
    header, rows = render.pod_table(shown)
    hidden = {short(name): len(pods) - _ROWS_SHOWN for name, pods in groups.items()}
    more = [f"{name}: and {count} more" for name, count in hidden.items() if count > 0]
    shown_pods = render.text((header, rows)) if rows else f"{snapshot.name}: no pods"
    gone = [f"gone at {clock(ghost.gone_at)}: pod of {short(ghost.pod.revision)}" for ghost in snapshot.ghosts]
    return with_state(snapshot, "\n".join(filter(None, (shown_pods, *more, should_be(snapshot), *gone))))


def html(snapshot: Snapshot, revision: str = "") -> str:
    """The same as a table; pods that have gone are struck through for a while."""
    groups = _groups(snapshot, revision)
    ghosts = [ghost for ghost in snapshot.ghosts if revision in ("", ghost.pod.revision)]
    body = ""
    for name in sorted({*groups, *(ghost.pod.revision for ghost in ghosts)}):
        pods = groups.get(name, [])
        role = " ".join(filter(None, (short(name), revision_role(snapshot, name))))
        body += f"<tr><th scope='rowgroup' colspan='6' {cell()}>{escape(role)} · {_count(pods)}</th></tr>"
        body += "".join(_row(_cells(pod)) for pod in pods[:_ROWS_SHOWN])
        if len(pods) > _ROWS_SHOWN:
            body += f"<tr><td colspan='6' {cell()}>and {len(pods) - _ROWS_SHOWN} more</td></tr>"
        for ghost in ghosts:
            if ghost.pod.revision == name:
                body += _row(_ghost(ghost), gone=True)
    caption = f"<div style='line-height:1.6'>pods of <b>{escape(snapshot.name)}</b></div>"
    wanted = f"<div role='status' style='line-height:1.6'>{escape(should_be(snapshot))}</div>"
    return framed(snapshot, caption + (table(_HEAD, body) if body else "<i>no pods</i>") + wanted)


def should_be(snapshot: Snapshot) -> str:
    """`should be: 00001 ×1 ✔ · 00002 ×1 ◌`: each revision that has traffic, or is to have it, has pods."""
    status = snapshot.status
    if status is None:
        return ""
    newer = {pod.revision for pod in snapshot.pods if pod.revision > status.latest_created}  # KServe has yet to say so
    named = sorted({*(target.revision for target in status.traffic), *snapshot.asked, *newer} - {""})
    least = ((snapshot.document.get("spec") or {}).get("predictor") or {}).get("minReplicas")
    least = 1 if least is None else least
    parts = [f"{short(name)} ×{least}{'+' * (least == 0)} {_mark(snapshot, name, least)}" for name in named]
    left = sorted({pod.revision for pod in snapshot.pods}.difference(named))
    parts += [f"{short(name)} ×0 ↓" for name in left]
    return "should be: " + (" · ".join(parts) or "none")


def _mark(snapshot: Snapshot, name: str, least: int) -> str:
    return "✔" if sum(pod.is_ready for pod in snapshot.pods if pod.revision == name) >= least else "◌"


def _groups(snapshot: Snapshot, revision: str) -> dict[str, list[Pod]]:
    """Pods by revision; within one, those that are not ready come first, as they are what one looks for."""
    groups: dict[str, list[Pod]] = {}
    for pod in snapshot.pods:
        if revision in ("", pod.revision):
            groups.setdefault(pod.revision, []).append(pod)
    return {name: sorted(pods, key=lambda pod: (pod.is_ready, pod.name)) for name, pods in sorted(groups.items())}


def _count(pods: list[Pod]) -> str:
    ready = sum(pod.is_ready for pod in pods)
    return f"{ready} of {len(pods)} pods ready" if pods else "no pods"


def _cells(pod: Pod) -> tuple[str, ...]:
    ready = f"{pod.ready}/{pod.containers}"
    state = f"{pod_glyph(ready, pod.status)} {pod.status}"
    return short(pod.revision), ready, state, str(pod.restarts), _tail(pod), pod.message.strip()[:80]


def _ghost(ghost: Ghost) -> tuple[str, ...]:
    return short(ghost.pod.revision), "", f"† gone at {clock(ghost.gone_at)}", "", _tail(ghost.pod), ""


def _tail(pod: Pod) -> str:
    return f"…{pod.name[-5:]}"


def _row(cells: tuple[str, ...], *, gone: bool = False) -> str:
    words = (f"<s>{escape(words)}</s>" if gone and not words.startswith("†") else escape(words) for words in cells)
    row = "".join(f"<td {cell()}>{word}</td>" for word in words)
    return f"<tr style='opacity:.6'>{row}</tr>" if gone else f"<tr>{row}</tr>"
