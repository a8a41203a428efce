"""Values as text and as HTML. Pure; every front end shows the same words.

Text that comes from the cluster is made safe here: see `foreign_text`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from kserve_nb.values.cluster import Cluster
from kserve_nb.values.manifest import FieldChange
from kserve_nb.values.pods import Pod
from kserve_nb.values.revisions import short
from kserve_nb.values.rollout_status import RolloutStatus
from kserve_nb.values.split import Split
from kserve_nb.values.text.foreign_text import safe, safe_html

Rows = Sequence[Sequence[str]]
Table = tuple[Rows, Rows]  # header and body
# JupyterLab breaks long lines within words. In a notebook of this course they break between words.
_WRAPPED = (
    ".jp-Notebook:has(.kserve-nb-lab) .jp-RenderedText pre"
    "{white-space:pre-wrap;word-break:normal;overflow-wrap:anywhere}"
)
_RULE = "1px solid var(--jp-border-color2, #e0e0e0)"
_CELL = f"text-align:left;line-height:1.4;padding:3px 16px 3px 4px;border-bottom:{_RULE}"

EMPTY = '""'  # how an empty column is written
COLUMNS = {  # the columns of `kubectl get isvc` that checks explain
    "READY": "READY is True, False or Unknown",
    "PREV": "PREV is the percent of the previous revision; it is empty if there is none",
    "LATEST": "LATEST is the percent of the latest ready revision, not its number",
}


def cluster_line(cluster: Cluster) -> str:
    """One line about a cluster: its namespace, gateway and speed."""
    speed = f" · waiting periods {cluster.speed:g} times shorter" if cluster.speed != 1 else ""
    closed = f" · read-only: {cluster.read_only}" if cluster.read_only else ""
    where = f"namespace {cluster.namespace} · gateway {cluster.ingress}"
    return safe(f"{cluster.kind} cluster {cluster.name} · {where}{speed}{closed}")


def cluster_html(cluster: Cluster) -> str:
    """The line about a cluster, with the style that wraps the lines of this notebook's outputs between words."""
    line = safe_html(cluster_line(cluster))
    look = "margin:0;padding:0;white-space:pre-wrap;word-break:normal;overflow-wrap:anywhere"
    return f"<style>{_WRAPPED}</style><pre class='kserve-nb-lab' style='{look}'>{line}</pre>"


def status_line(status: RolloutStatus) -> str:
    """One line about a rollout: the percent of each traffic target, as `kubectl get isvc` names them."""
    latest, previous = status.latest, status.previous
    ready = f"READY {status.ready.status}"
    if latest is None:
        return safe(f"{status.name}: no revision serves yet · {ready}")
    targets = [f"LATEST {latest.percent} % → {short(latest.revision)}"]
    if previous:
        targets.insert(0, f"PREV {previous.percent} % → {short(previous.revision)}")
    return safe(f"{status.name}: {' · '.join(targets)} · {ready}")


def status_row(status: RolloutStatus) -> dict[str, str]:
    """READY, PREV and LATEST as `kubectl get isvc` prints them; empty without such a target."""
    prev, latest = (str(target.percent) if target else "" for target in (status.previous, status.latest))
    return {"READY": status.ready.status, "PREV": prev, "LATEST": latest}


def row_line(row: Mapping[str, str]) -> str:
    """A row of columns as one line of text.

    >>> row_line({"READY": "True", "PREV": "", "LATEST": "100"})
    'READY=True, PREV="", LATEST=100'
    """
    return safe(", ".join(f"{name}={value or EMPTY}" for name, value in row.items()))


def status_table(status: RolloutStatus) -> Table:
    """A table with one row per traffic target."""
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


def pod_table(pods: Iterable[Pod]) -> Table:
    """A table with one row per pod, by revision, without what differs between runs (hash, age)."""
    rows = [
        (short(pod.revision), f"{pod.ready}/{pod.containers}", pod.status, str(pod.restarts), pod.message.strip()[:80])
        for pod in sorted(pods, key=lambda pod: (pod.revision, pod.terminating, pod.name))
    ]
    return (("REVISION", "READY", "STATUS", "RESTARTS", "WHY"),), rows


def pod_line(pod: Pod) -> str:
    """One line about a pod: its revision, its ready containers, and its STATUS."""
    return safe(f"{short(pod.revision)} {pod.ready}/{pod.containers} {pod.status}")


def change_table(changes: Iterable[FieldChange]) -> Table:
    """A table with one row per field that differs, and the effect of the change."""
    rows = [(change.path, _word(change.before), _word(change.after), change.consequence) for change in changes]
    return (("FIELD", "IS", "WILL BE", "CAUSES"),), rows


def split_line(split: Split) -> str:
    """One line about a number of requests: how many each revision answered."""
    parts = [f"{short(name)} {count}" for name, count in sorted(split.counts.items())]
    others = (("failed", split.failed), ("?", split.unattributed), ("lost by our port-forward", split.lost))
    parts += [f"{word} {count}" for word, count in others if count]
    return safe(f"{split.sent} requests: {' · '.join(parts)}")


def text(table: Table) -> str:
    """A table in kubectl's layout, without its empty columns."""
    header, rows = _without_empty(table)
    lines = [[safe(cell).replace("\n", " ") for cell in line] for line in (*header, *rows)]
    widths = [max(len(line[n]) for line in lines) for n in range(len(header[0]))] if header[0] else []
    return "\n".join(
        "   ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines
    )


def html(table: Table) -> str:
    """A table as HTML; its lines and letters take the colours of the front end's theme."""
    header, rows = _without_empty(table)
    head = "".join(f"<th scope='col' style='{_CELL}'>{safe_html(cell)}</th>" for cell in header[0])
    body = "".join(
        "<tr>" + "".join(f"<td style='{_CELL}'>{safe_html(cell)}</td>" for cell in row) + "</tr>" for row in rows
    )
    return f"<table style='border-collapse:collapse'><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _without_empty(table: Table) -> Table:
    header, rows = table
    kept = [n for n in range(len(header[0])) if not rows or any(row[n] for row in rows)]
    return [[header[0][n] for n in kept]], [[row[n] for n in kept] for row in rows]


def _word(value: object) -> str:
    return "–" if value is None else str(value)
