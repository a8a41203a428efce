"""The figures of a fault test, printed as one row for docs/reliability.md."""

from __future__ import annotations

import os
from pathlib import Path


def report(fault: str, *, objects: str = "all kept", lost: str = "–", orphans: str = "0", recovery: str = "–",
           message: str = "–") -> None:
    """Print a row; with $FAULT_REPORT also append it to that file.

    Args:
        fault: the fault that was caused.
        objects: the objects before and after.
        lost: the requests that failed, of all that were sent.
        orphans: the processes that were left.
        recovery: the time until everything worked again.
        message: what the user was shown.
    """
    row = f"| {fault} | {objects} | {lost} | {orphans} | {recovery} | {message} |"
    print(row)
    if os.environ.get("FAULT_REPORT"):
        with Path(os.environ["FAULT_REPORT"]).open("a", encoding="utf-8") as file:
            file.write(row + "\n")
