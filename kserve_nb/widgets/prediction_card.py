"""A prediction: a form to fill in before a change, and then the cluster's answer next to it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kserve_nb.access.api_client import RefusedError
from kserve_nb.observe.snapshot import KINDS, Snapshot, belongs_to, snapshot_of
from kserve_nb.rollout.rollout import Rollout
from kserve_nb.tasks.learner_progress import LearnerProgress
from kserve_nb.tasks.question import ONE, CourseQuestion, Fields
from kserve_nb.widgets.drawing.markup import button, chip, choice, note, safe, table, toolbar
from kserve_nb.widgets.sheet.rollout_widget import RolloutWidget
from kserve_nb.widgets.sheet.sheet import Handler

_NAMES = {ONE: "your answer"}
_SKIPPED = "No prediction was entered, so there is nothing to compare. The notebook goes on."


class PredictionCard(RolloutWidget):
    """A question, live until the cluster has answered it or `close()`.

    `enter(…)` does the same as the form and its button: `card.enter("no")`, `card.enter(PREV=90, LATEST=10, pods=2)`.
    """

    def __init__(self, question: CourseQuestion, rollout: Rollout, progress: LearnerProgress):
        self.question, self._rollout, self._progress = question, rollout, progress
        self.entered: Fields | None = None
        self.result: Fields | None = None
        self.late = False  # entered after the change had begun
        self._draft: dict[str, str] = dict.fromkeys(question.fields, "")
        if question.kind == "choice":
            self._draft[ONE] = question.options[0][1]
        self._problem = ""
        self._start = self._read_now()
        super().__init__(rollout)
        self.redraw()

    def enter(self, answer: Any = None, **fields: Any) -> None:
        """Enter a prediction. Raises ValueError that names the value that is not valid."""
        given = {ONE: str(answer), **{name: "" if value is None else str(value) for name, value in fields.items()}}
        self.entered = self.question.normalized(given)
        now = self._read_now()
        self.late = self.result is not None or bool(self._start and now and now.document != self._start.document)
        self._note()
        self.redraw()

    def answer(self, value: Any) -> PredictionCard:
        """Compare with a value that the cluster gave to a cell, such as a count of failed requests."""
        self._set_result({ONE: str(value)})
        return self

    def compare(self) -> PredictionCard:
        """Read the cluster's answer now, and compare."""
        now = self._read_now()
        if self.question.read and self.result is None and now is not None:
            found = self.question.read(self._start or Snapshot(self._rollout.name), now)
            if found is not None:
                self._set_result(found)
        return self

    @property
    def text(self) -> str:
        """The question, the prediction and the answer as text."""
        lines = [f"? {self.question.text}"]
        if self.result is not None:
            lines += [f"  {name}: you {mine}, the cluster {theirs}" for name, mine, theirs in self._rows()]
        elif self.entered is not None:
            lines.append("  your prediction: " + self._in_words(self.entered))
        return "\n".join([*lines, *(f"  {sentence}" for sentence in self._sentences())])

    @property
    def json(self) -> dict[str, Any]:
        """The prediction and the answer as dicts and lists."""
        return {"id": self.question.id, "entered": dict(self.entered or {}), "result": dict(self.result or {}),
                "right": self._is_right}  # fmt: skip

    @property
    def _is_right(self) -> bool:
        return bool(self.entered and self.result and self.question.is_right(self.entered, self.result))

    def _rows(self) -> list[tuple[str, str, str]]:
        label = self.question.label
        return [("answer" if name == ONE else name, label(self.entered[name]) if self.entered else "–",
                 label((self.result or {}).get(name, ""))) for name in self.question.fields]  # fmt: skip

    def _in_words(self, fields: Fields) -> str:
        label = self.question.label
        return ", ".join(label(value) if name == ONE else f"{name} {label(value)}" for name, value in fields.items())

    def _sentences(self) -> tuple[str, ...]:
        if self.result is None:
            return ("The cluster answers after the next cells.",) if self.entered else ()
        if self.entered is None:
            return (_SKIPPED,)
        late = ("You entered it after the change, so it does not count.",) if self.late else ()
        return (*self.question.explain(self.entered, self.result), *late)

    def _picture(self) -> str:
        state = ("✔", "right", "good") if self._is_right else ("✖", "different", "bad")
        if self.entered is None or self.result is None:
            state = ("?", "predict first" if self.result is None else "skipped", "")
        head = f"<div class='knb-head'><span class='knb-title'>{safe(self.question.text)}</span>{chip(*state)}</div>"
        body = ""
        if self.result is not None:
            cells = "".join(f"<tr><th scope='row'>{safe(name)}</th><td>{safe(mine)}</td><td>{safe(theirs)}</td></tr>"
                            for name, mine, theirs in self._rows())  # fmt: skip
            body = table(("", "you", "the cluster"), cells, "Prediction and result")
        elif self.entered is not None:
            body = f"<div>Your prediction: {safe(self._in_words(self.entered))}</div>"
        notes = "".join(note("→", sentence) for sentence in self._sentences())
        return f"<div class='knb-part' data-key='picture'>{head}{body}{notes}</div>"

    def _draw(self) -> str:
        if self.entered is not None or self.result is not None:
            return self._picture()
        fault = note("✖", self._problem, urgent=True) if self._problem else ""
        return self._picture() + toolbar(*self._inputs(), button("enter", "Enter prediction", look="primary")) + fault

    def _inputs(self) -> list[str]:
        if self.question.kind == "choice":
            return [choice(ONE, "your answer", self.question.options, self._draft[ONE])]
        return [
            f"<label data-key='field-{name}'>{safe(_NAMES.get(name, name))} <input type='text' size='5' "
            f"data-change='{name}' value='{safe(self._draft[name])}'></label>"
            for name in self.question.fields
        ]

    def _handlers(self) -> Mapping[str, Handler]:
        keep = {name: self._keeper(name) for name in self.question.fields}
        return {**keep, "enter": self._on_enter}

    def _keeper(self, name: str) -> Handler:
        return lambda value: self._draft.__setitem__(name, value)

    def _on_enter(self, _value: str) -> None:
        try:
            self._problem = ""
            self.enter(self._draft.get(ONE), **{name: value for name, value in self._draft.items() if name != ONE})
        except ValueError as error:
            self._problem = str(error)
            self.redraw()

    def _on_snapshot(self, snapshot: Snapshot) -> None:
        if self._start is None and snapshot.state == "live":
            self._start = snapshot
        if snapshot.state == "live" and self._start and self.question.read and self.result is None:
            found = self.question.read(self._start, snapshot) if self._has_to_change(snapshot) else None
            if found is not None:
                self._set_result(found)
        super()._on_snapshot(snapshot)

    def _has_to_change(self, snapshot: Snapshot) -> bool:
        """Whether the change is still to be made. Before the change, the cluster's state would not be an answer."""
        return bool(self._start and snapshot.document != self._start.document)

    def _set_result(self, found: Fields) -> None:
        self.result = found
        self._note()
        self.redraw()

    def _note(self) -> None:
        if self.entered is not None and self.result is not None and not self.late:
            self._progress.note_prediction(self.question.id, self._is_right)

    def _read_now(self) -> Snapshot | None:
        client, name = self._rollout.client, self._rollout.name
        try:
            found = {kind: [obj for obj in client.find_all(kind) if belongs_to(name, kind, obj)] for kind in KINDS}
        except RefusedError:
            return None  # the feed retries
        return snapshot_of(name, found)
