"""All notebooks, many times in a row on one cluster: `python -m bench.soak_notebooks [RUNS]`; a failure ends it.

Exit code 1 where a notebook failed, a cell took longer than 30 s, or a run longer than 90 s.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree as ET

from bench.table import show

RUNS = 20
RUN_S = 90  # on two cores, one notebook after the other
CELL_S = 30
COMMAND = str(Path(sys.executable).with_name("kserve-nb"))


@dataclass(frozen=True)
class Round:
    """One run of all notebooks."""

    seconds: float
    slowest: str  # cell
    slowest_s: float
    failed: str  # what `kserve-nb run` said; empty where all passed

    @property
    def wrong(self) -> str:
        """What must not be; empty where all is well."""
        late = f"took {self.seconds:.0f} s" if self.seconds > RUN_S else ""
        slow = f"cell {self.slowest} took {self.slowest_s:.0f} s" if self.slowest_s > CELL_S else ""
        return "; ".join(filter(None, (self.failed, late, slow)))


def run(runs: int = RUNS) -> int:
    """Run them, print a table, and return the exit code."""
    name, rounds = f"soak-notebooks-{os.getpid()}", list[Round]()
    subprocess.run([COMMAND, "up", "--name", name, "--owner", str(os.getpid())], check=True, capture_output=True)
    try:
        with tempfile.TemporaryDirectory() as folder:
            while len(rounds) < runs and not (rounds and rounds[-1].wrong):
                rounds.append(_round(name, Path(folder)))
                print(f"{len(rounds):3} of {runs}: {rounds[-1].seconds:.0f} s {rounds[-1].wrong}", flush=True)
    finally:
        subprocess.run([COMMAND, "down", "--name", name], check=False, capture_output=True)
    rows = [(n, f"{r.seconds:.1f}", f"{r.slowest} {r.slowest_s:.1f}", r.wrong or "✔") for n, r in enumerate(rounds, 1)]
    show(f"All notebooks, {len(rounds)} times in a row", ("run", "seconds", "slowest cell", ""), rows)
    return int(any(each.wrong for each in rounds))


def _round(name: str, folder: Path) -> Round:
    began = time.monotonic()
    done = subprocess.run([COMMAND, "run", "--name", name, "--output", str(folder), "--junit", str(folder / "j.xml")],
                          capture_output=True, text=True, check=False)
    seconds = time.monotonic() - began
    if done.returncode:
        return Round(seconds, "", 0.0, f"{done.stdout}{done.stderr}".strip())
    cases = ET.parse(folder / "j.xml").iter("testcase")
    times = {f"{case.get('classname')}/{case.get('name')}": float(case.get("time") or 0) for case in cases}
    slowest = max(times, key=times.__getitem__)
    return Round(seconds, slowest, times[slowest], "")


if __name__ == "__main__":
    sys.exit(run(*map(int, sys.argv[1:2])))
