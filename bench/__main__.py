"""Measure the project on this machine: `python -m bench [PART ...]`."""

from __future__ import annotations

import sys

from bench import course, gates, growth, install, memory, pixels, rollouts, start, tutorial, users

PARTS = {"start": start.run, "memory": memory.run, "course": course.run, "tutorial": tutorial.run,
         "growth": growth.run, "pixels": pixels.run, "gates": gates.run, "rollouts": rollouts.run, "users": users.run,
         "install": install.run}
ONLY_BY_NAME = {"install"}  # it needs a package registry

if __name__ == "__main__":
    unknown = set(sys.argv[1:]) - set(PARTS)
    if unknown:
        sys.exit(f"no such part: {', '.join(sorted(unknown))}. There are: {', '.join(PARTS)}")
    for part in sys.argv[1:] or [part for part in PARTS if part not in ONLY_BY_NAME]:
        PARTS[part]()
