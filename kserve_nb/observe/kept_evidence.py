"""The counted requests of a notebook, kept in a file: a new kernel restores them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from kserve_nb.rollout.availability import AvailabilityProbe
from kserve_nb.rollout.sampling import Tally
from kserve_nb.values.split import Split


@dataclass(frozen=True, repr=False)
class EndedProbe:
    """The counts of an `AvailabilityProbe` of an earlier kernel."""

    split: Split
    when: str
    words: str

    def close(self) -> None:
        """Do nothing: the probe of the former kernel ended with that kernel."""

    def __repr__(self) -> str:
        return self.words


Evidence = Tally | AvailabilityProbe | EndedProbe


def collected(variables: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The evidence among a notebook's variables, in JSON's types."""
    own = {name: value for name, value in variables.items() if not name.startswith("_") and name != "Out"}
    return {name: _as_json(value) for name, value in own.items() if isinstance(value, Evidence)}


def save(file: Path, owner: str, found: Mapping[str, Any]) -> None:
    """Write the evidence about an InferenceService; `owner` is its uid."""
    file.parent.mkdir(exist_ok=True)
    file.write_text(json.dumps({"owner": owner, "evidence": found}, indent=1), encoding="utf-8")


def load(file: Path, owner: str) -> dict[str, Tally | EndedProbe]:
    """The evidence about that InferenceService; empty if there is none, or if it is about a deleted one."""
    try:
        loaded = json.loads(file.read_text(encoding="utf-8"))
        rows = loaded["evidence"] if loaded["owner"] == owner else {}
        return {name: _of_json(row) for name, row in rows.items()}
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def _as_json(value: Evidence) -> dict[str, Any]:
    if isinstance(value, Tally):
        return {"tally": asdict(value)}
    words = repr(value).replace("; still sending", "")
    return {"probe": {"split": asdict(value.split), "when": value.when, "words": words}}


def _of_json(row: Mapping[str, Any]) -> Tally | EndedProbe:
    (kind, fields), = row.items()
    read = {**fields, "split": Split(**fields["split"])}
    return Tally(**read) if kind == "tally" else EndedProbe(**read)
