"""The state of a drill: attempts, time to the repair, users affected, the hint, and the lock of the doctor."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from kserve_nb.access.ingress import Ingress
from kserve_nb.doctor.commands.curl_command import CurlCommand
from kserve_nb.doctor.fact_collector import send
from kserve_nb.magics.command_line import CommandError
from kserve_nb.tasks.drill_faults import Fault

HINT_AFTER_S = 120.0
LOCKED = "the doctor is locked until you have made one attempt at a repair"
_OK = 200


@dataclass(frozen=True)
class DrillResult:
    """The result of a drill."""

    seed: int
    fault: str
    repaired: bool
    seconds: float
    attempts: int
    requests: int  # requests of users during the drill
    failed: int  # failed requests among them

    def __repr__(self) -> str:
        if not self.repaired:
            return f"○ drill {self.seed} is open. The notebook goes on without it."
        tries = f"{self.attempts} attempt{'s' if self.attempts != 1 else ''}"
        users = f"{self.failed} of {self.requests} requests of users failed"
        return f"✔ drill {self.seed}: you repaired {self.fault!r} in {self.seconds:.0f} s, with {tries}; {users}"


class DrillClock:
    """The attempts at one drill, and when it was repaired. The caller passes each time, in seconds."""

    def __init__(self, seed: int, fault: Fault, began: float):
        self.seed, self.fault, self.began = seed, fault, began
        self.attempts = 0
        self.repaired_at = 0.0

    @property
    def is_locked(self) -> bool:
        """Whether the doctor is locked: until one attempt was made, or the fault is repaired."""
        return self.attempts == 0 and not self.repaired_at

    def hint(self, now: float) -> str:
        """The hint, if two minutes have passed since the start; before that, when it will come."""
        if self.repaired_at:
            return ""
        early = now - self.began < HINT_AFTER_S
        return "A hint comes two minutes after the start." if early else f"Hint: {self.fault.hint}"

    def note(self, repaired: bool, now: float) -> None:
        """Count an attempt, unless the fault is repaired already."""
        if not self.repaired_at:
            self.attempts += 1
            self.repaired_at = now if repaired else 0.0

    def result(self, now: float, requests: int, failed: int) -> DrillResult:
        """The result at this moment."""
        end = self.repaired_at or now
        return DrillResult(self.seed, self.fault.id, bool(self.repaired_at), end - self.began, self.attempts, requests,
                           failed)  # fmt: skip


def try_command(line: str, variables: Mapping[str, str]) -> tuple[bool, str]:
    """Send a curl command. Returns whether the response has predictions, and the response as text."""
    try:
        command = CurlCommand.read(line, variables, Path.cwd())
    except CommandError as error:
        return False, f"Cannot read this as a command: {error}"
    if not command.address:
        return False, "Cannot send the command: it names no address. Add http://HOST:PORT/…"
    probe = send(Ingress(command.address), command.method, command.host, command.path, command.headers, command.body)
    if probe.answer is None:
        return False, f"No answer: {probe.error}"
    answer = f"{probe.answer.status} {probe.answer.text.strip()[:160]}"
    return probe.answer.status == _OK and "predictions" in probe.answer.text, answer
