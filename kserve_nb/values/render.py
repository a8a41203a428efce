"""Values to text and to HTML: pure, so that every front end shows the same words."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape

from kserve_nb.values.manifest import Change
from kserve_nb.values.rollout_status import Cluster, Pod, RolloutStatus, Split, short

Rows = Sequence[Sequence[str]]
# JupyterLab breaks long lines, and kubectl's tables with them: in a notebook of ours they are scrolled.
_UNBROKEN = (
    ".jp-Notebook:has(.kserve-nb-lab) .jp-RenderedText[data-mime-type='application/vnd.jupyter.stdout']"
    "{overflow-x:auto}"
    ".jp-Notebook:has(.kserve-nb-lab) .jp-RenderedText[data-mime-type='application/vnd.jupyter.stdout'] pre"
    "{white-space:pre;word-break:normal}"
)
_RULE = "1px solid var(--jp-border-color2, #e0e0e0)"
_CELL = f"text-align:left;line-height:1.4;padding:3px 16px 3px 4px;border-bottom:{_RULE}"


EMPTY = '""'  # how an empty column is written
COLUMNS = {  # of the row of kubectl get isvc
    "READY": "READY is True, False or Unknown",
    "PREV": "PREV is the percent of the previous revision, and empty where there is none",
    "LATEST": "LATEST is the percent of the latest ready revision, not its number",
}


def cluster_line(cluster: Cluster) -> str:
    """One line: which cluster, namespace and gateway, and how fast its windows pass."""
    speed = f" · windows {cluster.speed:g} times as fast as real ones" if cluster.speed != 1 else ""
    closed = f" · read-only: {cluster.read_only}" if cluster.read_only else ""
    where = f"namespace {cluster.namespace} · gateway {cluster.ingress}"
    return f"{cluster.kind} cluster {cluster.name} · {where}{speed}{closed}"


def cluster_html(cluster: Cluster) -> str:
    """That line, and the style that keeps the tables of its notebook's commands in one piece."""
    return f"<style>{_UNBROKEN}</style><pre class='kserve-nb-lab'>{escape(cluster_line(cluster))}</pre>"


def status_line(status: RolloutStatus) -> str:
    """One line: who gets what percent, as the columns of `kubectl get isvc` have it."""
    latest, previous = status.latest, status.previous
    if latest is None:
        return f"{status.name}: nobody is served yet · READY {status.ready.status}"
    targets = [f"LATEST {latest.percent} % → {short(latest.revision)}"]
    if previous:
        targets.insert(0, f"PREV {previous.percent} % → {short(previous.revision)}")
    return f"{status.name}: {' · '.join(targets)} · READY {status.ready.status}"


def status_row(status: RolloutStatus) -> dict[str, str]:
    """READY, PREV and LATEST as the row of `kubectl get isvc` has them; empty where there is no such target."""
    prev, latest = (str(target.percent) if target else "" for target in (status.previous, status.latest))
    return {"READY": status.ready.status, "PREV": prev, "LATEST": latest}


def row_line(row: Mapping[str, str]) -> str:
    """Such a row, or what was read off it, in one line."""
    return ", ".join(f'{name}={value or EMPTY}' for name, value in row.items())


def status_table(status: RolloutStatus) -> tuple[Rows, Rows]:
    """Header and rows: one row a traffic target."""
    rows = [
        (
            "LATEST" if target.latest else "PREV" if target.tag == "prev" else target.tag.upper(),
            short(target.revision),
            f"{target.percent} %",
            target.url,
        )
        for target in status.traffic
    ]
    return (("TARGET", "REVISION", "PERCENT", "OWN URL"),), rows


def pod_table(pods: Iterable[Pod]) -> tuple[Rows, Rows]:
    """Header and rows: one row a pod, by revision, without what differs from run to run (hash, age)."""
    rows = [
        (short(pod.revision), f"{pod.ready}/{pod.containers}", pod.status, str(pod.restarts), pod.message.strip()[:80])
        for pod in sorted(pods, key=lambda pod: (pod.revision, pod.terminating, pod.name))
    ]
    return (("REVISION", "READY", "STATUS", "RESTARTS", "WHY"),), rows


def pod_line(pod: Pod) -> str:
    """One line: the revision, how many containers are ready, and kubectl's word for the state."""
    return f"{short(pod.revision)} {pod.ready}/{pod.containers} {pod.status}"


def change_table(changes: Iterable[Change]) -> tuple[Rows, Rows]:
    """Header and rows: one row a field that differs, with what it will cause."""
    rows = [(change.path, _word(change.before), _word(change.after), change.consequence) for change in changes]
    return (("FIELD", "IS", "WILL BE", "CAUSES"),), rows


def split_line(split: Split) -> str:
    """One line: how many requests each revision answered."""
    parts = [f"{short(name)} {count}" for name, count in sorted(split.counts.items())]
    others = (("failed", split.failed), ("?", split.unattributed), ("lost by our port-forward", split.lost))
    parts += [f"{word} {count}" for word, count in others if count]
    return f"{split.sent} requests: {' · '.join(parts)}"


def text(table: tuple[Rows, Rows]) -> str:
    """A table as kubectl prints one; empty columns are left out."""
    header, rows = _without_empty(table)
    lines = [*header, *rows]
    widths = [max(len(line[n]) for line in lines) for n in range(len(header[0]))] if header[0] else []
    return "\n".join(
        "   ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines
    )


def html(table: tuple[Rows, Rows]) -> str:
    """A table as HTML, escaped; its lines and letters take the colours of the front end's theme."""
    header, rows = _without_empty(table)
    head = "".join(f"<th scope='col' style='{_CELL}'>{escape(cell)}</th>" for cell in header[0])
    body = "".join(
        "<tr>" + "".join(f"<td style='{_CELL}'>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows
    )
    return f"<table style='border-collapse:collapse'><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _without_empty(table: tuple[Rows, Rows]) -> tuple[Rows, Rows]:
    header, rows = table
    kept = [n for n in range(len(header[0])) if not rows or any(row[n] for row in rows)]
    return [[header[0][n] for n in kept]], [[row[n] for n in kept] for row in rows]


def _word(value: object) -> str:
    return "–" if value is None else str(value)
