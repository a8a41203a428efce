"""Knative's condition set: conditions of which one (Ready) summarizes others, its dependents.

Source: knative.dev/pkg apis/condition_set.go (`NewLivingConditionSet`, `conditionsImpl`), used by every Knative object
and by InferenceService.
"""

from __future__ import annotations

from typing import Any

from kserve_nb.clusters.embedded.apimachinery.objects import Object, copied, utc


class Conditions:
    """Reads and marks `status.conditions` in place.

    A condition's lastTransitionTime changes if any other field differs from when this object was created. Changes that
    cancel each other therefore leave the condition as it was.

    Args:
        dependents: the conditions that the summary condition depends on.
        happy: the summary condition.
    """

    def __init__(self, status: Object, dependents: tuple[str, ...], now: float, happy: str = "Ready"):
        self._status, self._dependents, self._now, self._happy = status, dependents, utc(now), happy
        self._before = {c["type"]: copied(c) for c in status.get("conditions") or []}

    def get(self, type_: str) -> Object | None:
        """The condition of that type, or None if it has not been set."""
        return next((c for c in self._status.get("conditions") or [] if c["type"] == type_), None)

    def status_of(self, type_: str) -> str | None:
        """`True`, `False`, `Unknown`, or None if the condition has not been set."""
        found = self.get(type_)
        return None if found is None else str(found["status"])

    def initialize(self) -> None:
        """Set each missing condition: True if the summary is True, else Unknown (`InitializeConditions`)."""
        if self.get(self._happy) is None:
            self.set(self._happy, "Unknown")
        status = "True" if self.status_of(self._happy) == "True" else "Unknown"
        for type_ in self._dependents:
            if self.get(type_) is None:
                self.set(type_, status)

    def mark_true(self, type_: str, reason: str = "", message: str = "") -> None:
        """Set a condition to True, and the summary according to its dependents (`recomputeHappiness`)."""
        self.set(type_, "True", reason, message)
        unhappy = self._unhappy_dependent()
        if unhappy is not None:
            self.set(self._happy, unhappy["status"], unhappy.get("reason", ""), unhappy.get("message", ""))
        elif type_ != self._happy:
            self.set(self._happy, "True")

    def mark_unknown(self, type_: str, reason: str = "", message: str = "") -> None:
        """Set a condition to Unknown, and the summary too unless a dependent is False."""
        self.set(type_, "Unknown", reason, message)
        if any(self.status_of(t) == "False" for t in self._dependents):
            if self.status_of(self._happy) != "False":
                self.mark_false(self._happy, reason, message)
        elif type_ in self._dependents:
            self.set(self._happy, "Unknown", reason, message)

    def mark_false(self, type_: str, reason: str = "", message: str = "") -> None:
        """Set a condition to False, and the summary too if the condition is one of its dependents."""
        self.set(type_, "False", reason, message)
        if type_ in self._dependents:
            self.set(self._happy, "False", reason, message)

    def set(self, type_: str, status: str, reason: str = "", message: str = "", severity: str | None = None) -> None:
        """Set one condition without updating the summary. Conditions that are not dependents have severity Info."""
        if severity is None:
            severity = "" if type_ == self._happy or type_ in self._dependents else "Info"
        fields = {"message": message, "reason": reason, "severity": severity, "status": status, "type": type_}
        new: dict[str, Any] = {key: value for key, value in fields.items() if value}
        before = self._before.get(type_, {})
        unchanged = {key: value for key, value in before.items() if key != "lastTransitionTime"} == new
        new["lastTransitionTime"] = before["lastTransitionTime"] if unchanged else self._now
        others = [c for c in self._status.get("conditions") or [] if c["type"] != type_]
        self._status["conditions"] = sorted([*others, new], key=lambda c: str(c["type"]))

    def remove(self, type_: str) -> None:
        """Remove a condition that is not a dependent (`ClearCondition`)."""
        self._status["conditions"] = [c for c in self._status.get("conditions") or [] if c["type"] != type_]

    def _unhappy_dependent(self) -> Object | None:
        """The dependent that became False last, else Unknown last, else None (`findUnhappyDependent`)."""
        found: list[Object] = [c for c in self._status.get("conditions") or [] if c["type"] in self._dependents]
        found.sort(key=lambda c: str(c["lastTransitionTime"]), reverse=True)
        for status in ("False", "Unknown"):
            for one in found:
                if one["status"] == status:
                    return one
        return {"status": "Unknown"} if len(found) < len(self._dependents) else None
