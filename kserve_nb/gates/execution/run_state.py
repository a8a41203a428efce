"""The state of a gated rollout, as one value that is stored in the cluster."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

from kserve_nb.gates.criteria.evidence import Evidence
from kserve_nb.gates.criteria.gate import GateResult
from kserve_nb.gates.plan import RolloutPlan

Phase = Literal["pending", "advancing", "baking", "held", "paused", "rolling back", "rolled back", "promoted",
                "aborted", "superseded"]  # fmt: skip
ENDED: tuple[Phase, ...] = ("rolled back", "promoted", "aborted", "superseded")
EXIT_CODES: Mapping[Phase, int] = {"promoted": 0, "rolled back": 3, "held": 4, "superseded": 5, "aborted": 6}
_MOST_LINES = 100  # lines of the log that are kept, because a ConfigMap holds at most 1 MiB


@dataclass(frozen=True)
class Intent:
    """A write to the InferenceService that the runner is about to make."""

    percent: int | None  # canaryTrafficPercent; None promotes
    model: str = ""  # storageUri of a new revision; empty: the model stays


@dataclass(frozen=True, repr=False)
class RunState:
    """The phase and the step of a gated rollout, its evidence, and the reason for the phase.

    >>> RunState(phase="baking", step=1, reason="traffic has moved")
    baking · step 2: traffic has moved
    """

    phase: Phase = "pending"
    step: int = -1  # index in the plan's steps; -1 before the first
    reason: str = ""
    started: float = 0.0  # seconds since the epoch, as all times here
    phase_since: float = 0.0
    step_since: float = 0.0  # when the traffic of the step had moved
    uid: str = ""  # the uid of the InferenceService that the runner last saw or wrote
    generation: int = 0
    intent: Intent | None = None
    failing: str = ""  # what a controller reports, and since when
    failing_since: float = 0.0
    evidence: Evidence = field(default_factory=Evidence)
    results: tuple[GateResult, ...] = ()
    log: tuple[tuple[float, str], ...] = ()

    @property
    def ended(self) -> bool:
        """Whether the rollout has ended, so that the runner does nothing more."""
        return self.phase in ENDED

    @property
    def affected(self) -> int:
        """The number of failed user requests among those that the runner sent."""
        return self.evidence.users_failed

    def percent(self, plan: RolloutPlan) -> int:
        """The percent of the present step."""
        return plan.steps[self.step] if self.step >= 0 else 0

    def enter(self, phase: Phase, reason: str, now: float, **changes: Any) -> RunState:
        """The state after a change of phase, with a line in the log."""
        line = (now, f"{phase}: {reason}")
        return replace(
            self, phase=phase, reason=reason, phase_since=now, log=(*self.log, line)[-_MOST_LINES:], **changes)

    def to_dict(self) -> dict[str, Any]:
        """The state for a JSON document."""
        return {**asdict(self), "evidence": self.evidence.to_dict()}

    @classmethod
    def of(cls, data: Mapping[str, Any]) -> RunState:
        """Read what `to_dict` returned. JSON has turned tuples into lists."""
        return cls(**{
            **data,
            "intent": Intent(**data["intent"]) if data["intent"] else None,
            "evidence": Evidence.of(data["evidence"]),
            "results": tuple(GateResult(**result) for result in data["results"]),
            "log": tuple((float(at), str(line)) for at, line in data["log"]),
        })

    def __repr__(self) -> str:
        step = f" · step {self.step + 1}" if self.step >= 0 else ""
        gates = "".join(f"\n  {result}" for result in self.results)
        users = f"\n  users: {self.affected} of {self.evidence.users} requests failed" if self.evidence.users else ""
        return f"{self.phase}{step}: {self.reason}{gates}{users}"
