"""Functions that look for a rule's symptoms in the facts: one call for all facts, or one for each InferenceService."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from kserve_nb.doctor.facts import Facts, ServiceFacts
from kserve_nb.doctor.finding import Finding


@dataclass(frozen=True)
class FactCheck:
    """A registered function. A module's checks run in the order in which they are written."""

    find: Callable[[Facts], Iterator[Finding]]
    offline: bool = False  # also runs when the API server does not answer


def fact_check(find: Callable[[Facts], Iterator[Finding]]) -> FactCheck:
    """Register a function that examines all facts."""
    return FactCheck(find)


def offline_check(find: Callable[[Facts], Iterator[Finding]]) -> FactCheck:
    """Register a function that also runs when the API server does not answer."""
    return FactCheck(find, offline=True)


def service_check(find: Callable[[Facts, ServiceFacts], Iterator[Finding]]) -> FactCheck:
    """Register a function that examines one InferenceService; it is called for each."""

    def each(facts: Facts) -> Iterator[Finding]:
        for service in facts.services:
            yield from find(facts, service)

    return FactCheck(each)
