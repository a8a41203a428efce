"""Time of the whole tutorial without a browser, including start and deletion of the cluster."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bench.table import show


def run() -> None:
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as output:
        done = subprocess.run(
            [str(Path(sys.executable).with_name("kserve-nb")), "run", "--name", "bench-tutorial", "--output", output],
            capture_output=True, text=True, check=True)
    rows = [line.split()[1:3] for line in done.stdout.splitlines() if line.startswith("passed")]
    rows.append(["all, with up and down (at most 120)", f"{time.monotonic() - began:.1f}"])
    show("The notebooks, in seconds", ("notebook", "time"), rows)
