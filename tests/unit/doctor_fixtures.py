"""Facts for the doctor, made from objects that were recorded on a real cluster."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from kserve_nb.doctor import Facts, Report, diagnose
from kserve_nb.doctor.facts import services_of

DATA = Path(__file__).parents[1] / "data" / "doctor"
ROLLOUT = DATA.parent / "rollout"


def items(folder: Path, name: str) -> list[dict[str, Any]]:
    """The objects of a recorded file; empty if there is no such file."""
    file = folder / f"{name}.json"
    if not file.exists():
        return []
    loaded = json.loads(file.read_text(encoding="utf-8"))
    found: list[dict[str, Any]] = loaded.get("items", [loaded])
    return found


def recorded(folder: Path, only: str = "") -> Facts:
    """A namespace as it was recorded, with all of its InferenceServices or only one."""
    isvcs = [isvc for isvc in items(folder, "isvc") if only in ("", isvc["metadata"]["name"])]
    rest = (items(folder, name) for name in ("ksvc", "revision", "pods", "events"))
    return Facts("kserve-test", namespace_labels={}, services=services_of(isvcs, *rest))


def report(facts: Facts) -> Report:
    """The report about these facts."""
    return Report(diagnose(facts), facts.examined)


def ids(report: Report) -> list[str]:
    """The ids of the rules that have findings, in order."""
    return [finding.id for finding in report.findings]
