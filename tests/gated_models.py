"""Models for rollouts on a cluster: a good one, one that fails on every row, and one that fails on a fifth of them."""

from __future__ import annotations

from pathlib import Path

import joblib
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder
from sklearn.svm import SVC

from kserve_nb.gates.criteria.request_gates import ErrorsGate, SplitGate
from kserve_nb.gates.plan import ProbeTraffic, RolloutPlan
from kserve_nb.rollout.discriminating_input import IRIS_CANDIDATES

ROWS = [list(row) for row in IRIS_CANDIDATES]
KNOWN_WIDTHS = (0.3, 1.0, 1.5, 1.8)  # the candidates have a fifth one, which the encoder refuses


def build(folder: Path, kind: str) -> str:
    """Write a model and return its storageUri. The kinds are good, dead, and 20 %."""
    model = {"good": _good, "dead": _dead, "20 %": _partly}[kind]()
    path = folder / kind.replace(" %", "")
    path.mkdir(parents=True, exist_ok=True)
    joblib.dump(model, path / "model.joblib")
    return path.as_uri()


def plan(model: str) -> RolloutPlan:
    """A short plan with probe traffic."""
    return RolloutPlan(steps=(1, 10, 50, 100), model=model, gates=(ErrorsGate(0.1), SplitGate(15)), bake_s=1,
                       minimum_exposure=20, limit_s=120, probe=ProbeTraffic(rate=50))


def _species(row: list[float]) -> int:
    return 0 if row[2] < 2 else 1 if row[2] < 5 else 2


def _good() -> SVC:
    return SVC().fit(ROWS, [_species(row) for row in ROWS])


def _dead() -> SVC:
    """A model for three features: it refuses the four of iris."""
    return SVC().fit([row[:3] for row in ROWS], [_species(row) for row in ROWS])


def _partly() -> object:
    rows = [row for row in ROWS if row[3] in KNOWN_WIDTHS]
    return make_pipeline(OneHotEncoder(handle_unknown="error"), SVC()).fit(rows, [_species(row) for row in rows])
