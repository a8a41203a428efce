"""Compare the embedded cluster with recordings of a real KServe, each scenario on its own cluster.

    python -m tests.conformance [--speed 1] [SCENARIO ...]
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import yaml

from kserve_nb import clusters

HERE = Path(__file__).parent


def check(scenario: Path, speed: float) -> tuple[int, str]:
    """Return the exit code and output of the tool for one scenario on a new cluster."""
    name = f"conformance-{scenario.stem}-{os.getpid()}"[:32].rstrip("-")
    gateway = yaml.safe_load(scenario.read_text())["gateway"]
    record = clusters.start(name, speed=speed, gateway=gateway, owner=os.getpid(), temporary=True)
    try:
        environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
        done = subprocess.run(
            [sys.executable, str(HERE / "conformance.py"), "check", str(scenario), "--kubeconfig", record.kubeconfig,
             "--ingress", record.ingress, "--speed", str(speed)], capture_output=True, text=True, env=environment)
    finally:
        clusters.delete(record.name)
    print(f"{scenario.stem}: done", file=sys.stderr, flush=True)
    return done.returncode, done.stdout + (done.stderr if done.returncode == 2 else "")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("scenario", nargs="*", help="names; all where none is given")
    parser.add_argument("--speed", type=float, default=1)
    options = parser.parse_args()
    files = [file for file in sorted((HERE / "scenarios").glob("*.yaml"))
             if not options.scenario or file.stem in options.scenario]
    with ThreadPoolExecutor(len(files) or 1) as pool:
        results = list(pool.map(lambda file: check(file, options.speed), files))
    for _, text in results:
        print(text, end="")
    failed = sum(code != 0 for code, _ in results)
    print(f"{len(results) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
