"""Rules: an id and a title, each declared once, beside the code or the message that uses it first."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Rule:
    """A rule of the doctor, which its findings refer to.

    >>> Rule("K03", "Kubernetes is older than KServe needs").title
    'Kubernetes is older than KServe needs'
    """

    id: str
    title: str


_DECLARED: dict[str, Rule] = {}


def declare(id_: str, title: str) -> Rule:
    """Add a rule. Raises ValueError when the id is taken."""
    if id_ in _DECLARED:
        raise ValueError(f"Cannot declare rule {id_} twice: {_DECLARED[id_].title!r} has it. Choose another id.")
    return _DECLARED.setdefault(id_, Rule(id_, title))


def declared() -> dict[str, Rule]:
    """All rules by id."""
    return dict(sorted(_DECLARED.items()))


def rule_of(id_: str) -> Rule:
    """A declared rule. Raises KeyError when there is none of this id."""
    return _DECLARED[id_]
