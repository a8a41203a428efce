"""One admission request, and how admission refuses it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from kserve_nb.clusters.embedded.apimachinery.objects import Kind, Object, Objects, StatusError, copied

Operation = Literal["CREATE", "UPDATE", "DELETE"]


@dataclass
class Review:
    """A request to store an object. Defaulters change `new`; validators read it."""

    operation: Operation
    kind: Kind
    new: Object
    old: Object | None  # the stored object, None for CREATE
    objects: Objects
    dry_run: bool = False
    warnings: list[str] = field(default_factory=list)  # the client prints each as `Warning: ...`
    given: Object = field(init=False)  # the object before it is changed

    def __post_init__(self) -> None:
        self.given = copied(self.new)

    @property
    def name(self) -> str:
        return str(self.new["metadata"].get("name") or "")

    @property
    def annotations(self) -> dict[str, str]:
        found: dict[str, str] = self.new["metadata"].get("annotations") or {}
        return found

    @property
    def is_being_deleted(self) -> bool:
        return "deletionTimestamp" in self.new["metadata"]


def denied(webhook: str, message: str, *, code: int = 403, reason: str = "Forbidden") -> StatusError:
    """The error for a request that a webhook denies.

    controller-runtime denies with 403 Forbidden, and fails with a code alone. Knative denies with 400 BadRequest.
    """
    return StatusError(code, reason, f'admission webhook "{webhook}" denied the request: {message}')
