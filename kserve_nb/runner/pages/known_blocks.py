"""The command blocks of KServe's pages that the notebooks were written for, each with the notebook that runs it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import yaml

FILE = Path(__file__).with_name("known_blocks.yaml")


@dataclass(frozen=True)
class KnownBlock:
    """One command block of a page."""

    page: str
    step: str
    text: str
    notebook: str = ""  # whose cells run it
    not_run: str = ""  # or the reason why no cell runs it


def known_blocks() -> list[KnownBlock]:
    """All blocks of all pages, in order."""
    rows = yaml.safe_load(FILE.read_text(encoding="utf-8"))
    return [KnownBlock(row["page"], row["step"], row["block"], row.get("notebook", ""), row.get("not_run", ""))
            for row in rows]
