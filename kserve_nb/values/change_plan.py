"""The changes that applying a document would make."""

from __future__ import annotations

from dataclasses import dataclass

from kserve_nb.values.manifest import FieldChange
from kserve_nb.values.text import render

_NO_CHANGE = "nothing changes: KServe reads the same document"


@dataclass(frozen=True, repr=False)
class ChangePlan:
    """The fields that applying a document would change, and the effect of each change."""

    changes: tuple[FieldChange, ...]

    def __bool__(self) -> bool:
        return bool(self.changes)

    def __repr__(self) -> str:
        return render.text(render.change_table(self.changes)) if self.changes else _NO_CHANGE

    def _repr_html_(self) -> str:
        return render.html(render.change_table(self.changes)) if self.changes else f"<p>{_NO_CHANGE}</p>"
