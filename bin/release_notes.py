"""Print the changelog's section of a version, which becomes the text of its release.

    python bin/release_notes.py 1.2.3
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

CHANGELOG = Path(__file__).parents[1] / "CHANGELOG.md"


def notes(changelog: str, version: str) -> str:
    """The text below the heading of a version. Raises ValueError if there is none."""
    sections = re.split(r"^## +", changelog, flags=re.MULTILINE)[1:]
    for section in sections:
        heading, _, body = section.partition("\n")
        if heading.split()[:1] == [version] and body.strip():
            return body.strip() + "\n"
    raise ValueError(f"CHANGELOG.md has no text for {version}. Rename the heading `## Unreleased` to `## {version}`, "
                     "and tag the commit that does so.")


if __name__ == "__main__":
    try:
        sys.stdout.write(notes(CHANGELOG.read_text(encoding="utf-8"), sys.argv[1].removeprefix("v")))
    except ValueError as error:
        sys.exit(f"release_notes: {error}")
